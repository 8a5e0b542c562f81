"""How a process is told to stop."""

from __future__ import annotations

import os
import signal

import pytest

from django_durable.workers.stopping import URGENT, StopRequests


def test_requests_are_taken_in_order_and_waited_for():
    requests = StopRequests()
    assert requests.wait(0.001) is None

    requests.add("one")
    requests.add("another")

    assert [requests.wait(0), requests.wait(0)] == ["one", "another"]


def test_a_second_signal_is_urgent_and_a_third_one_kills():
    requests = StopRequests()

    with requests.from_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        assert requests.wait(1) == "SIGTERM"
        assert not requests.is_urgent

        os.kill(os.getpid(), signal.SIGINT)
        assert requests.wait(1) == "SIGINT"
        assert requests.is_urgent
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_to_a_child_only_its_parent_says_that_it_is_urgent():
    requests = StopRequests(os.getppid())

    with requests.from_signals():
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
            assert requests.wait(1)
            assert not requests.is_urgent

        os.kill(os.getpid(), URGENT)
        assert requests.wait(1)
        assert requests.is_urgent


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_afterwards_signals_are_handled_as_before(number):
    before = signal.getsignal(number)

    with StopRequests().from_signals():
        assert signal.getsignal(number) is not before

    assert signal.getsignal(number) is before


def test_the_end_of_the_parent_is_a_reason():
    assert StopRequests(os.getppid()).wait(0.001) is None
    assert StopRequests(os.getppid() + 1).wait(0.001) == "its parent process has ended"
