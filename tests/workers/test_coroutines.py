"""Coroutines of a pool: on one event loop, without a thread for each."""

from __future__ import annotations

import asyncio
import threading
import time
from contextvars import copy_context
from queue import SimpleQueue

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group
from django.db import OperationalError, connection

import django_durable as durable
from django_durable import Retry, Workflow, get_context, seconds, step
from django_durable.conf import get_settings
from django_durable.runtime import event_loop
from django_durable.runtime.event_loop import EventLoop
from django_durable.runtime.executor import Executor
from django_durable.runtime.watchdog import Watchdog
from django_durable.store import leases
from django_durable.workers.pool import Pool
from tests.factories import fresh

SECONDS = 20
MANY = 200

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def loop():
    loop = EventLoop()
    yield loop
    loop.close()


@pytest.fixture
def run_all(loop, make_worker):
    """Run all that is due in a pool, as a worker does."""
    watchdog = Watchdog()
    pool = Pool(
        {"default": MANY},
        using="default",
        make_executor=lambda should_yield: Executor(
            get_settings(), watchdog=watchdog, loop=loop, should_yield=should_yield
        ),
        on_free=lambda name: None,
    )
    worker = make_worker()

    def run(wait=True):
        for one in leases.claim(
            queue="default", worker_id=worker.pk, limit=MANY, using="default"
        ):
            pool.submit(one)
        assert not wait or pool.join(SECONDS)
        return pool

    yield run
    assert pool.join(SECONDS)
    pool.close()
    watchdog.close()


def pool_threads() -> int:
    return sum(one.name == "durable-run" for one in threading.enumerate())


def test_hundreds_are_awaited_at_once_and_no_thread_waits_for_them(run_all):
    arrived, go_on = SimpleQueue(), asyncio.Event()
    loops = set()

    class Together(Workflow, name="coroutines_together"):
        @step
        async def wait(self, n):
            loops.add(asyncio.get_running_loop())
            arrived.put(n)
            await go_on.wait()
            return {"seen": n}

        @step
        def after(self, seen):
            return {"after": seen}

    executions = durable.start_many(Together, [{"n": n} for n in range(MANY)])
    threads = run_all(wait=False)._threads
    for _ in range(MANY):
        arrived.get(timeout=SECONDS)
    (loop,) = loops
    end = time.monotonic() + SECONDS
    while len(threads._idle) < threads._count:
        assert time.monotonic() < end, "a thread waits for a coroutine"
        time.sleep(0.01)
    loop.call_soon_threadsafe(go_on.set)
    run_all()

    assert [fresh(one).result["after"] for one in executions] == list(range(MANY))


def test_errors_retries_waits_and_exits_are_as_in_a_thread(run_all):
    class Ends(Workflow, name="coroutines_end"):
        @step(retry=Retry(max_attempts=2, base=seconds(0), jitter=0))
        async def body(self, ctx, how):
            await asyncio.sleep(0)
            if how == "retries" and ctx.attempt == 1:
                raise ConnectionError("no route")
            if how == "exits":
                raise SystemExit(3)
            if how == "is cancelled":
                raise asyncio.CancelledError
            if how == "interrupts":
                raise KeyboardInterrupt
            if how == "waits":
                return {"news": durable.wait_for_event("news")}
            return {"context": get_context() is ctx}

    hows = ["returns", "retries", "exits", "is cancelled", "interrupts", "waits"]
    found = durable.start_many(Ends, [{"how": how} for how in hows])
    run_all()
    durable.send_event(found[-1], "news", 7)
    for _ in range(3):
        run_all()

    ended = {one.input["how"]: fresh(one) for one in found}
    assert ended["returns"].result["context"] is True
    assert ended["retries"].result["context"] is True
    assert ended["retries"].steps.count() == 2
    assert ended["exits"].error["type"] == "SystemExit"
    assert ended["is cancelled"].error["type"] == "CancelledError"
    assert ended["interrupts"].error["type"] == "KeyboardInterrupt"
    assert ended["waits"].result["news"] == 7


