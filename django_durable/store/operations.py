"""What a person does to an execution, with all that belongs to it."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet

from django_durable import clock
from django_durable.exceptions import ExecutionClosed
from django_durable.models import Execution, Wait
from django_durable.store import announcements, families, waits, wakeups
from django_durable.store.executions import (
    LEAVING,
    lock,
    lock_open,
    lock_workflow,
    update,
)
from django_durable.types import ExecutionStatus, Tree, WaitKind, WaitStatus


def cancel(execution_id: UUID, *, error: Tree, compensates: bool, using: str) -> None:
    """End an open execution as cancelled, whatever it does now, and its family with it.

    The tokens grow, so what workers are doing for them can no longer be recorded. With
    ``compensates`` what it has done is undone first.
    """
    with transaction.atomic(using=using):
        awaited_by = _awaited_by(execution_id, using)
        waiter = families.lock_waiter(awaited_by, using=using) if awaited_by else None
        row = lock_open(execution_id, using=using)
        families.cancel_family([row.pk], "its parent was cancelled", using=using)
        families.close_below([row.pk], using=using)
        status = (
            ExecutionStatus.COMPENSATING if compensates else ExecutionStatus.CANCELLED
        )
        row.status, row.error = status, {**error, "step": row.current_step or None}
        update(
            row,
            using,
            status=status,
            error=row.error,
            lease_token=F("lease_token") + 1,
            leased_by=None,
            available_at=clock.db_now() if compensates else None,
            resumes_at=None,
            expires_at=None,
            open_lanes=0,
            attempt=1,
            waiting_for="",
            completed_at=None if compensates else clock.db_now(),
        )
        if compensates:
            wakeups.notify({row.queue}, using=using)
        else:
            announcements.cancelled([row.pk], row.error, using=using)
            families.child_ended(waiter, row, {}, using=using)


def _awaited_by(execution_id: UUID, using: str) -> UUID | None:
    rows = Execution.rows.using(using).filter(pk=execution_id)
    return rows.values_list("awaited_by", flat=True).first()


def retry(execution_id: UUID, *, using: str) -> None:
    """Let a failed execution go on from its failed step, attempts counted anew.

    Where a lane or a child has failed, that one goes on, and what its siblings have
    finished stays. Answers that a step got stay too; waits that ran out are asked
    again. The time of a workflow's timeout starts over.
    """
    with transaction.atomic(using=using):
        row = lock_workflow(execution_id, using=using)
        if row.status != ExecutionStatus.FAILED:
            raise ExecutionClosed(
                f"Execution {execution_id} is {row.status}; only a failed one can be "
                "retried. Start a new one with the same input instead."
            )
        if row.waiting_for == LEAVING:
            raise ExecutionClosed(f"Execution {execution_id} is being deleted.")
        _go_on(row, using)


def _go_on(row: Execution, using: str) -> None:
    """Reopen a locked execution that has failed, or a lane that was cancelled with it."""
    asked = Wait.objects.using(using).filter(
        Q(lane=row.pk) if row.is_lane else Q(execution=row.pk, lane=None),
        sequence=row.sequence,
    )
    asked.filter(status=WaitStatus.TIMED_OUT).update(status=WaitStatus.CANCELLED)
    given_up = asked.filter(status=WaitStatus.CANCELLED, kind=WaitKind.ALL)
    waits.give_back_events(given_up, _owner(row), using=using)
    waited = _retry_lanes(row, asked, using) or _retry_child(asked, using)
    _forget_failed_children(asked, using)
    update(
        row,
        using,
        status=ExecutionStatus.WAITING if waited else ExecutionStatus.PENDING,
        attempt=1,
        error=None,
        completed_at=None,
        expires_at=None,
        step_started_at=None,
        available_at=None if waited else clock.db_now(),
        waiting_for=waited.sentence if waited else "",
    )
    if not waited:
        wakeups.notify({row.queue}, using=using)


def _owner(row: Execution) -> UUID:
    """Return the execution that waits and events are filed under."""
    return (row.is_lane and row.parent_id) or row.pk


def _retry_lanes(row: Execution, asked: QuerySet[Wait], using: str) -> Wait | None:
    """Reopen the lanes of the current block that have not completed."""
    lanes = Execution.rows.using(using).filter(
        awaited_by=row.pk, awaited_visit=row.sequence, is_lane=True
    )
    unfinished = lanes.exclude(status=ExecutionStatus.COMPLETED)
    found = list(unfinished.defer("input", "data").select_for_update().order_by("id"))
    wait: Wait | None = asked.filter(kind=WaitKind.LANES).last()
    if not found or wait is None or _failed_itself(row, wait):
        return None
    for number, lane in enumerate(found):
        if row.lane_limit is not None and number >= row.lane_limit:
            _hold(lane, using)
        else:
            _go_on(lane, using)
    # Where a lane has failed, the execution says where in the lane.
    update(row, using, open_lanes=len(found), current_step=wait.path)
    return _reopen(wait, using)


def _failed_itself(row: Execution, wait: Wait) -> bool:
    """Say whether a block has failed by its own join, not by one of its lanes."""
    error = row.error or {}
    is_ended_from_outside = error.get("type") in ("cancelled", "workflow_timeout")
    return error.get("step") == wait.path and not is_ended_from_outside


def _hold(lane: Execution, using: str) -> None:
    """Let a lane that has never started wait for its turn again."""
    update(
        lane,
        using,
        status=ExecutionStatus.WAITING,
        error=None,
        completed_at=None,
        waiting_for=families.ITS_TURN,
    )


def _retry_child(asked: QuerySet[Wait], using: str) -> Wait | None:
    """Reopen the child whose failure the step has failed with.

    One that goes on already is waited for; what it came to meanwhile is taken.
    """
    wait: Wait | None = asked.filter(
        kind=WaitKind.CHILD, status=WaitStatus.SATISFIED
    ).last()
    if wait is None or wait.child is None or _has_result(wait):
        return None
    child = lock(wait.child, using=using)
    if child.status == ExecutionStatus.COMPLETED:
        families.answer_again(wait, child, using=using)
        return None
    if child.status == ExecutionStatus.FAILED:
        _go_on(child, using)
    elif child.is_final:
        return None
    return _reopen(wait, using)


def _has_result(wait: Wait) -> bool:
    return (wait.answer or {}).get("status") == ExecutionStatus.COMPLETED


def _forget_failed_children(asked: QuerySet[Wait], using: str) -> None:
    """Let a call whose child has failed for good start another one."""
    called = asked.filter(kind=WaitKind.CHILD, status=WaitStatus.SATISFIED)
    failed = [wait.pk for wait in called if not _has_result(wait)]
    found = Wait.objects.using(using).filter(pk__in=failed)
    found.update(status=WaitStatus.CANCELLED)


def _reopen(wait: Wait, using: str) -> Wait:
    Wait.objects.using(using).filter(pk=wait.pk).update(
        status=WaitStatus.OPEN, answer=None, attempt=1, closed_at=None
    )
    return wait


def pause(execution_id: UUID, *, using: str) -> None:
    """Let no further step start; timers keep their time. Pausing twice is once."""
    with transaction.atomic(using=using):
        for row in _with_lanes(lock_open(execution_id, using=using), using):
            if row.status == ExecutionStatus.PAUSED:
                continue
            update(
                row,
                using,
                status=ExecutionStatus.PAUSED,
                available_at=None,
                resumes_at=F("available_at"),
                waiting_for="someone to resume it",
            )


def resume(execution_id: UUID, *, using: str) -> None:
    """Take a pause back: go on, or go on waiting for what it waited for."""
    with transaction.atomic(using=using):
        rows = _with_lanes(lock_open(execution_id, using=using), using)
        paused = [row for row in rows if row.status == ExecutionStatus.PAUSED]
        for row in paused:
            _resume(row, using)
        wakeups.notify({row.queue for row in paused}, using=using)


def _with_lanes(row: Execution, using: str) -> list[Execution]:
    """Return a locked execution and its open lanes, locked too, ancestors first.

    A lane that was waited for may have opened more meanwhile, so looking goes on until
    there is nothing new.
    """
    lanes = Execution.rows.using(using).open().filter(parent=row.pk, is_lane=True)
    lanes = lanes.defer("input", "data").select_for_update().order_by("id")
    rows = [row]
    while found := list(lanes.exclude(pk__in=[known.pk for known in rows])):
        rows += found
    return rows


def _resume(row: Execution, using: str) -> None:
    asked = Q(lane=row.pk) if row.is_lane else Q(execution=row.pk, lane=None)
    wait = Wait.objects.using(using).filter(asked, status=WaitStatus.OPEN).first()
    if row.leased_by is not None:
        # Its step has not ended yet, so it runs on as if nothing had been.
        status = ExecutionStatus.RUNNING
    elif wait is not None or row.resumes_at is None:
        # Without a wait and a time it is an item that has not had its turn.
        status = ExecutionStatus.WAITING
    else:
        status = ExecutionStatus.PENDING
    update(
        row,
        using,
        # An open execution that has an error is one that is being undone.
        status=ExecutionStatus.COMPENSATING if row.error else status,
        available_at=F("resumes_at"),
        resumes_at=None,
        waiting_for=wait.sentence if wait else "",
    )
