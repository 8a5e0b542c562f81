"""The read side: what the runtime, the public functions and the admin ask."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Prefetch, QuerySet

from django_durable.models import Event, Execution, InputRequest, Log, Step, Wait
from django_durable.models.execution import ExecutionQuerySet
from django_durable.store import logs
from django_durable.store.leases import Lease


def input_of(lease: Lease) -> Any:
    """Return the input of a leased execution, decoded."""
    return (
        Execution.rows.using(lease.using)
        .values_list("input", flat=True)
        .get(pk=lease.owner_id)
    )


def find(
    execution_id: UUID, *, include_steps: bool, include_logs: bool, using: str
) -> Execution | None:
    """Return an execution, with its steps, and what they wrote, if that is wanted."""
    found: ExecutionQuerySet = Execution.rows.using(using).filter(pk=execution_id)
    # Named, so that a router cannot lead them to another database.
    if include_steps or include_logs:
        steps = Step.objects.using(using)
        found = found.prefetch_related(Prefetch("steps", queryset=steps))
    if include_logs:
        lines = Log.objects.using(using)
        found = found.prefetch_related(Prefetch("logs", queryset=lines))
    execution = found.first()
    if execution is not None and include_logs:
        logs.share_out(execution)
    return execution


def executions(
    *,
    using: str,
    workflow: str | None = None,
    status: str | Iterable[str] | None = None,
    queue: str | None = None,
    tag: str | None = None,
    parent: UUID | None = None,
    since: datetime | None = None,
) -> ExecutionQuerySet:
    """Return the executions that match all that is given, newest first."""
    found: ExecutionQuerySet = Execution.objects.using(using).order_by("-id")
    if status is not None:
        found = found.with_status(status)
    if tag is not None:
        found = found.tagged(tag)
    if since is not None:
        found = found.created_since(since)
    equal = {"workflow": workflow, "home_queue": queue, "parent": parent}
    return found.filter(
        **{key: value for key, value in equal.items() if value is not None}
    )


def with_prefix(prefix: str, *, using: str) -> ExecutionQuerySet:
    """Return the executions whose id begins with these hexadecimal digits, oldest first."""
    # Between two ids, so that the primary key answers it.
    first, last = UUID(hex=prefix.ljust(32, "0")), UUID(hex=prefix.ljust(32, "f"))
    found: ExecutionQuerySet = Execution.objects.using(using).order_by("id")
    return found.filter(pk__range=(first, last))


def steps_of(execution_id: UUID, *, using: str) -> QuerySet[Step]:
    """Return the attempts of an execution and its lanes, in the order they began in."""
    return Step.objects.using(using).filter(execution=execution_id)


def lanes_of(execution_id: UUID, *, using: str) -> ExecutionQuerySet:
    """Return the lanes of an execution, at every level, oldest first."""
    lanes: ExecutionQuerySet = Execution.rows.using(using).order_by("id")
    return lanes.filter(parent=execution_id, is_lane=True)


def waits_of(execution_id: UUID, *, using: str) -> QuerySet[Wait]:
    """Return what an execution and its lanes have waited for, oldest first."""
    return Wait.objects.using(using).filter(execution=execution_id).order_by("id")


def inputs_of(execution_id: UUID, *, using: str) -> QuerySet[InputRequest]:
    """Return what people were asked by an execution, and who answered, oldest first."""
    found = InputRequest.objects.using(using).filter(execution=execution_id)
    return found.order_by("id").prefetch_related("answered_by")


def events_of(execution_id: UUID, *, using: str) -> QuerySet[Event]:
    """Return the events that were sent to an execution, oldest first."""
    return Event.objects.using(using).filter(execution=execution_id).order_by("id")


def logs_of(execution_id: UUID, *, using: str) -> QuerySet[Log]:
    """Return what an execution and its lanes have written, oldest first."""
    return Log.objects.using(using).filter(execution=execution_id).order_by("id")
