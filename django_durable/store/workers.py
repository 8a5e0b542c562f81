"""Worker processes: who lives, who is dead, and giving back what the dead held.

A worker is dead when its heartbeat is late by a lease or, on PostgreSQL, soon after the
session that holds its advisory lock is gone. One that was only slow finds out when its
next heartbeat fails; what it still writes is refused, for the tokens have grown.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connections, transaction
from django.db.models import F, Q, QuerySet

from django_durable import clock
from django_durable.definition import registry
from django_durable.definition.nodes import (
    BranchNode,
    EachNode,
    LoopNode,
    Node,
    ParallelNode,
    StepNode,
)
from django_durable.engine.retrying import delay_after_loss
from django_durable.models import Execution, Step, Worker
from django_durable.store import announcements, wakeups
from django_durable.store.leases import Lease, held
from django_durable.store.move_rows import due_within
from django_durable.types import ErrorInfo, ExecutionStatus, StepKind, StepStatus

LOCK_CLASS = 0x64757261
"""First key of the advisory locks of workers; the second is the worker's own."""

_BATCH = 100
_KEPT_FOR = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class WorkerLock:
    """The advisory lock that a worker's session holds since ``at`` (database's clock)."""

    key: int
    at: datetime


def register(
    *,
    queues: Mapping[str, int],
    lease: timedelta,
    lock: WorkerLock | None = None,
    using: str,
) -> Worker:
    """Make this process known; ``queues`` is what it takes on at once, by queue."""
    now = clock.db_now()
    worker = Worker(
        hostname=socket.gethostname()[:255],
        pid=os.getpid(),
        queues=dict(queues),
        started_at=now,
        beat_at=now,
        expires_at=clock.due(lease),
        **_columns(lock),
    )
    worker.save(using=using, force_insert=True)
    return worker


def beat(
    worker_id: UUID, *, lease: timedelta, lock: WorkerLock | None = None, using: str
) -> bool:
    """Prolong a worker's life; ``False`` when it counts as dead and must register anew."""
    alive = Worker.objects.using(using).filter(pk=worker_id, is_dead=False)
    return bool(
        alive.update(
            beat_at=clock.db_now(), expires_at=clock.due(lease), **_columns(lock)
        )
    )


def _columns(lock: WorkerLock | None) -> dict[str, Any]:
    if lock is None:
        return {"lock_key": None, "locked_at": None}
    return {"lock_key": lock.key, "locked_at": lock.at}


def retire(worker_id: UUID, *, using: str) -> None:
    """Forget a worker that has ended in good order."""
    Worker.objects.using(using).filter(pk=worker_id).delete()


# A restart of the server drops every lock, so only a lock that was taken since says
# something by its absence.
_UNLOCKED = """
NOT is_dead AND lock_key IS NOT NULL AND locked_at > pg_postmaster_start_time()
AND NOT EXISTS (
    SELECT FROM pg_locks AS l
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.classid = {lock_class} AND l.objid::bigint = lock_key
)
"""


def find_unlocked(*, using: str) -> set[UUID]:
    """Return the workers whose session is gone; one that reconnects is so for a moment."""
    return _unlocked("SELECT id FROM {table} WHERE {unlocked}", [], using)


def bury_unlocked(suspects: Collection[UUID], *, using: str) -> set[UUID]:
    """Mark those of ``suspects`` dead whose session is still gone; return them."""
    return _unlocked(
        "UPDATE {table} SET is_dead = true WHERE id = ANY(%s) AND {unlocked} RETURNING id",
        [list(suspects)],
        using,
    )


