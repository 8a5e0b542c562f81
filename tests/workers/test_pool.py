"""The threads that run executions: their number, and that nothing ends them."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.db import connection, connections, transaction

import django_durable as durable
from django_durable.models import Worker
from django_durable.runtime.executor import Abandoned
from django_durable.store import leases
from django_durable.store.leases import Claimed, Lease
from django_durable.workers import pool as pools
from django_durable.workers.connections import renew_connections, rest_connections
from django_durable.workers.pool import Pool
from tests.factories import fresh
from tests.testapp.workflows import Quick

SECONDS = 10


class Runs:
    """Runs what a test wants to happen in a thread of the pool."""

    def __init__(self, body, should_yield) -> None:
        self.body = body
        self.should_yield = should_yield

    def run(self, claimed, on_takeover=None) -> None:
        self.body(claimed, on_takeover, self.should_yield)


@pytest.fixture
def make_pool():
    made = []

    def make(body, limit=2, on_free=lambda name: None):
        pool = Pool(
            {"default": limit},
            make_executor=lambda should_yield: Runs(body, should_yield),
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
        data={},
        step_started_at=datetime(2030, 3, 1, tzinfo=UTC),
        seconds_left=None,
    )


def threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "durable-run"]


def test_threads_are_used_again_and_end_when_the_pool_is_closed(make_pool):
    pool = make_pool(lambda *_: None)

    for _ in range(10):
        pool.submit(make_claimed())
        assert pool.join(SECONDS)

    assert len(threads()) == 1
    pool.close()
    assert threads() == []


def test_slots_are_taken_while_executions_run(make_pool):
    go_on, freed = threading.Event(), threading.Semaphore(0)
    pool = make_pool(lambda *_: go_on.wait(SECONDS), on_free=lambda _: freed.release())
    one, two = make_claimed(), make_claimed()

    pool.submit(one)
    assert pool.free("default") == 1
    pool.submit(two)
    assert pool.free("default") == 0
    assert pool.held() == {one.lease.execution_id, two.lease.execution_id}
    assert not pool.join(0.01)

    go_on.set()
    assert freed.acquire(timeout=SECONDS)
    assert freed.acquire(timeout=SECONDS)
    assert pool.free("default") == 2


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

    def body(one, *_):
        if one is claimed:
            raise error("out of a run")
        ran.append(one)

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


def test_a_thread_whose_execution_was_taken_over_is_replaced(make_pool):
    go_on, taken, ran = threading.Event(), threading.Event(), threading.Event()
    late = make_claimed()

    def body(one, on_takeover, _):
        if one is not late:
            ran.set()
            return
        # What the watchdog does in a thread of its own.
        threading.Thread(target=lambda: (on_takeover(), taken.set())).start()
        go_on.wait(SECONDS)
        raise Abandoned

    pool = make_pool(body, limit=1)
    pool.submit(late)
    assert taken.wait(SECONDS)
    assert pool.free("default") == 1

    pool.submit(make_claimed())
    assert ran.wait(SECONDS)
    assert pool.join(SECONDS)

    go_on.set()
    pool.close()
    for thread in threads():
        thread.join(SECONDS)
    assert threads() == []
    assert pool.free("default") == 1


class TestYielding:
    """Between two steps an execution may have to go back to its queue."""

    def ask(self, make_pool, *, times=1, prepare=lambda pool: None) -> bool:
        answers = []

        def body(_, __, should_yield):
            prepare(pool)
            answers.extend(should_yield() for _ in range(times))

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
