"""Several workers and operators at the same rows, each with its own connection.

``DURABLE_DEADLOCK_HUNT=60`` hunts for a minute.
"""

from __future__ import annotations

import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import pytest
from django.db import connection, connections, transaction

import django_durable as durable
from django_durable import (
    ChildFailed,
    Fail,
    Lane,
    Parallel,
    WaitForEvent,
    Workflow,
    call_workflow,
    minutes,
    seconds,
    step,
)
from django_durable.models import Execution, InputRequest, Step, Wait
from django_durable.runtime.run import Run
from django_durable.store import moves
from django_durable.store.health import examine
from django_durable.store.moves import Move
from django_durable.types import ExecutionStatus
from tests.composition.raced_workflows import TwoAtOnce
from tests.composition.racing import Processes, end_lanes, hunt
from tests.factories import claim, drain, fresh, reap, run
from tests.processes.worker_processes import eventually

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(240),
]

IS_POSTGRESQL = bool(os.environ.get("DATABASE_URL"))
# SQLite has one writer at a time: there the second one always waits for the first.
JOINS = 500 if IS_POSTGRESQL else 100
TIMES = 120 if IS_POSTGRESQL else 25
HUNT_SECONDS = float(os.environ.get("DURABLE_DEADLOCK_HUNT", "6"))
HUNTERS = 4


@pytest.fixture
def processes(worker_environment):
    return Processes(worker_environment)


@pytest.fixture
def in_threads():
    """Run calls at the same time, in threads that keep their connections."""
    with ThreadPoolExecutor(6) as pool:
        ready = threading.Barrier(6)

        def run_all(*calls):
            futures = [pool.submit(call) for call in calls]
            for future in futures:
                future.result()

        def close():
            ready.wait()
            connections.close_all()

        yield run_all
        run_all(*[close] * 6)


def test_two_lanes_that_end_at_the_same_instant_are_joined_once(processes):
    executions = durable.start_many(TwoAtOnce, [{}] * JOINS)
    while claimed := claim(limit=100):
        for one in claimed:
            run(one)
    barrier = processes.barrier(2)

    processes.run(
        (end_lanes, "left", barrier, JOINS), (end_lanes, "right", barrier, JOINS)
    )

    parents = claim(limit=2 * JOINS)
    assert {one.lease.execution_id for one in parents} == {one.pk for one in executions}
    for parent in parents:
        run(parent)
    for execution in Execution.objects.all():
        assert execution.result == {"left": {"n": 1}, "right": {"n": 2}}
        assert execution.lease_token == 2
    assert Step.objects.filter(kind="parallel").count() == JOINS


@pytest.mark.parametrize("first_is_left", [True, False])
def test_in_either_order_the_second_lane_is_the_last(
    in_threads, monkeypatch, first_is_left
):
    inside, other_waits = threading.Event(), threading.Event()
    write = Run.write

    def hold_the_first(*args):
        with transaction.atomic():
            written = write(*args)
            if not inside.is_set():
                inside.set()
                # The other one stands at the lock of the parent now, or will.
                other_waits.wait(0.2)
        return written

    execution = durable.start(TwoAtOnce)
    run(claim()[0])
    monkeypatch.setattr(Run, "write", hold_the_first)
    lanes = claim("left") + claim("right")
    lanes.sort(key=lambda one: one.scope.endswith("left"), reverse=first_is_left)

    def second():
        assert inside.wait(10)
        run(lanes[1])

    in_threads(lambda: run(lanes[0]), second)
    drain()

    assert fresh(execution).status == "completed"


class RacedChild(Workflow):
    @step
    def work(self, fails=False):
        if fails:
            raise Fail("no")
        return {"worked": True}


class RacedParent(Workflow):
    @step
    def call(self, fails=False):
        try:
            call_workflow(RacedChild, {"fails": fails}, timeout=minutes(5))
        except ChildFailed as failed:
            return {"got": failed.error["type"]}
        return {"got": "result"}


