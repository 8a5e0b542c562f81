"""Calling a service again and again, whatever goes wrong."""

from __future__ import annotations

import threading

import pytest
from django.db import OperationalError

from django_durable.workers.loop import Loop, Outage, backoff

pytestmark = pytest.mark.django_db


class Service:
    """Fails, or says whether there is more to do, as it is told."""

    def __init__(self, *answers: bool | Exception) -> None:
        self.answers = list(answers)

    def run_once(self) -> bool:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def make_loop(*answers: bool | Exception) -> Loop:
    return Loop("service", Service(*answers).run_once, pause=1.0, outage=Outage())


def test_it_goes_on_at_once_as_long_as_there_is_more_to_do():
    loop = make_loop(True, False)

    assert loop.advance() == 0
    assert 0.8 <= loop.advance() <= 1.0


def test_pauses_after_failures_grow_to_a_bound_and_are_spread():
    assert [backoff(failures, draw=0.5) for failures in (1, 2, 3)] == [0.2, 0.4, 0.8]
    assert [backoff(1000, draw=draw) for draw in (0, 0.5)] == [2.5, 5.0]


def test_an_outage_is_told_once_and_so_is_its_end(caplog):
    away = OperationalError("server closed the connection\nand more")
    loop = make_loop(away, away, away, False, False)

    pauses = [loop.advance() for _ in range(5)]

    assert all(0 < pause <= 1.2 for pause in pauses)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert told[0].endswith("trying again: server closed the connection")
    assert told[1].startswith("All services work again")


def test_a_connection_that_broke_while_it_was_idle_is_not_told(caplog):
    loop = make_loop(OperationalError("gone"), False)

    loop.advance()
    loop.advance()

    assert not caplog.records


def test_another_error_is_told_with_its_traceback_once(caplog):
    loop = make_loop(ValueError("a mistake"), ValueError("a mistake"), False)

    for _ in range(3):
        loop.advance()

    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert "ValueError: a mistake" in caplog.text


def test_several_services_have_one_outage(caplog):
    outage = Outage()
    for name in ("reaper", "heartbeat"):
        outage.note(name, OperationalError("away"), failures=2)
    for name in ("reaper", "heartbeat"):
        outage.end(name)

    assert len(caplog.records) == 2


def test_wake_ends_the_pause_and_stop_the_thread():
    calls = threading.Semaphore(0)

    def run_once() -> bool:
        calls.release()
        return False

    loop = Loop("service", run_once, pause=60.0, outage=Outage())
    loop.start()
    assert calls.acquire(timeout=10)

    loop.wake()
    assert calls.acquire(timeout=10)

    loop.stop()
    loop.join(10)
    assert not loop.is_alive
