"""An execution, as a row or with what belongs to it -> the facts of its sentence."""

from __future__ import annotations

from datetime import datetime

from django_durable.admin.sentences import Facts, Holder, OpenWait
from django_durable.definition import registry
from django_durable.definition.nodes import StepNode
from django_durable.models import Execution, Step, Wait, Worker
from django_durable.store import answering
from django_durable.types import ExecutionStatus


def facts_of_row(row: Execution) -> Facts:
    """Return what the row says by itself, as for a list."""
    return Facts(
        status=row.status,
        step=row.current_step,
        attempt=row.attempt,
        max_attempts=_max_attempts(row),
        queue=row.queue,
        available_at=row.available_at,
        scheduled_at=row.scheduled_at,
        step_started_at=row.step_started_at,
        duration=row.duration,
        waiting_for=row.waiting_for,
        error=row.error,
        open_lanes=row.open_lanes,
        progress=row.progress if row.status == ExecutionStatus.RUNNING else None,
    )


def _max_attempts(row: Execution) -> int | None:
    workflow = registry.find(row.workflow)
    node = workflow.definition.find(row.current_step) if workflow else None
    if not isinstance(node, StepNode):
        return None
    if row.status == ExecutionStatus.COMPENSATING:
        return node.undo.retry.max_attempts if node.undo else None
    return node.retry.max_attempts


def open_wait(wait: Wait) -> OpenWait:
    """Return an open wait; its ``input`` is loaded with it, if it has one."""
    request = getattr(wait, "input", None)
    return OpenWait(
        kind=wait.kind,
        name=_called(wait) if wait.child else wait.name,
        since=wait.created_at,
        until=wait.until,
        names=tuple(wait.names),
        input_type=request.type if request else "",
        whom=answering.who_may_answer(request).removeprefix("it is for ")
        if request
        else "",
        child=wait.child,
    )


def _called(wait: Wait) -> str:
    """Return the workflow that is called; the wait is named after the call."""
    return wait.sentence.partition(", until ")[0].removeprefix("the workflow ")


def holder(worker: Worker, *, now: datetime) -> Holder:
    """Return who has claimed an execution."""
    is_alive = not worker.is_dead and worker.expires_at >= now
    return Holder(name=str(worker), beat_at=worker.beat_at, is_alive=is_alive)


def failure_of(step: Step | None) -> dict[str, object] | None:
    """Return the error of an attempt that failed."""
    return dict(step.error) if step is not None and step.error else None