def test_a_child_that_ends_while_it_is_cancelled_reaches_its_parent_once(in_threads):
    for _ in range(TIMES // 3):
        execution = durable.start(RacedParent)
        run(claim()[0])
        (child,) = claim()

        def cancel(child=child):
            with suppress(durable.ExecutionClosed):
                durable.cancel(child.lease.execution_id)

        in_threads(lambda child=child: run(child), cancel)
        drain()

        assert fresh(execution).result["got"] in ("result", "cancelled")
        assert len(durable.list_children(execution)) == 1


class RacedWait(Workflow):
    class Both(Parallel):
        class One(Lane):
            news = WaitForEvent("news", timeout=seconds(0.02), timeout_value="late")

            @step
            def again(self, news):
                if news == "late":
                    return {"got": durable.wait_for_event("news")}
                return {"got": news}


def test_an_event_that_comes_as_its_wait_runs_out_in_a_lane_is_not_lost(in_threads):
    for number in range(TIMES // 5):
        execution = durable.start(RacedWait)
        drain()
        time.sleep(0.02 * random.random())

        def work():
            end = time.monotonic() + 0.06
            while time.monotonic() < end:
                drain()

        in_threads(work, partial(durable.send_event, execution, "news", number))
        deadline = time.monotonic() + 10
        while not fresh(execution).is_final and time.monotonic() < deadline:
            drain()

        assert fresh(execution).result["one"]["got"] == number


def test_moves_of_several_executions_lock_their_rows_in_order_of_id(in_threads):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite writes one row after the other.")
    durable.start(TwoAtOnce)
    run(claim()[0])
    lanes = sorted(
        claim("left") + claim("right"), key=lambda one: one.lease.execution_id
    )
    later_first = [
        Move(
            lease=lane.lease,
            status=ExecutionStatus.PENDING,
            position=lane.scope,
            sequence=0,
            attempt=1,
        )
        for lane in lanes[::-1]
    ]
    ids = [lane.lease.execution_id for lane in lanes]
    is_locked, is_written = threading.Event(), threading.Event()

    def cancel_the_family():
        with transaction.atomic():
            Execution.rows.select_for_update().get(pk=ids[0])
            is_locked.set()
            is_written.wait(0.5)
            Execution.rows.select_for_update().get(pk=ids[1])

    def write():
        assert is_locked.wait(10)
        assert all(moves.write(later_first, using="default"))
        is_written.set()

    in_threads(cancel_the_family, write)


class Nested(Workflow, name="raced_nested"):
    class Outer(Parallel):
        class One(Lane):
            @step
            def before(self): ...

            class Inner(Parallel):
                @step
                def left(self): ...

                @step
                def right(self): ...


@pytest.mark.parametrize("was_paused", [False, True])
def test_a_pause_and_its_end_reach_lanes_that_are_being_opened(
    in_threads, monkeypatch, was_paused
):
    execution = durable.start(Nested)
    run(claim()[0])
    (lane,) = claim()
    inserted = threading.Event()
    write = moves.write

    def open_and_linger(*args, **kwargs):
        if was_paused:
            durable.pause(execution)
        with transaction.atomic():
            written = write(*args, **kwargs)
            inserted.set()
            # The other one stands at the lock of the lane now, or will.
            time.sleep(0.3)
        return written

    def change():
        assert inserted.wait(10)
        (durable.resume if was_paused else durable.pause)(execution)

    with monkeypatch.context() as patch:
        patch.setattr(moves, "write", open_and_linger)
        in_threads(lambda: run(lane), change)

    statuses = set(Execution.rows.open().values_list("status", flat=True))
    assert ("paused" in statuses) is not was_paused
    if not was_paused:
        assert statuses == {"paused"}
        durable.resume(execution)
    drain()
    assert fresh(execution).status == "completed"


def test_hammering_families_from_all_sides_meets_no_deadlock(processes):
    """Four processes, each of which works and operates, and nobody is told of an error."""
    seeds = [random.randrange(1_000_000) for _ in range(HUNTERS)]

    found = processes.run(*((hunt, seed, HUNT_SECONDS) for seed in seeds))

    assert found == [[]] * HUNTERS, seeds
    ended = Execution.objects.count() - Execution.objects.open().count()
    assert ended > 5
    for paused in Execution.objects.filter(status="paused"):
        durable.resume(paused)
    eventually(let_all_end, within=60, what="the end of all that is open")
    assert not Wait.objects.filter(status="open").exists()
    assert not InputRequest.objects.filter(status="open").exists()
    assert not examine(using="default")


def let_all_end():
    reap()
    drain(limit=100_000)
    return not Execution.rows.open().exists()
