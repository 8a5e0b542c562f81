"""Executions: made by ``start``, and moved by operators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q

from django_durable import clock
from django_durable.exceptions import ExecutionClosed, ExecutionNotFound
from django_durable.ids import new_id
from django_durable.models import Execution, InputRequest, Wait
from django_durable.models.fields import Encoded, PayloadField
from django_durable.store import inserts, wakeups
from django_durable.types import ExecutionStatus, Tree, WaitStatus

LEAVING = "its deletion"
"""What a failed execution waits for that retention has begun to delete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewExecution:
    """What ``start`` asks for; ``input`` is encoded, ``position`` the first node."""

    workflow: str
    input: Tree
    queue: str
    position: str = ""
    priority: int = 0
    scheduled_at: datetime | None = None
    idempotency_key: str | None = None
    tags: Sequence[str] = ()
    timeout: timedelta | None = None
    extra: dict[str, Any] = field(default_factory=dict)


def create(new: NewExecution, *, using: str) -> Execution:
    """Insert an execution, or return the one that has its idempotency key already.

    Takes part in the caller's transaction: rolled back, it never happened.
    """
    row = _row(new)
    if new.idempotency_key is None:
        _insert([row], using)
        return row
    known = Execution.rows.using(using).filter(
        workflow=new.workflow, idempotency_key=new.idempotency_key
    )
    if found := known.first():
        return _known(found)
    try:
        # A savepoint, so that losing the race leaves the caller's transaction usable.
        with transaction.atomic(using=using):
            _insert([row], using)
    except IntegrityError:
        if found := known.first():
            return _known(found)
        raise
    return row


def create_many(
    new: NewExecution, trees: Sequence[Tree], *, using: str
) -> list[Execution]:
    """Insert executions like ``new``, one for each of the encoded inputs ``trees``.

    That takes one statement (per parameter limit of the database).
    """
    pattern = _row(new)
    payloads = map(Encoded, trees)
    rows = [
        inserts.like(pattern, id=new_id(), input=payload, data=payload)
        for payload in payloads
    ]
    if rows:
        _insert(rows, using)
    return rows


def _row(new: NewExecution) -> Execution:
    available = clock.due(new.scheduled_at or timedelta(0))
    return inserts.new(
        workflow=new.workflow,
        current_step=new.position,
        input=Encoded(new.input),
        data=Encoded(new.input),
        queue=new.queue,
        home_queue=new.queue,
        priority=new.priority,
        scheduled_at=new.scheduled_at,
        idempotency_key=new.idempotency_key,
        tags=new.tags,
        timeout=new.timeout,
        available_at=available,
        waiting_for=(
            f"its start at {new.scheduled_at:%Y-%m-%d %H:%M:%S %Z}"
            if new.scheduled_at
            else ""
        ),
        **new.extra,
    )


def _insert(rows: Sequence[Execution], using: str) -> None:
    """Insert rows that are alike, and give them values where expressions were written."""
    first = rows[0]
    wakes = [first.queue] if first.scheduled_at is None else []
    inserts.insert(rows, wakes=wakes, using=using)
    for row in rows:
        row.available_at = row.scheduled_at or row.created_at
        row.tags = list(row.tags)
        row.input = PayloadField.decode(row.input.tree)
        row.data = PayloadField.decode(row.data.tree)


def _known(found: Execution) -> Execution:
    found.created = False  # type: ignore[misc]
    return found


def lock(execution_id: UUID, *, using: str) -> Execution:
    """Lock an execution for the rest of the transaction, payloads left out."""
    row = (
        Execution.rows.using(using)
        .defer("input", "data")
        .select_for_update()
        .filter(pk=execution_id)
        .first()
    )
    if row is None:
        raise ExecutionNotFound(f"There is no execution {execution_id}.")
    return row


def lock_workflow(execution_id: UUID, *, using: str) -> Execution:
    """Lock an execution that users know; to them a lane is no execution."""
    row = lock(execution_id, using=using)
    if row.is_lane:
        raise ExecutionNotFound(
            f"{execution_id} is no execution but {row.scope}, a member of execution "
            f"{row.parent_id}. Give the id of that."
        )
    return row


def lock_open(execution_id: UUID, *, using: str) -> Execution:
    """Lock an execution that has not ended, or raise ``ExecutionClosed``."""
    row = lock_workflow(execution_id, using=using)
    refuse_closed(row)
    return row


def refuse_closed(row: Execution) -> None:
    """Raise ``ExecutionClosed`` for an execution that has ended."""
    if row.is_final:
        raise ExecutionClosed(
            f"Execution {row.pk} has ended: it is {row.status}. Only an open one can be "
            "changed."
        )


def wake(row: Execution, *, using: str) -> None:
    """Make a locked execution claimable now that what it waited for has come.

    One that runs finds the answer by itself; one that is paused goes on when resumed.
    """
    if row.status == ExecutionStatus.COMPENSATING and row.leased_by is None:
        update(row, using, available_at=clock.db_now(), waiting_for="")
        wakeups.notify({row.queue}, using=using)
    elif row.status == ExecutionStatus.WAITING:
        update(
            row,
            using,
            status=ExecutionStatus.PENDING,
            available_at=clock.db_now(),
            waiting_for="",
        )
        wakeups.notify({row.queue}, using=using)
    elif row.status == ExecutionStatus.PAUSED:
        update(row, using, resumes_at=clock.db_now())


def close_waits(which: Q, *, using: str) -> None:
    """Close the open ones of ``which`` waits, for what waited has ended."""
    closing = {"status": WaitStatus.CANCELLED, "closed_at": clock.db_now()}
    found = Wait.objects.using(using).filter(which, status=WaitStatus.OPEN)
    InputRequest.objects.using(using).filter(
        wait__in=found.values("pk"), status=WaitStatus.OPEN
    ).update(**closing)
    found.update(**closing)


def update(row: Execution, using: str, **changes: Any) -> None:
    Execution.rows.using(using).filter(pk=row.pk).update(**changes)
