"""``run_now``: let what stands still only for a time go on at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Case, Value, When

from django_durable import clock
from django_durable.exceptions import NothingToSkip
from django_durable.models import Execution, Wait
from django_durable.store import wakeups
from django_durable.store.executions import lock, refuse_closed
from django_durable.store.operations import with_lanes
from django_durable.types import ExecutionStatus, WaitKind, WaitStatus

_REMEDIES: Mapping[str, str] = {
    WaitKind.EVENT: "Send the event with send_event().",
    WaitKind.ANY: "Send one of them with send_event().",
    WaitKind.ALL: "Send them with send_event().",
    WaitKind.INPUT: "Answer it with provide_input().",
    WaitKind.CHILD: "Call run_now() for that one, or cancel it: {child}.",
    WaitKind.LANES: "None of them waits only for a time; they wait for {lanes}.",
}

_Waits = Mapping[UUID, Wait]


def run_now(execution_id: UUID, *, using: str) -> None:
    """Make an execution claimable that sleeps, backs off, snoozes or is to start later.

    Of one that waits for its lanes, those of them go on that stand so. What goes on is
    next in its queue among what has its priority. Raises ``NothingToSkip``.
    """
    with transaction.atomic(using=using):
        row = lock(execution_id, using=using)
        refuse_closed(row)
        asked = _open_waits(row, using)
        rows = [row]
        if (wait := asked.get(row.pk)) and wait.kind == WaitKind.LANES:
            rows = with_lanes(row, using)
            # Read again, for a lane closes its own waits under its own lock.
            asked = _open_waits(row, using)
        standing = [one for one in rows if _waits_for_time(one, asked.get(one.pk))]
        if not standing:
            raise NothingToSkip(_why_nothing(row, rows, asked))
        sleeps = [asked[one.pk].pk for one in standing if one.pk in asked]
        Wait.objects.using(using).filter(pk__in=sleeps).update(
            status=WaitStatus.SATISFIED, closed_at=clock.db_now()
        )
        _go_first(standing, using)


def has_member_due_later(row: Execution) -> bool:
    """Say whether a lane of an execution waits for nothing but a time."""
    using = row._state.db
    asked = Wait.objects.using(using).filter(
        execution=row, status=WaitStatus.OPEN, kind=WaitKind.SLEEP
    )
    lanes = Execution.rows.using(using).filter(parent=row, is_lane=True)
    later = lanes.filter(
        status=ExecutionStatus.PENDING, available_at__gt=clock.db_now()
    )
    return asked.exclude(lane=None).exists() or later.exists()


def _open_waits(row: Execution, using: str) -> _Waits:
    """Return what an execution and its lanes wait for, by who waits."""
    owner = row.parent_id if row.is_lane else row.pk
    found = Wait.objects.using(using).filter(execution=owner, status=WaitStatus.OPEN)
    return {wait.lane or wait.execution_id: wait for wait in found}


def _waits_for_time(row: Execution, wait: Wait | None) -> bool:
    """Say whether nothing but a time, or its turn in the queue, has to come."""
    if row.leased_by is not None or row.status == ExecutionStatus.PAUSED:
        return False
    if wait is None:
        return row.available_at is not None
    return wait.kind == WaitKind.SLEEP


def _go_first(rows: Sequence[Execution], using: str) -> None:
    """Make locked rows claimable before all that has their priority."""

    def place(row: Execution) -> tuple[str, int]:
        return row.queue, row.priority

    for (queue, priority), group in groupby(sorted(rows, key=place), key=place):
        Execution.rows.using(using).filter(pk__in=[row.pk for row in group]).update(
            status=_STATUS,
            available_at=_before_others(queue, priority, using),
            waiting_for="",
        )
    wakeups.notify({row.queue for row in rows}, using=using)


_STATUS = Case(
    When(status=ExecutionStatus.COMPENSATING.value, then="status"),
    default=Value(ExecutionStatus.PENDING.value),
)


def _before_others(queue: str, priority: int, using: str) -> Any:
    """Return when what is to be claimed next of a queue and priority is due."""
    claimable = Execution.rows.using(using).claimable(queue=queue)
    due = claimable.filter(priority=priority).order_by("available_at")
    first = due.values_list("available_at", flat=True).first()
    return clock.db_now() if first is None else first - timedelta(milliseconds=1)


def _why_nothing(row: Execution, rows: Sequence[Execution], asked: _Waits) -> str:
    """Say what an execution waits for instead, and what to do about that."""
    name, wait = f"Execution {row.pk}", asked.get(row.pk)
    if row.status == ExecutionStatus.PAUSED:
        return f"{name} is paused. Take the pause back with resume() first."
    if row.leased_by is not None:
        return f"{name} runs already, at {row.current_step or 'its first step'}."
    if wait is None:
        return f"{name} waits for {row.waiting_for}. It begins when one of them ends."
    remedy = _REMEDIES[wait.kind].format(
        child=wait.child, lanes=_sentences(rows[1:], asked)
    )
    return f"{name} waits for {wait.sentence}, which cannot be skipped. {remedy}"


def _sentences(lanes: Iterable[Execution], asked: _Waits) -> str:
    """Return what some lanes wait for, each thing once."""
    found = {
        "the end of a step"
        if lane.leased_by
        else asked[lane.pk].sentence
        if lane.pk in asked
        else lane.waiting_for
        for lane in lanes
    }
    few = sorted(found)[:_MOST_TOLD]
    return "; ".join([*few, "…"] if len(found) > len(few) else few) or "nothing"


_MOST_TOLD = 3