def test_one_that_takes_too_long_is_cancelled_and_costs_no_thread(run_all):
    cleaned = threading.Event()

    class Late(Workflow, name="coroutines_late"):
        @step(timeout=seconds(0.2))
        async def body(self):
            try:
                print("begun")  # noqa: T201
                await asyncio.sleep(60)
            finally:
                cleaned.set()

    execution = durable.start(Late)
    pool = run_all()

    assert fresh(execution).error["type"] == "step_timeout"
    assert cleaned.wait(SECONDS)
    assert pool._threads._count == pool_threads() >= 1


def test_one_that_ignores_its_cancellation_is_settled_all_the_same(run_all):
    release = SimpleQueue()

    class Stubborn(Workflow, name="coroutines_stubborn"):
        @step(timeout=seconds(0.2), retry=2)
        async def body(self, ctx):
            end = time.monotonic() + SECONDS
            while ctx.attempt == 1 and release.empty() and time.monotonic() < end:
                try:
                    await asyncio.sleep(0.02)
                except asyncio.CancelledError:
                    continue
            return {"attempt": ctx.attempt}

    execution = durable.start(Stubborn)
    run_all()
    assert fresh(execution).status == "pending"
    release.put(None)

    [first] = fresh(execution).steps.all()
    assert first.status == "timed_out"


def test_each_has_a_thread_of_its_own_for_what_blocks(run_all):
    barrier = threading.Barrier(3)

    class Blocks(Workflow, name="coroutines_block"):
        @step
        async def body(self):
            await sync_to_async(barrier.wait)(SECONDS)
            await Group.objects.acreate(name=str(get_context().execution_id))

    executions = durable.start_many(Blocks, [{}] * 3)
    run_all()

    assert [fresh(one).status for one in executions] == ["completed"] * 3
    assert Group.objects.count() == 3
    end = time.monotonic() + SECONDS
    while any(one.name == "durable-async" for one in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_an_attempt_whose_database_goes_away_is_lost_and_not_failed(
    run_all, postgres_only
):
    def kill_session():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    class CutOffOnce(Workflow, name="coroutines_cut_off"):
        @step
        async def body(self, ctx):
            if ctx.attempt == 1:
                await sync_to_async(kill_session)()
            return {"attempt": ctx.attempt}

    class Elsewhere(Workflow, name="coroutines_elsewhere"):
        @step
        async def body(self):
            raise OperationalError("another database")

    cut, other = durable.start(CutOffOnce), durable.start(Elsewhere)
    run_all()
    run_all()

    assert fresh(cut).result == {"attempt": 2}
    assert cut.steps.first().status == "lost"
    assert fresh(other).error["type"] == "OperationalError"


def test_one_for_which_there_is_no_loop_is_given_back(run_all, loop, monkeypatch):
    class Unlucky(Workflow, name="coroutines_unlucky"):
        @step
        async def body(self, ctx):
            return {"attempt": ctx.attempt}

    def refuse(*_):
        raise RuntimeError("can't start new thread")

    execution = durable.start(Unlucky)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "start", refuse)
        run_all()
    assert fresh(execution).status == "pending"
    run_all()

    assert fresh(execution).result == {"attempt": 2}


def test_a_loop_that_is_blocked_for_long_gets_no_more_coroutines(loop, monkeypatch):
    monkeypatch.setattr(event_loop, "_STUCK_SECONDS", 0.1)
    ended, go_on, begun = SimpleQueue(), threading.Event(), threading.Event()

    async def block():
        begun.set()
        go_on.wait(SECONDS)
        return "late"

    async def quick():
        return "quick"

    def start(body):
        loop.start(body, copy_context(), lambda result: ended.put(result()))

    start(block())
    assert begun.wait(SECONDS)
    start(quick())
    time.sleep(0.3)
    start(quick())

    assert ended.get(timeout=SECONDS) == "quick"
    go_on.set()
    assert {ended.get(timeout=SECONDS) for _ in range(2)} == {"late", "quick"}
