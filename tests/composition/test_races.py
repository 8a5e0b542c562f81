"""Several workers and operators at the same rows, each with its own connection.

``DURABLE_DEADLOCK_HUNT=60`` hunts for a minute, on PostgreSQL.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from uuid import UUID

import pytest
from django.db import DatabaseError, connection, connections, transaction

import django_durable as durable
from django_durable import (
    CallWorkflow,
    ChildFailed,
    Each,
    Fail,
    Lane,
    Parallel,
    Retry,
    WaitForApproval,
    WaitForEvent,
    Workflow,
    call_workflow,
    minutes,
    seconds,
    step,
)
from django_durable.conf import get_settings
from django_durable.exceptions import DurableError
from django_durable.models import Execution, Step, Wait
from django_durable.runtime.executor import Executor
from django_durable.runtime.watchdog import Watchdog
from django_durable.store import families, leases, moves
from django_durable.store.moves import Move
from django_durable.types import ExecutionStatus
from django_durable.workers.pool import Pool
from tests.factories import claim, drain, fresh, run

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(240),
]

IS_POSTGRESQL = bool(os.environ.get("DATABASE_URL"))
TIMES = 120 if IS_POSTGRESQL else 25
HUNT_SECONDS = float(os.environ.get("DURABLE_DEADLOCK_HUNT", "8"))


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


class TwoAtOnce(Workflow):
    class Both(Parallel):
        @step
        def left(self):
            return {"n": 1}

        @step
        def right(self):
            return {"n": 2}

    @step
    def after(self): ...


def test_two_lanes_that_end_at_the_same_instant_are_joined_once(
    in_threads, monkeypatch
):
    barrier = threading.Barrier(2, timeout=20)
    finish = families.finish

    def together(*args, **kwargs):
        barrier.wait()
        return finish(*args, **kwargs)

    monkeypatch.setattr(families, "finish", together)
    for _ in range(TIMES):
        execution = durable.start(TwoAtOnce)
        run(claim()[0])
        first, second = claim()
        in_threads(lambda one=first: run(one), lambda one=second: run(one))

        (parent,) = claim()
        assert parent.lease.execution_id == execution.pk
        run(parent)
        execution = fresh(execution)
        assert execution.result == {"left": {"n": 1}, "right": {"n": 2}}
        assert execution.lease_token == 2
    assert Step.objects.filter(kind="parallel").count() == TIMES


@pytest.mark.parametrize("first_is_left", [True, False])
def test_in_either_order_the_second_lane_is_the_last(
    in_threads, monkeypatch, first_is_left
):
    inside, other_waits = threading.Event(), threading.Event()
    lane_ended = families._lane_ended

    def hold_the_first(*args, **kwargs):
        if not inside.is_set():
            inside.set()
            # The other one stands at the lock of the parent now, or will.
            other_waits.wait(0.2)
        return lane_ended(*args, **kwargs)

    monkeypatch.setattr(families, "_lane_ended", hold_the_first)
    execution = durable.start(TwoAtOnce)
    run(claim()[0])
    lanes = claim()
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
    lanes = sorted(claim(), key=lambda one: one.lease.execution_id)
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
    open_lanes, insert_lanes = families.open_lanes, families._insert_lanes

    def pause_and_open(*args, **kwargs):
        if was_paused:
            durable.pause(execution)
        return open_lanes(*args, **kwargs)

    def insert_and_linger(*args, **kwargs):
        insert_lanes(*args, **kwargs)
        inserted.set()
        # The other one stands at the lock of the lane now, or will.
        time.sleep(0.3)

    monkeypatch.setattr(families, "open_lanes", pause_and_open)
    monkeypatch.setattr(families, "_insert_lanes", insert_and_linger)

    def change():
        assert inserted.wait(10)
        (durable.resume if was_paused else durable.pause)(execution)

    in_threads(lambda: run(lane), change)

    statuses = set(Execution.rows.open().values_list("status", flat=True))
    assert ("paused" in statuses) is not was_paused
    if not was_paused:
        assert statuses == {"paused"}
        durable.resume(execution)
    drain()
    assert fresh(execution).status == "completed"


# --- The hunt -------------------------------------------------------------------------


class HuntKid(Workflow):
    news = WaitForEvent("news", timeout=seconds(0.3), timeout_value=None)

    @step
    def work(self, ctx, n):
        if n % 7 == 0:
            raise Fail("kid")


class HuntFamily(Workflow):
    @step
    def begin(self): ...

    @begin.compensate
    def unbegin(self): ...

    class Every(Each, max_concurrency=3):
        def items(self, n):
            return range(n, n + 5)

        class Inner(Parallel):
            class Asks(Lane):
                ok = WaitForApproval(timeout=seconds(0.4), timeout_value="none")

            class Calls(Lane):
                @step(retry=Retry(max_attempts=2, base=seconds(0.01)))
                def call(self, index):
                    with suppress(ChildFailed):
                        call_workflow(
                            HuntKid,
                            {"n": index},
                            timeout=seconds(0.5),
                            timeout_value=0,
                        )

            class Listens(Lane):
                news = WaitForEvent("news", timeout=seconds(0.3), timeout_value=0)

                @step
                def perhaps(self, item):
                    if item % 11 == 0:
                        raise Fail("listener")

    kid = CallWorkflow(HuntKid, input={"n": 1}, timeout=seconds(1), timeout_value=0)


OPERATIONS = [
    "send",
    "send",
    "send",
    "input",
    "input",
    "cancel",
    "undo",
    "pause",
    "retry",
]


def operate(operation, execution):
    """Do one thing an operator does; what the execution's state forbids is no error."""
    with suppress(DurableError):
        match operation:
            case "send":
                durable.send_event(execution, "news", 1)
            case "input":
                durable.provide_input(execution, "ok", "approved")
            case "cancel":
                durable.cancel(execution)
            case "undo":
                durable.cancel(execution, compensate=True)
            case "pause":
                durable.pause(execution)
                durable.resume(execution)
            case "retry":
                durable.retry(execution)


