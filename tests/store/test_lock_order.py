"""Rows are locked in order of id, ancestors first, so that nobody waits in a circle."""

from __future__ import annotations

import threading
from dataclasses import replace
from uuid import UUID

import pytest
from django.db import OperationalError, connection, connections, transaction

import django_durable as durable
from django_durable import (
    Lane,
    Parallel,
    WaitForApproval,
    WaitForEvent,
    Workflow,
    call_workflow,
    step,
    wait_for_all,
)
from django_durable.models import Event, Execution
from django_durable.store import moves, waits
from django_durable.store.moves import Busy, Move
from django_durable.types import ExecutionStatus
from tests.factories import claim, run, wait_until_somebody_waits

pytestmark = [
    pytest.mark.usefixtures("transactional_db"),
    pytest.mark.skipif(
        connection.vendor != "postgresql",
        reason="elsewhere moves are written one by one",
    ),
]


class Locked(Workflow, name="lock_order"):
    @step
    def work(self): ...


def test_a_batch_of_moves_locks_its_rows_in_order_of_id():
    """Somebody has locked the first row, and then asks for the last one too."""
    durable.start_many(Locked, [{}] * 8)
    claimed = sorted(claim(), key=lambda one: one.lease.execution_id)
    batch = [
        Move(
            lease=one.lease,
            status=ExecutionStatus.COMPLETED,
            position="work",
            sequence=1,
            attempt=1,
        )
        for one in reversed(claimed)
    ]
    first, last = claimed[0].lease.execution_id, claimed[-1].lease.execution_id
    written: list[object] = []

    def write():
        try:
            written.extend(moves.write(batch, using="default"))
        finally:
            connections.close_all()

    with transaction.atomic():
        Execution.rows.select_for_update().get(pk=first)
        thread = threading.Thread(target=write)
        thread.start()
        wait_until_somebody_waits()
        Execution.rows.select_for_update(nowait=True).get(pk=last)
    thread.join(20)

    assert len(written) == 8
    assert None not in written


def test_of_a_batch_only_the_rows_that_others_hold_are_left_out():
    durable.start_many(Locked, [{}] * 3)
    batch = [
        Move(
            lease=one.lease,
            status=ExecutionStatus.COMPLETED,
            position="work",
            sequence=1,
            attempt=1,
        )
        for one in claim()
    ]
    lost = replace(batch[2], lease=replace(batch[2].lease, token=9))
    written: list[object] = []

    def write():
        try:
            written.extend(moves.write_free([*batch[:2], lost], using="default"))
        finally:
            connections.close_all()

    with transaction.atomic():
        Execution.rows.select_for_update().get(pk=batch[0].lease.execution_id)
        thread = threading.Thread(target=write)
        thread.start()
        thread.join(20)

    held, free, refused = written
    assert held is Busy.BUSY
    assert free.status == "completed"
    assert refused is None
    assert moves.write(batch[:1], using="default") != [None]


class TwoListen(Workflow, name="lock_order_lanes"):
    class Both(Parallel):
        class First(Lane):
            news = WaitForEvent("news")
            ok = WaitForApproval()

        class Second(Lane):
            @step
            def listen(self):
                wait_for_all(["news", "weather"])


def two_lanes() -> tuple[Execution, list[UUID]]:
    """Start an execution whose second lane has waited for longer than the first."""
    execution = durable.start(TwoListen)
    run(claim()[0])
    lanes = sorted(claim(), key=lambda one: one.lease.execution_id)
    for lane in reversed(lanes):
        run(lane)
    return execution, [lane.lease.execution_id for lane in lanes]


def test_an_event_passes_a_lane_that_has_it_already_without_keeping_its_lock(
    monkeypatch,
):
    """Somebody cancels both lanes, in order of id, while the event looks for its wait."""
    execution, (first, second) = two_lanes()
    durable.send_event(execution, "news", 1)
    has_passed, errors = threading.Event(), []
    deliver_events = waits.deliver_events

    def deliver_and_linger(wait, **options):
        delivery = deliver_events(wait, **options)
        if wait.lane == second:
            has_passed.set()
            wait_until_somebody_waits()
        return delivery

    monkeypatch.setattr(waits, "deliver_events", deliver_and_linger)

    def lock_both():
        assert has_passed.wait(10)
        try:
            with transaction.atomic():
                for lane in (first, second):
                    Execution.rows.select_for_update().get(pk=lane)
        except OperationalError as error:
            errors.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=lock_both)
    thread.start()
    durable.send_event(execution, "news", 2)
    thread.join(20)

    assert not errors
    taken = Event.objects.order_by("id").values_list("taken_by__lane", flat=True)
    assert list(taken) == [second, first]


def test_an_event_that_a_wait_has_taken_locks_no_other_lane():
    execution, (first, _) = two_lanes()

    with transaction.atomic():
        durable.send_event(execution, "news", 1)
        assert may_be_locked(first)


class DeepChild(Workflow, name="lock_order_child"):
    class Both(Parallel):
        @step
        def one(self): ...

        @step
        def two(self): ...


class Deep(Workflow, name="lock_order_deep"):
    class Outer(Parallel):
        class Calls(Lane):
            @step
            def call(self):
                call_workflow(DeepChild, {})

        class Opens(Lane):
            class Inner(Parallel):
                @step
                def one(self): ...

                @step
                def two(self): ...


def test_a_family_is_cancelled_in_order_of_id_and_not_of_levels():
    """A batch of moves has locked a grandchild, and then asks for a younger child."""
    execution = durable.start(Deep)
    run(claim()[0])
    calls, opens = sorted(claim(), key=lambda one: one.lease.execution_id)
    run(calls)
    run(claim()[0])
    run(opens)
    grandchild = Execution.rows.filter(scope="both.one").get()
    child = Execution.rows.filter(scope__endswith="inner.one").get()
    assert grandchild.pk < child.pk
    errors: list[Exception] = []

    def cancel():
        try:
            durable.cancel(execution)
        except OperationalError as error:
            errors.append(error)
        finally:
            connections.close_all()

    with transaction.atomic():
        Execution.rows.select_for_update().get(pk=grandchild.pk)
        thread = threading.Thread(target=cancel)
        thread.start()
        wait_until_somebody_waits()
        Execution.rows.select_for_update(nowait=True).get(pk=child.pk)
    thread.join(20)

    assert not errors
    assert not Execution.rows.open().exists()


def may_be_locked(lane: UUID) -> bool:
    """Say whether another session may lock a lane now."""
    found: list[bool] = []

    def look():
        with transaction.atomic():
            rows = Execution.rows.select_for_update(skip_locked=True)
            found.append(rows.filter(pk=lane).exists())
        connections.close_all()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join(20)
    return found == [True]
