"""Threads that take up work: as many as block, and no more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from django_durable.workers.threads import Threads

SECONDS = 10


@pytest.fixture
def made() -> Iterator[list[Threads]]:
    made: list[Threads] = []
    yield made
    for threads in made:
        threads.close()


def alive() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "durable-run"]


def test_all_that_is_given_is_done_in_order_by_one_thread_if_there_is_one(made):
    done = SimpleQueue()
    threads = Threads(lambda work: done.put(work) or True, most=1)
    made.append(threads)

    threads.give(range(100))
    threads.give(range(100, 200))

    assert [done.get(timeout=SECONDS) for _ in range(200)] == list(range(200))


@pytest.mark.parametrize(("most", "given"), [(4, 4), (4, 9)])
def test_work_that_blocks_gets_a_thread_each_up_to_the_most(made, most, given):
    barrier, go_on = threading.Barrier(most + 1), threading.Event()

    def work(number):
        if number < most:
            barrier.wait(SECONDS)
            go_on.wait(SECONDS)
        return True

    threads = Threads(work, most=most)
    made.append(threads)
    threads.give(range(given))

    barrier.wait(SECONDS)
    assert len(alive()) == most
    go_on.set()


def test_one_that_hangs_is_replaced_once_it_is_counted_off(made):
    hangs, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def work(what):
        if what == "hangs":
            hangs.set()
            go_on.wait(SECONDS)
            return False
        done.set()
        return True

    threads = Threads(work, most=1)
    made.append(threads)
    threads.give(["hangs", "other"])
    assert hangs.wait(SECONDS)
    assert not done.wait(0.05)

    threads.lose_one()

    assert done.wait(SECONDS)
    go_on.set()


def test_where_no_more_threads_are_to_be_had_those_that_are_there_do_the_work(
    made, monkeypatch
):
    done, started = SimpleQueue(), []
    start = threading.Thread.start

    def refuse(thread):
        if started:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    threads = Threads(lambda work: done.put(work) or True, most=4)
    made.append(threads)
    threads.give(range(10))

    assert [done.get(timeout=SECONDS) for _ in range(10)] == list(range(10))
    assert len(alive()) == 1


def test_what_was_given_when_no_thread_was_to_be_had_is_done_later(made, monkeypatch):
    done = SimpleQueue()
    threads = Threads(lambda work: done.put(work) or True, most=4)
    made.append(threads)

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            threads.give([1])
    threads.give([2])

    assert [done.get(timeout=SECONDS) for _ in range(2)] == [1, 2]


def test_those_that_have_nothing_to_do_end_when_it_is_closed(made):
    done = threading.Event()
    threads = Threads(lambda _: done.set() or True, most=3)
    threads.give([1])
    assert done.wait(SECONDS)

    threads.close()
    for thread in alive():
        thread.join(SECONDS)

    assert alive() == []
