"""What a person does to an execution, with all that belongs to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet

from django_durable import clock
from django_durable.exceptions import ExecutionClosed
from django_durable.models import Execution, Wait
from django_durable.store import announcements, cancelling, families, waits, wakeups
from django_durable.store.batches import in_batches
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
        cancelling.cancel_family(row.pk, "its parent was cancelled", using=using)
        cancelling.close_below(row.pk, owner_id=row.pk, using=using)
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
        waits.of(row.pk, row.owner_id), sequence=row.sequence
    )
    asked.filter(status=WaitStatus.TIMED_OUT).update(status=WaitStatus.CANCELLED)
    given_up = asked.filter(status=WaitStatus.CANCELLED, kind=WaitKind.ALL)
    waits.give_back_events(given_up, row.owner_id, using=using)
    waited = _retry_lanes(row, asked, using) or _retry_child(asked, using)
    _forget_failed_children(asked, using)
    update(row, using, **_reopened(waited))
    if not waited:
        wakeups.notify({row.queue}, using=using)


def _reopened(waited: Wait | None) -> dict[str, Any]:
    """Return what becomes of one that goes on: at once, or when ``waited`` is over."""
    return {
        "status": ExecutionStatus.WAITING if waited else ExecutionStatus.PENDING,
        "attempt": 1,
        "error": None,
        "completed_at": None,
        "expires_at": None,
        "step_started_at": None,
        "available_at": None if waited else clock.db_now(),
        "waiting_for": waited.sentence if waited else "",
    }


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
    most = len(found) if row.lane_limit is None else row.lane_limit
    _reopen_lanes(found[:most], using)
    # Those behind have never started: they wait for their turn again.
    its_turn = {"status": ExecutionStatus.WAITING, "waiting_for": families.ITS_TURN}
    for batch in in_batches([lane.pk for lane in found[most:]]):
        held = Execution.rows.using(using).filter(pk__in=batch)
        held.update(**its_turn, error=None, completed_at=None)
    # Where a lane has failed, the execution says where in the lane.
    update(row, using, open_lanes=len(found), current_step=wait.path)
    return _reopen(wait, using)


def _reopen_lanes(lanes: Sequence[Execution], using: str) -> None:
    """Let lanes go on: those that have waited one by one, the others together."""
    for batch in in_batches(lanes):
        waited = set(
            Wait.objects.using(using)
            .filter(execution=batch[0].owner_id, lane__in=[lane.pk for lane in batch])
            .values_list("lane", flat=True)
        )
        plain = [lane for lane in batch if lane.pk not in waited]
        rows = Execution.rows.using(using).filter(pk__in=[lane.pk for lane in plain])
        rows.update(**_reopened(None))
        wakeups.notify({lane.queue for lane in plain}, using=using)
        for lane in batch:
            if lane.pk in waited:
                _go_on(lane, using)


def _failed_itself(row: Execution, wait: Wait) -> bool:
    """Say whether a block has failed by its own join, not by one of its lanes."""
    error = row.error or {}
    is_ended_from_outside = error.get("type") in ("cancelled", "workflow_timeout")
    return error.get("step") == wait.path and not is_ended_from_outside


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
        rows = with_lanes(lock_open(execution_id, using=using), using)
        for batch in in_batches([row.pk for row in rows]):
            found = Execution.rows.using(using).filter(pk__in=batch)
            found.exclude(status=ExecutionStatus.PAUSED).update(
                status=ExecutionStatus.PAUSED,
                available_at=None,
                resumes_at=F("available_at"),
                waiting_for="someone to resume it",
            )


def resume(execution_id: UUID, *, using: str) -> None:
    """Take a pause back: go on, or go on waiting for what it waited for."""
    with transaction.atomic(using=using):
        rows = with_lanes(lock_open(execution_id, using=using), using)
        paused = [row for row in rows if row.status == ExecutionStatus.PAUSED]
        asked = Wait.objects.using(using).filter(
            execution=execution_id, status=WaitStatus.OPEN
        )
        sentences = dict(asked.values_list("lane", "sentence"))
        alike: dict[tuple[ExecutionStatus, str], list[UUID]] = defaultdict(list)
        for row in paused:
            sentence = sentences.get(row.pk if row.is_lane else None)
            alike[_status_after(row, sentence), sentence or ""].append(row.pk)
        for (status, sentence), ids in alike.items():
            for batch in in_batches(ids):
                Execution.rows.using(using).filter(pk__in=batch).update(
                    status=status,
                    available_at=F("resumes_at"),
                    resumes_at=None,
                    waiting_for=sentence,
                )
        wakeups.notify({row.queue for row in paused}, using=using)


def with_lanes(row: Execution, using: str) -> list[Execution]:
    """Return a locked execution and its open lanes, locked too, ancestors first.

    A lane that was waited for may have opened more meanwhile, so looking goes on until
    there is nothing new.
    """
    lanes = Execution.rows.using(using).filter(is_lane=True).open()
    locked = lanes.defer("input", "data").select_for_update().order_by("id")
    rows = {row.pk: row}
    while new := _ids_below(row, lanes, rows) - rows.keys():
        for batch in in_batches(sorted(new)):
            rows |= {lane.pk: lane for lane in locked.filter(pk__in=batch)}
    return list(rows.values())


def _ids_below(
    row: Execution, lanes: QuerySet[Execution], known: Collection[UUID]
) -> set[UUID]:
    """Return the ids of lanes of an execution, or below a lane of which are ``known``."""
    which = Q(awaited_by__in=known) if row.is_lane else Q(parent=row.pk)
    return set(lanes.filter(which).values_list("pk", flat=True))


def _status_after(row: Execution, awaited: str | None) -> ExecutionStatus:
    """Return the status of a paused execution that goes on; ``awaited`` is its wait."""
    # An open execution that has an error is one that is being undone.
    if row.error:
        return ExecutionStatus.COMPENSATING
    # Where the step has not ended yet, it runs on as if nothing had been.
    if row.leased_by is not None:
        return ExecutionStatus.RUNNING
    # Without a wait and a time it is an item that has not had its turn.
    if awaited is not None or row.resumes_at is None:
        return ExecutionStatus.WAITING
    return ExecutionStatus.PENDING