def _unlocked(statement: str, params: list[Any], using: str) -> set[UUID]:
    connection = connections[using]
    sql = statement.format(
        table=connection.ops.quote_name(Worker._meta.db_table),
        unlocked=_UNLOCKED.format(lock_class=LOCK_CLASS),
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return {row[0] for row in cursor.fetchall()}


def bury_expired(*, using: str) -> set[UUID]:
    """Mark the workers dead that were not heard of for a lease; return them."""
    expired = Worker.objects.using(using).filter(
        is_dead=False, expires_at__lt=clock.db_now()
    )
    # Looking comes first, because a write that changes nothing still waits for SQLite's
    # lock. Of two that look, one writes.
    found = expired.values_list("pk", flat=True)[:_BATCH]
    return {pk for pk in list(found) if expired.filter(pk=pk).update(is_dead=True)}


def forget_dead(*, using: str) -> None:
    """Delete workers that have been dead for a day."""
    Worker.objects.using(using).filter(
        is_dead=True, expires_at__lt=clock.due(-_KEPT_FOR)
    ).delete()


def release_lost(*, limit: int = _BATCH, using: str) -> int:
    """Give back what dead and unknown workers hold; each attempt counts as lost.

    Returns how many executions were given back. One that killed its worker before rests
    for a while, so that it does not take the next worker with it at once.
    """
    owners = _lost_owners(limit, using)
    if not owners:
        return 0
    names: dict[UUID | None, str] = {
        worker.pk: f"The worker {worker}"
        for worker in Worker.objects.using(using).filter(pk__in=owners)
    }
    with transaction.atomic(using=using):
        # A worker never comes back to life, so what these hold is lost whatever has
        # changed since they were found.
        rows = _locked(Q(leased_by__in=owners), limit, using)
        for row in rows:
            owner = names.get(row.leased_by, "Its worker")
            _lose(row, f"{owner} died, or hung for longer than its lease.", using)
        _notify(rows, using)
    return len(rows)


def _lost_owners(limit: int, using: str) -> list[UUID]:
    alive = Worker.objects.using(using).filter(is_dead=False).values("pk")
    lost = Execution.rows.using(using).leased().exclude(leased_by__in=alive)
    owners = lost.order_by().values_list("leased_by", flat=True).distinct()[:limit]
    return [owner for owner in owners if owner]


def lose(lease: Lease, reason: str) -> None:
    """Give back one execution whose run broke off; its attempt counts as lost."""
    with transaction.atomic(using=lease.using):
        row = held(lease).defer("input", "data").select_for_update().first()
        if row is not None:
            _lose(row, reason, lease.using)
            _notify([row], lease.using)


def release(worker_id: UUID, *, keep: Collection[UUID] = (), using: str) -> int:
    """Give back what a worker holds, except ``keep``; no attempt is counted.

    Claimable at once. Returns how many executions were given back.
    """
    count = 0
    while rows := _release_batch(Q(leased_by=worker_id) & ~Q(pk__in=keep), using):
        count += rows
    return count


def _release_batch(which: Q, using: str) -> int:
    with transaction.atomic(using=using):
        rows = _locked(which, _BATCH, using)
        for row in rows:
            _give_back(row, timedelta(0), using)
        _notify(rows, using)
    return len(rows)


def _locked(which: Q, limit: int, using: str) -> list[Execution]:
    """Lock leased executions, ancestors first, for the rest of the transaction."""
    rows: QuerySet[Execution] = Execution.rows.using(using).leased().filter(which)
    rows = rows.defer("input", "data").select_for_update(skip_locked=True)
    return list(rows.order_by("pk")[:limit])


def _lose(row: Execution, reason: str, using: str) -> None:
    """Record the attempt of a locked execution as lost, and let another one come."""
    path, kind = _stands_at(row)
    step = Step(
        execution_id=row.owner_id,
        lane=row.pk if row.is_lane else None,
        path=path,
        kind=kind,
        sequence=row.sequence,
        attempt=row.attempt,
        status=StepStatus.LOST,
        error=ErrorInfo("worker_lost", reason, path).as_json(),
        started_at=row.step_started_at or clock.db_now(),
        completed_at=clock.db_now(),
    )
    step.save(using=using, force_insert=True)
    announcements.step_lost(step, row.workflow, using=using)
    _give_back(
        row,
        delay_after_loss(row.attempt),
        using,
        attempt=row.attempt + 1,
        step_started_at=None,
    )


def _stands_at(row: Execution) -> tuple[str, StepKind]:
    """Return path and kind of the node that ran, as far as this process's code knows."""
    workflow = registry.find(row.workflow)
    if row.status == ExecutionStatus.COMPENSATING:
        return row.current_step, StepKind.COMPENSATION
    if workflow is None:
        return row.current_step, StepKind.STEP
    path = row.current_step or workflow.definition.first(row.scope) or ""
    return path, _kind_of(workflow.definition.find(path))


def _kind_of(node: Node | None) -> StepKind:
    match node:
        case None:
            return StepKind.STEP
        case StepNode(kind=kind):
            return kind
        case BranchNode():
            return StepKind.BRANCH
        case LoopNode():
            return StepKind.LOOP
        case ParallelNode() | EachNode():
            return node.join.kind


def _give_back(row: Execution, delay: timedelta, using: str, **changes: Any) -> None:
    """Take a locked execution from its worker; a paused one stays paused."""
    due = due_within(delay, row.expires_at)
    if row.status == ExecutionStatus.PAUSED:
        changes["resumes_at"] = due
    else:
        is_undoing = row.status == ExecutionStatus.COMPENSATING
        status = row.status if is_undoing else ExecutionStatus.PENDING
        changes |= {"status": status, "available_at": due}
    Execution.rows.using(using).filter(pk=row.pk).update(
        leased_by=None, lease_token=F("lease_token") + 1, **changes
    )


def _notify(rows: Collection[Execution], using: str) -> None:
    wakeups.notify({row.queue for row in rows}, using=using)


def is_due(queues: Collection[str], *, within: timedelta, using: str) -> bool:
    """Say whether anything of ``queues`` may be claimed now, or ``within`` that delay."""
    return _open_rows(Q(available_at__lte=clock.due(within)), queues, using)


def is_idle(queues: Collection[str], *, within: timedelta, using: str) -> bool:
    """Say whether no worker runs anything of ``queues`` and nothing is due ``within``."""
    # One statement: between two, something due could become something that runs.
    is_open = Q(leased_by__isnull=False) | Q(available_at__lte=clock.due(within))
    return not _open_rows(is_open, queues, using)


def _open_rows(which: Q, queues: Collection[str], using: str) -> bool:
    rows = Execution.rows.using(using).filter(which, queue__in=list(queues))
    return rows.exists()
