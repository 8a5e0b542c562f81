"""The threads that run executions: their number, and that nothing ends them."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import uuid4

import pytest
from django.db import DataError, connection, connections, transaction

import django_durable as durable
from django_durable import Workflow, step
from django_durable.conf import get_settings
from django_durable.models import Execution, Worker
from django_durable.runtime.attempts import Abandoned
from django_durable.runtime.executor import Executor
from django_durable.runtime.watchdog import Watchdog
from django_durable.signals import execution_completed
from django_durable.store import leases, moves
from django_durable.store.leases import Claimed, Lease
from django_durable.workers import pool as pools
from django_durable.workers.connections import renew_connections, rest_connections
from django_durable.workers.pool import Pool
from tests.factories import fresh
from tests.testapp.workflows import Quick

SECONDS = 10


class Runs:
    """Does what a test wants to happen in a thread of the pool, as one step."""

    def __init__(self, body, should_yield) -> None:
        self.body = body
        self.should_yield = should_yield

    def begin(self, claimed, on_takeover):
        began = pools.time.monotonic()
        run = SimpleNamespace(claimed=claimed, on_takeover=on_takeover)
        run.steps, run.began = 0, began
        run.should_yield = lambda: self.should_yield(run)
        return run

    def advance(self, run):
        return bool(self.body(run))


@pytest.fixture
def make_pool():
    made = []

    def make(body=None, limit=2, on_free=lambda name: None, runs=Runs):
        pool = Pool(
            {"default": limit},
            using="default",
            make_executor=lambda should_yield: runs(body, should_yield),
            on_free=on_free,
        )
        made.append(pool)
        return pool

    yield make

    for pool in made:
        assert pool.join(SECONDS)
        pool.close()


def make_claimed() -> Claimed:
    id_ = uuid4()
    return Claimed(
        lease=Lease(id_, 1, "default", id_),
        workflow="quick",
        position=None,
        sequence=0,
        attempt=1,
        calls=0,
        queue="default",
        home_queue="default",
        priority=0,
        data={},
        step_started_at=datetime(2030, 3, 1, tzinfo=UTC),
        seconds_left=None,
    )


def threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "durable-run"]


def test_threads_are_used_again_and_end_when_the_pool_is_closed(make_pool):
    pool = make_pool(lambda _: None)

    for _ in range(10):
        pool.submit(make_claimed())
        assert pool.join(SECONDS)

    assert len(threads()) == 1
    pool.close()
    assert threads() == []


def test_what_waits_for_a_slot_is_let_go_of_when_the_pool_drains(make_pool):
    go_on, ran = threading.Event(), []

    def body(run):
        ran.append(run.claimed)
        go_on.wait(SECONDS)

    pool = make_pool(body, limit=1)
    one, two = make_claimed(), make_claimed()
    pool.submit(one)
    pool.submit(two)

    pool.drain()

    assert pool.held() == {one.lease.execution_id}
    go_on.set()
    assert pool.join(SECONDS)
    assert ran == [one]


def test_slots_are_taken_while_executions_run(make_pool):
    go_on, freed = threading.Event(), threading.Semaphore(0)
    pool = make_pool(
        lambda _: not go_on.wait(SECONDS), on_free=lambda _: freed.release()
    )
    one, two = make_claimed(), make_claimed()

    pool.submit(one)
    assert pool.room("default") == 1
    pool.submit(two)
    assert pool.room("default") == 0
    assert pool.held() == {one.lease.execution_id, two.lease.execution_id}
    assert not pool.join(0.01)

    go_on.set()
    assert freed.acquire(timeout=SECONDS)
    assert freed.acquire(timeout=SECONDS)
    assert pool.join(SECONDS)
    assert pool.room("default") == 2


@pytest.mark.parametrize(
    "error", [SystemExit, KeyboardInterrupt, ValueError, GeneratorExit]
)
@pytest.mark.django_db(transaction=True)
def test_whatever_comes_out_of_a_run_the_pool_goes_on(make_pool, make_worker, error):
    execution = durable.start(Quick)
    [claimed] = leases.claim(
        queue="default", worker_id=make_worker().pk, limit=1, using="default"
    )
    ran = []

    def body(run):
        if run.claimed is claimed:
            raise error("out of a run")
        ran.append(run)

    pool = make_pool(body, limit=1)
    pool.submit(claimed)
    assert pool.join(SECONDS)
    pool.submit(make_claimed())
    assert pool.join(SECONDS)

    assert len(ran) == 1
    assert len(threads()) == 1
    execution = fresh(execution)
    assert (execution.status, execution.attempt) == ("pending", 2)
    [step] = execution.steps.all()
    assert (step.status, step.error["type"]) == ("lost", "worker_lost")
    assert "out of a run" in step.error["message"]


def take_over(run, *, goes_on: bool) -> threading.Thread:
    """Do what the watchdog does, in a thread of its own."""
    thread = threading.Thread(target=run.on_takeover, args=[goes_on, True])
    thread.start()
    thread.join(SECONDS)
    return thread


def test_a_thread_whose_execution_was_taken_over_is_replaced(make_pool):
    go_on, taken, ran = threading.Event(), threading.Event(), threading.Event()
    late = make_claimed()

    def body(run):
        if run.claimed is not late:
            ran.set()
            return
        take_over(run, goes_on=False)
        taken.set()
        go_on.wait(SECONDS)
        raise Abandoned

    pool = make_pool(body, limit=1)
    pool.submit(late)
    assert taken.wait(SECONDS)
    assert pool.room("default") == 1

    pool.submit(make_claimed())
    assert ran.wait(SECONDS)
    assert pool.join(SECONDS)

    go_on.set()
    pool.close()
    for thread in threads():
        thread.join(SECONDS)
    assert threads() == []
    assert pool.room("default") == 1


def test_an_execution_that_was_taken_over_goes_on_in_another_thread(make_pool):
    go_on, ran_in = threading.Event(), []

    def body(run):
        ran_in.append(threading.get_ident())
        if len(ran_in) == 1:
            take_over(run, goes_on=True)
            go_on.wait(SECONDS)
            raise Abandoned

    pool = make_pool(body, limit=1)
    pool.submit(make_claimed())
    assert pool.join(SECONDS)
    go_on.set()

    assert len(set(ran_in)) == 2
    assert pool.room("default") == 1


@pytest.mark.django_db(transaction=True)
class TestWriting:
    """What an execution's step leads to is written by the pool's writer."""

    @pytest.fixture
    def pool(self, make_pool):
        watchdog = Watchdog()
        yield make_pool(
            limit=8,
            runs=lambda _, should_yield: Executor(
                get_settings(), watchdog=watchdog, should_yield=should_yield
            ),
        )
        watchdog.close()

    def claim(self, worker, limit=20):
        return leases.claim(
            queue="default", worker_id=worker.pk, limit=limit, using="default"
        )

    def test_all_steps_of_many_executions(self, pool, make_worker):
        class Written(Workflow, name="pool_written"):
            @step
            def one(self, n):
                return {"one": n}

            @step
            def two(self, one):
                return {"two": one}

        started = durable.start_many(Written, [{"n": n} for n in range(8)])
        for claimed in self.claim(make_worker()):
            pool.submit(claimed)
        assert pool.join(SECONDS)

        for n, execution in enumerate(started):
            assert fresh(execution).result == {"n": n, "one": n, "two": n}
            assert execution.steps.count() == 2

    def test_one_that_was_cancelled_meanwhile_does_not_disturb_the_others(
        self, pool, make_worker
    ):
        class Cancels(Workflow, name="pool_cancels"):
            @step
            def one(self, ctx, cancels=False):
                if cancels:
                    durable.cancel(ctx.execution_id)

            @step
            def two(self):
                return {"two": True}

        cancelled = durable.start(Cancels, {"cancels": True})
        others = durable.start_many(Cancels, [{}] * 3)
        for claimed in self.claim(make_worker()):
            pool.submit(claimed)
        assert pool.join(SECONDS)

        assert fresh(cancelled).status == "cancelled"
        assert [fresh(one).status for one in others] == ["completed"] * 3

    def test_one_that_was_cancelled_while_it_waited_for_a_slot_does_not_begin(
        self, make_pool, make_worker, monkeypatch
    ):
        go_on, began = threading.Event(), []

        class Waits(Workflow, name="pool_waits"):
            @step
            def one(self, n):
                began.append(n)
                go_on.wait(SECONDS)

        watchdog = Watchdog()
        pool = make_pool(
            limit=1,
            runs=lambda _, should_yield: Executor(
                get_settings(), watchdog=watchdog, should_yield=should_yield
            ),
        )
        monkeypatch.setattr(pools, "_TRUST_SECONDS", 0.0)
        durable.start_many(Waits, [{"n": n} for n in range(3)])
        first, second, third = self.claim(make_worker())
        for claimed in (first, second, third):
            pool.submit(claimed)
        durable.cancel(second.lease.execution_id)
        go_on.set()
        assert pool.join(SECONDS)
        watchdog.close()

        assert began == [0, 2]

    def test_one_whose_row_is_held_for_long_does_not_hold_up_the_others(
        self, pool, make_worker, postgres_only
    ):
        held, *others = durable.start_many(Quick, [{}] * 4)
        claimed = self.claim(make_worker())
        with transaction.atomic():
            Execution.rows.select_for_update().get(pk=held.pk)
            for one in claimed:
                pool.submit(one)
            wait_until(lambda: len(pool.held()) == 1)
            assert pool.held() == {held.pk}
        assert pool.join(SECONDS)

        assert [fresh(one).status for one in (held, *others)] == ["completed"] * 4

    def test_the_end_of_one_is_told_while_all_that_may_run_is_blocked(
        self, make_pool, make_worker
    ):
        go_on, told = threading.Event(), threading.Event()

        class Blocks(Workflow, name="pool_blocks"):
            @step
            def one(self, n):
                if n:
                    go_on.wait(SECONDS)

        def tell(execution_id, **_):
            told.set()

        watchdog = Watchdog()
        pool = make_pool(
            limit=1,
            runs=lambda _, should_yield: Executor(
                get_settings(), watchdog=watchdog, should_yield=should_yield
            ),
        )
        durable.start_many(Blocks, [{"n": n} for n in range(2)])
        execution_completed.connect(tell)
        try:
            for claimed in self.claim(make_worker()):
                pool.submit(claimed)
            assert told.wait(SECONDS / 5)
            assert len(pool.held()) == 1
        finally:
            execution_completed.disconnect(tell)
            go_on.set()
        assert pool.join(SECONDS)
        watchdog.close()

    def test_one_that_the_database_refuses_is_lost_and_the_others_are_not(
        self, pool, make_worker
    ):
        class Refused(Workflow, name="pool_refused"):
            @step
            def one(self): ...

            @step
            def two(self): ...

        refused, *others = durable.start_many(Refused, [{}] * 3)
        claimed = self.claim(make_worker())
        moved = moves.write_free

        def write_free(batch, *, using):
            if any(move.lease.execution_id == refused.pk for move in batch):
                raise DataError("the database says no")
            return moved(batch, using=using)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(moves, "write_free", write_free)
            for one in claimed:
                pool.submit(one)
            assert pool.join(SECONDS)

        assert [fresh(one).status for one in others] == ["completed"] * 2
        [step_row] = refused.steps.all()
        assert step_row.status == "lost"
        assert "the database says no" in step_row.error["message"]


def wait_until(is_so) -> None:
    ends_at = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < ends_at
        time.sleep(0.01)


class TestYielding:
    """Between two steps an execution may have to go back to its queue."""

    def ask(self, make_pool, *, times=1, prepare=lambda pool: None) -> bool:
        answers = []

        def body(run):
            prepare(pool)
            answers.extend(run.should_yield() for _ in range(times))

        pool = make_pool(body)
        pool.submit(make_claimed())
        assert pool.join(SECONDS)
        return answers[-1]

    def test_it_may_go_on_for_a_while_though_others_wait(self, make_pool):
        def prepare(pool):
            pool.crowded.add("default")

        assert not self.ask(make_pool, times=pools.MAX_STEPS - 1, prepare=prepare)
        assert self.ask(make_pool, times=pools.MAX_STEPS, prepare=prepare)

    def test_it_may_go_on_for_ever_when_nobody_waits(self, make_pool):
        assert not self.ask(make_pool, times=10 * pools.MAX_STEPS)

    def test_its_time_is_limited_as_well(self, make_pool, monkeypatch):
        def prepare(pool):
            pool.crowded.add("default")
            began = pools.time.monotonic()
            monkeypatch.setattr(
                pools.time, "monotonic", lambda: began + pools.MAX_SECONDS
            )

        assert self.ask(make_pool, prepare=prepare)

    def test_it_goes_back_when_the_worker_drains(self, make_pool):
        assert self.ask(make_pool, prepare=Pool.drain)


@pytest.mark.django_db(transaction=True)
class TestConnections:
    """A thread keeps its connection while there is work, and no longer."""

    def test_a_connection_that_works_is_kept_whatever_its_age_may_be(self):
        connection.ensure_connection()
        kept = connection.connection

        renew_connections()
        assert connection.connection is kept

        rest_connections()
        assert connection.connection is None

    def test_one_that_was_left_in_a_transaction_is_dropped(self):
        seen = []

        def leave_and_go_on():
            left = connections["default"]
            transaction.atomic().__enter__()
            renew_connections()
            seen.append(connections["default"] is not left)
            seen.append(Worker.objects.exists())
            connections.close_all()

        thread = threading.Thread(target=leave_and_go_on)
        thread.start()
        thread.join(SECONDS)

        assert seen == [True, False]
