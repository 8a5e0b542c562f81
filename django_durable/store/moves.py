"""A ``Move``: all that changes about one leased execution at once, and its writing.

A worker's hot path is made of moves only: checkpoint, complete, retry, snooze, park,
hand over. Each is one value; on PostgreSQL any number of them is one fenced statement
and one commit (``move_statement``), elsewhere each is one short transaction, written
here. A move whose lease is lost changes nothing and does not disturb the others.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connections, transaction
from django.db.models import F, Value
from django.db.models.functions import Least

from django_durable import clock
from django_durable.ids import new_id
from django_durable.models import Execution, Step
from django_durable.models.execution import FINAL
from django_durable.models.fields import Encoded
from django_durable.store import move_statement, wakeups
from django_durable.store.leases import Lease, held, now_in
from django_durable.types import ExecutionStatus, Moment, StepKind, StepStatus, Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnd:
    """The end of one attempt, as it is recorded; ``started_at`` is the database's.

    It has its id from the start, so that writing it twice records it once.
    """

    path: str
    kind: StepKind
    sequence: int
    attempt: int
    status: StepStatus
    started_at: datetime
    output: Tree | None = None
    error: Tree | None = None
    undoes: UUID | None = None
    id: UUID = field(default_factory=new_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Where a leased execution goes. What is ``None`` in ``data`` and ``queue`` stays.

    ``adds_output``: the data is what it was, with the output of ``step`` laid over it,
    so that no more than this output has to be sent.

    A new ``sequence`` begins a new step visit, whose durable calls start from none. A
    move that records a step leads elsewhere: to another sequence, attempt or status.

    With ``keeps_lease`` the next step begins at once; else the lease is given back, and
    ``due`` is when a worker may claim it again; ``None``: when something wakes it. A
    paused execution stays paused, and keeps ``due`` for later.
    """

    lease: Lease
    status: ExecutionStatus
    position: str | None
    sequence: int
    attempt: int
    data: Tree | None = None
    error: Tree | None = None
    due: Moment | None = None
    queue: str | None = None
    waiting_for: str = ""
    step: StepEnd | None = None
    keeps_lease: bool = False
    adds_output: bool = False


@dataclass(frozen=True, slots=True)
class Moved:
    """A move that was written: the status that the row has now, and the instant."""

    status: ExecutionStatus
    at: datetime


class Busy(enum.Enum):
    """Stands for a move whose row another transaction holds: it is not written yet."""

    BUSY = "busy"


def write(moves: Sequence[Move], *, using: str) -> list[Moved | None]:
    """Write the moves; each gives its ``Moved``, or ``None`` when its lease is lost.

    Rows that another transaction holds are waited for.
    """
    if connections[using].vendor != "postgresql":
        return [_write_by_rows(move) for move in moves]
    written = move_statement.send(moves, waits=True, using=using)
    return [_moved(written.get(number)) for number in range(len(moves))]


def write_free(moves: Sequence[Move], *, using: str) -> list[Moved | Busy | None]:
    """Write the moves whose rows nobody holds.

    Who cancels an execution, or sends it an event, may take long to commit: the others
    do not wait for that.
    """
    if connections[using].vendor != "postgresql":
        return [_write_by_rows(move) for move in moves]
    written = move_statement.send(moves, waits=False, using=using)
    return [
        _moved(written[number]) if number in written else Busy.BUSY
        for number in range(len(moves))
    ]


def _moved(row: tuple[str, datetime] | None) -> Moved | None:
    return None if row is None else Moved(ExecutionStatus(row[0]), row[1])


def _write_by_rows(move: Move) -> Moved | None:
    """Write one move with the ORM alone, in one transaction."""
    using = move.lease.using
    with transaction.atomic(using=using):
        row = (
            held(move.lease)
            .select_for_update()
            .only("status", "expires_at", "sequence")
            .first()
        )
        if row is None:
            return None
        # One instant for all, or what one clock ends another may not have begun.
        at = now_in(using)
        changes = _changes(move, row, at)
        held(move.lease).update(**changes)
        if move.step:
            _record(move.lease, move.step, at)
        if move.queue is not None:
            wakeups.notify([move.queue], using=using)
    return Moved(ExecutionStatus(changes["status"]), at)


def _changes(move: Move, row: Execution, at: datetime) -> dict[str, Any]:
    """Return what the row's columns become; the statement above says the same in SQL."""
    is_paused, is_final = row.status == ExecutionStatus.PAUSED, move.status in FINAL
    stays_paused = is_paused and not is_final
    # What has failed is undone without regard to the workflow's timeout.
    expires_at = row.expires_at if move.error is None else None
    keeps_lease = move.keeps_lease and not is_paused
    status = ExecutionStatus.PAUSED if stays_paused else move.status
    changes: dict[str, Any] = {
        "status": status.value,
        "current_step": move.position or "",
        "sequence": move.sequence,
        "attempt": move.attempt,
        "error": move.error,
        "expires_at": expires_at,
        "available_at": None,
        "resumes_at": None,
        "leased_by": F("leased_by") if keeps_lease else None,
        "step_started_at": at if keeps_lease else None,
        "completed_at": at if is_final else None,
    }
    if move.sequence != row.sequence:
        changes["calls"] = 0
    if move.data is not None:
        changes["data"] = Encoded(move.data)
    if move.queue is not None:
        changes["queue"] = move.queue
    if stays_paused:
        changes["resumes_at"] = due_within(move.due or timedelta(0), expires_at)
    else:
        changes["waiting_for"] = move.waiting_for
        if not is_final and not keeps_lease:
            changes["available_at"] = due_within(move.due, expires_at)
    return changes


def due_within(due: Moment | None, expires_at: datetime | None) -> Any:
    """Return when an execution is due, at the latest when its workflow times out."""
    if due is None:
        return expires_at
    if expires_at is None:
        return clock.due(due)
    return Least(clock.due(due), Value(expires_at))


def _record(lease: Lease, step: StepEnd, at: datetime) -> None:
    row = Step(
        id=step.id,
        execution_id=lease.owner_id,
        lane=lease.lane,
        undoes=step.undoes,
        path=step.path,
        kind=step.kind,
        sequence=step.sequence,
        attempt=step.attempt,
        status=step.status,
        output=None if step.output is None else Encoded(step.output),
        error=step.error,
        started_at=step.started_at,
        completed_at=at,
    )
    Step.objects.using(lease.using).bulk_create([row], ignore_conflicts=True)