class Hunt:
    """Workers, and operators that disturb them, until ``end``."""

    def __init__(self) -> None:
        self.end = time.monotonic() + HUNT_SECONDS
        self.watchdog = Watchdog()
        self.errors: list[BaseException] = []

    def work(self, number: int) -> None:
        pool = Pool(
            {"default": 8},
            using="default",
            make_executor=lambda should_yield: Executor(
                get_settings(), watchdog=self.watchdog, should_yield=should_yield
            ),
            on_free=lambda name: None,
        )
        worker = UUID(int=0x7000_8000 << 64 | number)
        while time.monotonic() < self.end:
            free = pool.room("default")
            for one in leases.claim(
                queue="default", worker_id=worker, limit=free, using="default"
            ):
                pool.submit(one)
            time.sleep(0.005)
        assert pool.join(30)
        pool.close()

    def disturb(self, number: int) -> None:
        luck = random.Random(number)
        while time.monotonic() < self.end:
            if Execution.objects.open().count() < 12:
                durable.start(HuntFamily, {"n": luck.randrange(100)})
            found = Execution.objects.order_by("?").values_list("pk", flat=True)
            for pk in list(found[:3]):
                try:
                    operate(luck.choice(OPERATIONS), pk)
                except DatabaseError as error:
                    self.errors.append(error)


def test_hammering_families_from_all_sides_meets_no_deadlock(in_threads, caplog):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time, and so no deadlocks of rows.")
    caplog.set_level(logging.WARNING, logger="django_durable")
    hunt = Hunt()

    in_threads(
        *(lambda n=n: hunt.work(n) for n in range(2)),
        *(lambda n=n: hunt.disturb(n) for n in range(2)),
    )
    hunt.watchdog.close()

    assert not hunt.errors
    assert "deadlock" not in caplog.text.lower(), caplog.text
    ended = Execution.objects.count() - Execution.objects.open().count()
    assert ended > 5
    drained = time.monotonic() + 60
    while Execution.rows.open().exists():
        drain(limit=100_000)
        time.sleep(0.05)
        stuck = Execution.rows.open().values_list("scope", "status", "waiting_for")
        assert time.monotonic() < drained, list(stuck)
    assert not Wait.objects.filter(status="open").exists()
