"""What a person can do to executions, to one from its page and to many from the list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from django_durable import api, clock, codec
from django_durable.admin.executions.forms import (
    AgainForm,
    CancelForm,
    EventForm,
    OperationForm,
    ReasonForm,
    stored_input,
)
from django_durable.admin.operation import RowOperation
from django_durable.conf import get_settings
from django_durable.definition import registry
from django_durable.exceptions import ExecutionClosed
from django_durable.models import Execution
from django_durable.models.execution import FINAL
from django_durable.store import retention, skipping
from django_durable.types import ExecutionStatus, WaitKind

_FINAL = frozenset(status.value for status in FINAL)
_OPEN = frozenset(status.value for status in ExecutionStatus) - _FINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(RowOperation[Execution, Mapping[str, Any]]):
    """One thing to do to executions of some statuses."""

    statuses: frozenset[str]
    form: type[OperationForm] = ReasonForm

    def suits(self, row: Execution) -> bool:
        """Say whether the status of an execution, and what it is, allow it."""
        return row.status in self.statuses and self.condition(row)

    def entry(self, given: Mapping[str, Any], result: object = None) -> str:
        """Return what the history says of it; ``result`` is what ``act`` returned."""
        event = f" {given['name']}" if given.get("name") else ""
        started = f" as {result.pk}" if isinstance(result, Execution) else ""
        undone = ", with compensation" if given.get("compensate") else ""
        reason = f": {given['reason']}" if given.get("reason") else ""
        return f"{self.past}{event}{started}{undone}{reason}"


def _cancel(row: Execution, given: Mapping[str, Any], durable: str) -> None:
    api.cancel(
        row,
        reason=given["reason"],
        compensate=given.get("compensate", False),
        durable=durable,
    )


def _delete(row: Execution, given: Mapping[str, Any], durable: str) -> None:
    using = get_settings(durable).database
    selection = retention.select([row.pk], using=using)
    if reason := selection.kept.get(row.pk):
        raise ExecutionClosed(reason)
    if not sum(retention.delete(selection, using=using)):
        raise ExecutionClosed("Somebody has locked it, or lets it go on.")


def _is_due_later(row: Execution) -> bool:
    """Say whether a time is all that ``row``, which ``portrait.find`` returned, waits for.

    That is a start, a back-off, a snooze or a sleep; of a block, that of a member.
    """
    due = row.available_at
    if row.status == ExecutionStatus.WAITING and row.open_lanes:
        return skipping.has_member_due_later(row)
    if row.status == ExecutionStatus.WAITING:
        return getattr(row, "awaits", None) == WaitKind.SLEEP
    return due is not None and due > clock.now()


def _send_event(row: Execution, given: Mapping[str, Any], durable: str) -> None:
    api.send_event(row, given["name"], given["payload"], durable=durable)


def _start_again(row: Execution, given: Mapping[str, Any], durable: str) -> Execution:
    return api.start(
        row.workflow,
        given["input"] if "input" in given else codec.decode(stored_input(row)),
        queue=row.home_queue,
        priority=row.priority,
        tags=row.tags,
        timeout=row.timeout,
        durable=durable,
    )


CANCEL = Operation(
    name="cancel",
    label=_("Cancel"),
    button=_("Cancel execution"),
    bulk_label=_("Cancel selected executions"),
    past="Cancelled",
    explanation=_(
        "No new step starts, and what a running step still does is not recorded. "
        "Children are cancelled too."
    ),
    right="operate",
    statuses=_OPEN,
    act=_cancel,
    form=CancelForm,
    is_dangerous=True,
)
RETRY = Operation(
    name="retry",
    label=_("Retry"),
    bulk_label=_("Retry selected executions"),
    past="Retried",
    explanation=_(
        "It goes on from the step that failed, with its data; attempts are counted anew."
    ),
    right="operate",
    statuses=frozenset({ExecutionStatus.FAILED.value}),
    act=lambda row, _given, durable: api.retry(row, durable=durable),
)
PAUSE = Operation(
    name="pause",
    label=_("Pause"),
    bulk_label=_("Pause selected executions"),
    past="Paused",
    explanation=_("A step that runs may end; no further one starts. Timers go on."),
    right="operate",
    statuses=_OPEN - {ExecutionStatus.PAUSED.value},
    act=lambda row, _given, durable: api.pause(row, durable=durable),
)
RESUME = Operation(
    name="resume",
    label=_("Resume"),
    bulk_label=_("Resume selected executions"),
    past="Resumed",
    explanation=_("It goes on where it was paused."),
    right="operate",
    statuses=frozenset({ExecutionStatus.PAUSED.value}),
    act=lambda row, _given, durable: api.resume(row, durable=durable),
)
DELETE = Operation(
    name="delete",
    label=_("Delete"),
    button=_("Delete execution"),
    bulk_label=_("Delete selected executions"),
    past="Deleted",
    explanation=_(
        "All of it is gone for good, with its steps, logs and children. What is open, or "
        "belongs to another execution, cannot be deleted."
    ),
    right="delete",
    statuses=_FINAL,
    act=_delete,
    condition=lambda row: row.parent_id is None,
    is_dangerous=True,
    is_deletion=True,
)

RUN_NOW = Operation(
    name="run-now",
    label=_("Run now"),
    past="Run at once",
    explanation=_("Its sleep, its back-off or the wait for its start counts as over."),
    right="operate",
    statuses=frozenset(
        status.value
        for status in (
            ExecutionStatus.PENDING,
            ExecutionStatus.WAITING,
            ExecutionStatus.COMPENSATING,
        )
    ),
    condition=_is_due_later,
    act=lambda row, _given, durable: api.run_now(row, durable=durable),
)
SEND_EVENT = Operation(
    name="send-event",
    label=_("Send event"),
    past="Sent the event",
    explanation=_("It is kept until a wait for its name takes it."),
    right="operate",
    statuses=_OPEN,
    act=_send_event,
    form=EventForm,
)
START_AGAIN = Operation(
    name="start-again",
    label=_("Start again"),
    past="Started again",
    explanation=_(
        "Another execution is started, with the queue, priority and tags of this one."
    ),
    right="start",
    statuses=_OPEN | _FINAL,
    condition=lambda row: registry.find(row.workflow) is not None,
    act=_start_again,
    form=AgainForm,
)

BULK: tuple[Operation, ...] = (CANCEL, RETRY, PAUSE, RESUME, DELETE)
OPERATIONS: tuple[Operation, ...] = (
    RETRY,
    RESUME,
    RUN_NOW,
    PAUSE,
    SEND_EVENT,
    START_AGAIN,
    CANCEL,
    DELETE,
)


def suited(
    operation: Operation, rows: Iterable[Execution]
) -> tuple[list[Execution], list[Execution]]:
    """Part rows into those whose status allows the operation, and the others."""
    fit: list[Execution] = []
    others: list[Execution] = []
    for row in rows:
        (fit if operation.suits(row) else others).append(row)
    return fit, others
