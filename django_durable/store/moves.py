"""A ``Move``: all that changes about one leased execution at once, and its writing.

A worker's hot path is made of moves only: checkpoint, complete, retry, snooze, park,
hand over. Each is one value; on PostgreSQL any number of them is one fenced statement
and one commit, elsewhere each is one short transaction. A move whose lease is lost
changes nothing and does not disturb the others.
"""

from __future__ import annotations

import json
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

    A new ``sequence`` begins a new step visit, whose durable calls start from none.

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


@dataclass(frozen=True, slots=True)
class Moved:
    """A move that was written: the status that the row has now, and the instant."""

    status: ExecutionStatus
    at: datetime


def write(moves: Sequence[Move], *, using: str) -> list[Moved | None]:
    """Write the moves; each gives its ``Moved``, or ``None`` when its lease is lost."""
    if connections[using].vendor == "postgresql":
        return _write_by_statement(moves, using)
    return [_write_by_rows(move) for move in moves]


_WRITE = """
WITH move AS (
    SELECT *, COALESCE(%s::timestamptz, statement_timestamp()) AS now
    FROM json_to_recordset(%s) AS m(
        id uuid, token bigint, status text, position text, sequence int, attempt int,
        data jsonb, error jsonb, due_at timestamptz, due_in float8, queue text,
        waiting_for text, is_final bool, keeps_lease bool
    )
){locked}, moved AS (
    UPDATE {execution} AS e SET
        status = CASE WHEN e.status = 'paused' AND NOT m.is_final
            THEN 'paused' ELSE m.status END,
        current_step = m.position,
        sequence = m.sequence,
        attempt = m.attempt,
        calls = CASE WHEN e.sequence = m.sequence THEN e.calls ELSE 0 END,
        data = COALESCE(m.data, e.data),
        error = m.error,
        expires_at = CASE WHEN m.error IS NULL THEN e.expires_at END,
        queue = COALESCE(m.queue, e.queue),
        waiting_for = CASE WHEN e.status = 'paused' AND NOT m.is_final
            THEN e.waiting_for ELSE m.waiting_for END,
        available_at = CASE WHEN e.status = 'paused' OR m.is_final OR m.keeps_lease
            THEN NULL ELSE LEAST(
                COALESCE(m.due_at, m.now + make_interval(secs => m.due_in)), e.expires_at
            ) END,
        resumes_at = CASE WHEN e.status = 'paused' AND NOT m.is_final
            THEN LEAST(
                COALESCE(m.due_at, m.now + make_interval(secs => COALESCE(m.due_in, 0))),
                e.expires_at
            ) END,
        leased_by = CASE WHEN e.status <> 'paused' AND m.keeps_lease
            THEN e.leased_by END,
        step_started_at = CASE WHEN e.status <> 'paused' AND m.keeps_lease
            THEN m.now END,
        completed_at = CASE WHEN m.is_final THEN m.now END
    FROM move AS m
    WHERE e.id = m.id AND e.lease_token = m.token AND e.leased_by IS NOT NULL
        AND e.status IN ('running', 'compensating', 'paused'){in_order}
    RETURNING e.id, e.status, m.now
), recorded AS (
    INSERT INTO {step} (
        id, execution_id, lane, undoes, path, kind, sequence, attempt, status, output,
        error, started_at, completed_at
    )
    SELECT s.id, s.execution_id, s.lane, s.undoes, s.path, s.kind, s.sequence,
        s.attempt, s.status, s.output, s.error, s.started_at, moved.now
    FROM json_to_recordset(%s) AS s(
        id uuid, runner uuid, execution_id uuid, lane uuid, undoes uuid, path text,
        kind text, sequence int, attempt int, status text, output jsonb, error jsonb,
        started_at timestamptz
    ) JOIN moved ON moved.id = s.runner
    ON CONFLICT (id) DO NOTHING
)
SELECT id, status, now FROM moved
"""


# A statement updates its rows in any order. Whoever cancels a family locks several of
# them too, in order of id, so here as well they are all locked first, in that order.
_LOCKED = """, locked AS MATERIALIZED (
    SELECT e.id FROM {execution} AS e WHERE e.id IN (SELECT id FROM move)
    ORDER BY e.id FOR UPDATE
)"""
_IN_ORDER = " AND e.id = ANY (ARRAY(SELECT id FROM locked))"


def _write_by_statement(moves: Sequence[Move], using: str) -> list[Moved | None]:
    connection = connections[using]
    table = connection.ops.quote_name(Execution._meta.db_table)
    is_batch = len(moves) > 1
    sql = _WRITE.format(
        locked=_LOCKED.format(execution=table) if is_batch else "",
        in_order=_IN_ORDER if is_batch else "",
        execution=table,
        step=connection.ops.quote_name(Step._meta.db_table),
    )
    steps = [_step_row(move.lease, move.step) for move in moves if move.step]
    rows = [_move_row(move) for move in moves]
    params = (clock.frozen_instant(), _json(rows), _json(steps))
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        moved = {
            row[0]: Moved(ExecutionStatus(row[1]), row[2]) for row in cursor.fetchall()
        }
    return [moved.get(move.lease.execution_id) for move in moves]


def _move_row(move: Move) -> Tree:
    due = move.due
    return {
        "id": str(move.lease.execution_id),
        "token": move.lease.token,
        "status": move.status,
        "position": move.position or "",
        "sequence": move.sequence,
        "attempt": move.attempt,
        "data": move.data,
        "error": move.error,
        "due_at": due.isoformat() if isinstance(due, datetime) else None,
        "due_in": due.total_seconds() if isinstance(due, timedelta) else None,
        "queue": move.queue,
        "waiting_for": move.waiting_for,
        "is_final": move.status in FINAL,
        "keeps_lease": move.keeps_lease,
    }


def _step_row(lease: Lease, step: StepEnd) -> Tree:
    return {
        "id": str(step.id),
        "runner": str(lease.execution_id),
        "execution_id": str(lease.owner_id),
        "lane": str(lease.lane) if lease.lane else None,
        "undoes": str(step.undoes) if step.undoes else None,
        "path": step.path,
        "kind": step.kind,
        "sequence": step.sequence,
        "attempt": step.attempt,
        "status": step.status,
        "output": step.output,
        "error": step.error,
        "started_at": step.started_at.isoformat(),
    }


def _json(rows: list[Tree]) -> str:
    """Return rows as one parameter: quicker to hand over than an array per column."""
    return json.dumps(rows, ensure_ascii=False)


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
