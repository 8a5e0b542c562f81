"""Send the signals of ``django_durable.signals``: after the commit, to whoever listens.

Without receivers nothing is read, made or registered.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.dispatch import Signal
from django.utils.functional import SimpleLazyObject

from django_durable import signals
from django_durable.definition import registry
from django_durable.models import Execution, InputRequest, Step
from django_durable.models.execution import FINAL
from django_durable.store.leases import Lease
from django_durable.store.moves import Move, StepEnd
from django_durable.types import ExecutionStatus, StepStatus, Tree

_OF_STEP = {
    StepStatus.COMPLETED: signals.step_completed,
    StepStatus.FAILED: signals.step_failed,
    StepStatus.TIMED_OUT: signals.step_failed,
    StepStatus.LOST: signals.step_failed,
}


def started(lease: Lease, workflow: str) -> None:
    """Tell that a worker begins an execution."""
    _announce(signals.execution_started, lease.owner_id, workflow, lease.using)


def waiting(lease: Lease, workflow: str, sentence: str) -> None:
    """Tell that an execution waits; of its lanes nobody is told."""
    if lease.lane is None:
        _announce(
            signals.execution_waiting,
            lease.owner_id,
            workflow,
            lease.using,
            waiting_for=sentence,
        )


def moved(move: Move, workflow: str) -> None:
    """Tell of a move that was written: what has ended by it, or that it waits."""
    lease = move.lease
    if move.opens is not None:
        waiting(lease, workflow, move.waiting_for)
    if move.step is not None:
        _step_ended(move.step, lease.owner_id, lease.lane, workflow, lease.using)
    if move.status in FINAL and lease.lane is None:
        _ended(lease.owner_id, workflow, move.status, move.error, lease.using)


def step_lost(step: Step, workflow: str, *, using: str) -> None:
    """Tell that an attempt was lost with its worker."""
    _step_ended(step, step.execution_id, step.lane, workflow, using)


def _step_ended(
    step: StepEnd | Step,
    execution_id: UUID,
    lane: UUID | None,
    workflow: str,
    using: str,
) -> None:
    signal = _OF_STEP.get(StepStatus(step.status))
    if signal is not None and signal.receivers:
        _announce(
            signal,
            execution_id,
            workflow,
            using,
            step=step.path,
            kind=str(step.kind),
            attempt=step.attempt,
            status=str(step.status),
            error=step.error,
            lane=lane,
        )


def cancelled(ids: Sequence[UUID], error: Tree, *, using: str) -> None:
    """Tell which of these rows, that were cancelled, are a workflow's execution."""
    if not signals.execution_cancelled.receivers:
        return
    rows = Execution.objects.using(using).filter(pk__in=ids).order_by("pk")
    for pk, workflow in rows.values_list("pk", "workflow"):
        _ended(pk, workflow, ExecutionStatus.CANCELLED, error, using)


def _ended(
    execution_id: UUID,
    workflow: str,
    status: ExecutionStatus,
    error: Tree | None,
    using: str,
) -> None:
    told: dict[str, Any] = {"status": status.value}
    signal = signals.execution_completed
    if status is not ExecutionStatus.COMPLETED:
        told["error"] = error
        was_cancelled = (error or {}).get("type") == "cancelled"
        signal = (
            signals.execution_cancelled if was_cancelled else signals.execution_failed
        )
    _announce(signal, execution_id, workflow, using, **told)


def input_requested(request: InputRequest, workflow: str, *, using: str) -> None:
    """Tell that a person is asked."""
    told = _told_of(request)
    _announce(signals.input_requested, request.execution_id, workflow, using, **told)


def input_provided(request: InputRequest, *, user: Any, using: str) -> None:
    """Tell that a person, or code, has answered."""
    told = _told_of(request) | {"user": user, "comment": request.comment}
    _announce(signals.input_provided, request.execution_id, None, using, **told)


def _told_of(request: InputRequest) -> dict[str, Any]:
    return {
        "input_id": request.pk,
        "name": request.name,
        "type": str(request.type),
        "prompt": request.prompt,
    }


def _announce(
    signal: Signal, execution_id: UUID, workflow: str | None, using: str, **told: Any
) -> None:
    if signal.receivers:
        send = partial(_send, signal, execution_id, workflow, using, told)
        transaction.on_commit(send, using=using, robust=True)


def _send(
    signal: Signal,
    execution_id: UUID,
    workflow: str | None,
    using: str,
    told: dict[str, Any],
) -> None:
    execution: Any = SimpleLazyObject(partial(_load, execution_id, using))
    name: str = execution.workflow if workflow is None else workflow
    signal.send_robust(
        sender=registry.find(name),
        execution_id=execution_id,
        workflow=name,
        execution=execution,
        using=using,
        **told,
    )


def _load(execution_id: UUID, using: str) -> Execution:
    return Execution.rows.using(using).get(pk=execution_id)
