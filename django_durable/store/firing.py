"""Firing schedules: each fire time starts one execution.

To fire is one transaction under the lock of the schedule's row: the executions are
inserted and the next fire time is written together, and only if the row is as it was
when the round was planned. So it does not matter who races, or when a process dies. The
idempotency key of the execution says so once more.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from django_durable.engine import scheduling
from django_durable.engine.scheduling import Round
from django_durable.exceptions import ExecutionClosed
from django_durable.models import Execution, Schedule
from django_durable.store import executions, operations, schedules
from django_durable.store.executions import NewExecution
from django_durable.types import ErrorInfo

_MAX_ERROR = 1000


def due(*, limit: int, using: str) -> list[Schedule]:
    """Return schedules that are due by the database's clock, longest first, unlocked."""
    return list(schedules.rows(using).due().with_now().order_by("next_fire_at")[:limit])


def is_due(*, using: str) -> bool:
    """Say whether any schedule is due."""
    return schedules.rows(using).due().exists()


def fire(
    seen: Schedule, plan: Round, new: NewExecution, *, delay: timedelta, using: str
) -> list[Execution] | None:
    """Start what ``plan`` says of ``seen``, and write its next fire time, in one.

    Returns what was started; ``None`` when another process has fired it, or it was
    changed, since it was read.
    """
    with transaction.atomic(using=using):
        row = _lock_unchanged(seen, using)
        if row is None:
            return None
        starts = scheduling.settle_overlap(
            plan.fire_times,
            overlap=row.overlap,
            is_open=_is_open(row.last_execution, using),
        )
        if starts.cancels:
            _cancel_last(row, using)
        scheduled_at = seen.database_now + delay if delay else None
        new = replace(new, scheduled_at=scheduled_at)
        started = [
            executions.create(
                replace(new, idempotency_key=fire_key(row.name, fire_time)), using=using
            )
            for fire_time in starts.fire_times
        ]
        changes: dict[str, Any] = {"next_fire_at": plan.next_fire_at}
        if started:
            changes |= {
                "last_fire_at": starts.fire_times[-1],
                "last_execution": started[-1].pk,
                "failure_count": 0,
                "last_error": "",
            }
        schedules.update(row, using, **changes)
    return started


def fire_key(name: str, fire_time: datetime) -> str:
    """Return the idempotency key of what a schedule starts for a fire time."""
    return f"schedule:{name}:{fire_time.astimezone(UTC).isoformat()}"


def fail(seen: Schedule, error: str, *, next_fire_at: datetime, using: str) -> bool:
    """Record that a schedule could start nothing; ``True`` when that disabled it."""
    with transaction.atomic(using=using):
        row = _lock_unchanged(seen, using)
        if row is None:
            return False
        count = row.failure_count + 1
        changes = {
            "failure_count": count,
            "last_error": error[:_MAX_ERROR],
            "next_fire_at": next_fire_at,
        }
        if is_worn_out := scheduling.is_worn_out(count):
            changes |= {
                "enabled": False,
                "disabled_reason": f"It failed {count} times in a row.",
            }
        schedules.update(row, using, **changes)
    return is_worn_out


def start_now(name: str, new: NewExecution, *, using: str) -> Execution:
    """Start an execution beside the schedule's times, which stay as they are.

    ``overlap`` counts it, unless an older one of the schedule is still open.
    """
    with transaction.atomic(using=using):
        row = schedules.lock(name, using=using)
        started = executions.create(new, using=using)
        if not _is_open(row.last_execution, using):
            schedules.update(row, using, last_execution=started.pk)
    return started


def _is_open(execution_id: UUID | None, using: str) -> bool:
    rows = Execution.objects.using(using).filter(pk=execution_id)
    return execution_id is not None and bool(rows.open().exists())


def _cancel_last(row: Schedule, using: str) -> None:
    assert row.last_execution is not None
    error = ErrorInfo(
        "cancelled", f"The schedule {row.name} starts its next execution."
    )
    try:
        operations.cancel(
            row.last_execution, error=error.as_json(), compensates=False, using=using
        )
    except ExecutionClosed:
        # It has ended by itself in this moment.
        return


def _lock_unchanged(seen: Schedule, using: str) -> Schedule | None:
    """Lock a schedule that is as it was when it was read, and that nobody else fires."""
    unchanged = schedules.rows(using).filter(pk=seen.pk, revision=seen.revision)
    return unchanged.select_for_update(skip_locked=True).first()
