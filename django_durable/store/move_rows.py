"""Moves where the database is not PostgreSQL: a few statements in one transaction.

What the columns become is said here in Python, and in ``move_statement`` in SQL; the
same tests hold for both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import connections, transaction
from django.db.models import Value
from django.db.models.functions import Least

from django_durable import clock
from django_durable.models import Execution, Step, Wait
from django_durable.models.execution import FINAL
from django_durable.models.fields import Encoded
from django_durable.store import inserts, wakeups
from django_durable.store.leases import HELD, Lease, now_in
from django_durable.types import ExecutionStatus, Moment

if TYPE_CHECKING:
    from django_durable.store.moves import Move, Opening, StepEnd

_READ = ("status", "expires_at", "sequence", "calls", "lease_token", "leased_by")


def send(
    moves: Sequence[Move], *, using: str
) -> dict[int, tuple[str, datetime] | None]:
    """Write moves; return status and instant by number, ``None`` for a lost lease."""
    with transaction.atomic(using=using):
        rows = _lock((move.lease.execution_id for move in moves), using)
        # One instant for all, or what one clock ends another may not have begun.
        at = now_in(using)
        found = [rows.get(move.lease.execution_id) for move in moves]
        held = {
            number: _changes(move, row, at)
            for number, (move, row) in enumerate(zip(moves, found, strict=True))
            if row is not None and row.lease_token == move.lease.token
        }
        _update([(moves[number].lease, held[number]) for number in held], using)
        written = [moves[number] for number in held]
        _record([(move.lease, move.step) for move in written if move.step], at, using)
        for number in held:
            if opens := moves[number].opens:
                is_paused = held[number]["status"] == ExecutionStatus.PAUSED
                _open(opens, using, is_paused=is_paused)
        wakeups.notify({move.queue for move in written if move.queue}, using=using)
    return {
        number: (held[number]["status"], at) if number in held else None
        for number in range(len(moves))
    }


def _lock(ids: Iterable[UUID], using: str) -> dict[UUID, Execution]:
    """Lock rows that somebody has leased, in order of id."""
    rows = Execution.rows.using(using).filter(
        pk__in=list(ids), leased_by__isnull=False, status__in=HELD
    )
    found = rows.select_for_update().order_by("id").only(*_READ)
    return {row.pk: row for row in found}


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
        "leased_by": row.leased_by if keeps_lease else None,
        "step_started_at": at if keeps_lease else None,
        "completed_at": at if is_final else None,
    }
    if move.sequence != row.sequence:
        changes["calls"] = 0
    if move.opens is not None:
        changes |= {"calls": row.calls + 1, **_opening(move.opens)}
    if move.data is not None:
        changes["data"] = Encoded(move.data)
    if move.queue is not None:
        changes["queue"] = move.queue
    if stays_paused:
        due = timedelta(0) if move.keeps_lease else move.due
        changes["resumes_at"] = due_within(due, expires_at)
    else:
        changes["waiting_for"] = move.waiting_for
        if not is_final and not keeps_lease:
            changes["available_at"] = due_within(move.due, expires_at)
    return changes


def _opening(opens: Opening) -> dict[str, Any]:
    return {"open_lanes": len(opens.lanes), "lane_limit": opens.limit}


def due_within(due: Moment | None, expires_at: datetime | None) -> Any:
    """Return when an execution is due, at the latest when its workflow times out."""
    if due is None:
        return expires_at
    if expires_at is None:
        return clock.due(due)
    return Least(clock.due(due), Value(expires_at))


def _update(changed: Iterable[tuple[Lease, dict[str, Any]]], using: str) -> None:
    """Update rows that are locked.

    Most of them change to plain values, and in the same columns: these need no more
    than the ORM's knowledge of columns, and no query that is compiled for each.
    """
    alike: defaultdict[tuple[str, ...], list[list[Any]]] = defaultdict(list)
    for lease, changes in changed:
        if any(hasattr(value, "resolve_expression") for value in changes.values()):
            rows = Execution.rows.using(using).filter(pk=lease.execution_id)
            rows.update(**changes)
        else:
            alike[tuple(changes)].append([*changes.values(), lease.execution_id])
    connection = connections[using]
    with connection.cursor() as cursor:
        for names, values in alike.items():
            fields = [_field(name) for name in (*names, "id")]
            params = [
                [
                    field.get_db_prep_save(value, connection)
                    for field, value in zip(fields, row, strict=True)
                ]
                for row in values
            ]
            cursor.executemany(_update_sql(names, using), params)


def _field(name: str) -> Any:
    return Execution._meta.get_field(name)


@cache
def _update_sql(names: tuple[str, ...], using: str) -> str:
    quoted = connections[using].ops.quote_name
    changes = ", ".join(f"{quoted(_field(name).column)} = %s" for name in names)
    table = quoted(Execution._meta.db_table)
    return f"UPDATE {table} SET {changes} WHERE id = %s"  # noqa: S608


def _record(ended: Iterable[tuple[Lease, StepEnd]], at: datetime, using: str) -> None:
    rows = [
        Step(
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
        for lease, step in ended
    ]
    Step.objects.using(using).bulk_create(rows, ignore_conflicts=True)


def _open(opens: Opening, using: str, *, is_paused: bool) -> None:
    lanes = [_paused(lane) for lane in opens.lanes] if is_paused else opens.lanes
    wakes = {lane.queue for lane in lanes if lane.available_at}
    inserts.insert(lanes, wakes=wakes, using=using)
    Wait.objects.using(using).bulk_create([opens.wait])


def _paused(lane: Execution) -> Execution:
    columns = {"available_at": None, "resumes_at": lane.available_at}
    return inserts.like(lane, status=ExecutionStatus.PAUSED, **columns)
