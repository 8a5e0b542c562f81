"""Waits: opened by the step that suspends, answered from outside or by time.

A wait is opened and the events at hand are read while the execution's row is locked;
whoever sends an event locks that row too. So no wake-up is lost, in either order.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import JSONField, Q, QuerySet
from django.db.models.functions import Cast

from django_durable import clock
from django_durable.engine.waiting import (
    Answer,
    ChildRequest,
    Delivery,
    WaitKey,
    WaitRequest,
    WaitState,
    deliver,
)
from django_durable.exceptions import ExecutionNotFound, LeaseLost
from django_durable.ids import new_id
from django_durable.models import Event, Execution, InputRequest, Wait
from django_durable.models.fields import Encoded, has_member
from django_durable.store import announcements, executions
from django_durable.store.executions import NewExecution
from django_durable.store.leases import Lease, hold
from django_durable.store.move_rows import due_within
from django_durable.types import JSON, ExecutionStatus, WaitKind, WaitStatus

_PAGE = 20


def answer_of(wait: Wait) -> Answer:
    """Return what a closed wait answers its durable call."""
    ran_out = wait.status == WaitStatus.TIMED_OUT
    is_substitute = ran_out and wait.has_timeout_value
    return Answer(
        key=WaitKey(WaitKind(wait.kind), wait.name, wait.ordinal),
        value=None if ran_out and not is_substitute else wait.answer,
        timed_out=ran_out and not is_substitute,
        is_substitute=is_substitute,
        fails_step=wait.fails_step,
    )


def open_wait(
    lease: Lease, request: WaitRequest, *, path: str, sequence: int, attempt: int
) -> Answer | None:
    """Open what the step at ``path`` asks for, and park its execution.

    Returns the answer instead, and leaves the lease as it is, when the events that
    were sent before are enough.
    """
    using = lease.using
    with transaction.atomic(using=using):
        if request.names:
            _lock_owner(lease)
        row = hold(lease)
        wait = _find_or_create(row, lease, request, path, sequence, attempt)
        is_answered = wait.status == WaitStatus.SATISFIED or (
            bool(request.names) and deliver_events(wait, using=using).answer is not None
        )
        changes = {} if is_answered else parked(row, wait)
        Execution.rows.using(using).filter(pk=row.pk).update(
            **changes, calls=row.calls + 1, current_step=path
        )
    return answer_of(wait) if is_answered else None


def _lock_owner(lease: Lease) -> None:
    """Lock the workflow's execution, as senders do, whichever of its lanes waits."""
    try:
        executions.lock(lease.owner_id, using=lease.using)
    except ExecutionNotFound as gone:
        # Cancelled with all its lanes, and deleted since.
        raise LeaseLost(str(gone)) from None


def _find_or_create(
    row: Execution,
    lease: Lease,
    request: WaitRequest,
    path: str,
    sequence: int,
    attempt: int,
) -> Wait:
    """Return the wait for this call, or a new one.

    One is there when the body was run again, and when this is: the answer to the first
    commit was lost. By now it may be answered.
    """
    using, same = lease.using, _same(lease, request, sequence)
    # What a child came to in an earlier attempt is no answer for this one.
    is_answer = Q(status=WaitStatus.SATISFIED) & ~Q(
        kind=WaitKind.CHILD, attempt__lt=attempt
    )
    asked = Wait.objects.using(using).filter(**same)
    if found := asked.filter(is_answer | Q(status=WaitStatus.OPEN)).first():
        return found
    child = request.child
    wait = Wait(
        **same,
        path=path,
        attempt=attempt,
        child=start_child(row, lease, child, sequence) if child else None,
        status=WaitStatus.OPEN,
        sentence=request.sentence,
        names=list(request.names),
        until=None if request.due is None else clock.due(request.due),
        has_timeout_value=request.has_value,
        timeout_value=request.timeout_value,
        fails_step=request.fails_step,
        created_at=clock.db_now(),
    )
    _insert(wait, request, row.workflow, using)
    return wait


def _same(lease: Lease, request: WaitRequest, sequence: int) -> dict[str, Any]:
    """Return what a durable call is found again by."""
    return {
        "execution_id": lease.owner_id,
        "lane": lease.lane,
        "sequence": sequence,
        "kind": request.key.kind,
        "name": request.key.name,
        "ordinal": request.key.ordinal,
    }


def _insert(wait: Wait, request: WaitRequest, workflow: str, using: str) -> None:
    wait.save(using=using, force_insert=True)
    if request.due is not None:
        wait.refresh_from_db(using=using, fields=["until"])
    if request.input is not None:
        asked = _ask(wait, request.input, using)
        announcements.input_requested(asked, workflow, using=using)


def start_child(
    row: Execution, lease: Lease, child: ChildRequest, sequence: int
) -> UUID:
    """Insert a child of a locked execution; ``awaited``: the execution waits for it."""
    new = NewExecution(
        workflow=child.workflow,
        input=child.input,
        position=child.position,
        queue=child.queue or row.home_queue,
        priority=row.priority,
        timeout=child.timeout,
        extra={
            "id": new_id(after=row.pk),
            "parent_id": lease.owner_id,
            "awaited_by": row.pk if child.is_awaited else None,
            "awaited_visit": sequence if child.is_awaited else None,
        },
    )
    return executions.create(new, using=lease.using).pk


def _ask(wait: Wait, asked: Any, using: str) -> InputRequest:
    """Record what a person is asked; ``asked`` holds the fields of ``InputRequest``."""
    values = {**asked, "metadata": Encoded(asked["metadata"])}
    return InputRequest.objects.using(using).create(
        execution_id=wait.execution_id,
        wait=wait,
        name=wait.name,
        path=wait.path,
        status=WaitStatus.OPEN,
        until=wait.until,
        created_at=clock.db_now(),
        **values,
    )


def parked(row: Execution, wait: Wait) -> dict[str, Any]:
    """Return what becomes of an execution that waits; a paused one stays paused."""
    due = due_within(wait.until, row.expires_at)
    if row.status == ExecutionStatus.PAUSED:
        return {"leased_by": None, "resumes_at": due}
    is_undoing = row.status == ExecutionStatus.COMPENSATING
    return {
        "status": row.status if is_undoing else ExecutionStatus.WAITING,
        "leased_by": None,
        "available_at": due,
        "waiting_for": wait.sentence,
    }


def deliver_events(wait: Wait, *, using: str) -> Delivery:
    """Hand the untaken events of a locked execution to one of its open waits."""
    events = list(
        Event.objects.using(using)
        .filter(execution=wait.execution_id, taken_by=None, name__in=wait.names)
        .order_by("id")
        .annotate(tree=Cast("payload", JSONField()))
        .values_list("id", "name", "tree")
    )
    state = WaitState(
        kind=WaitKind(wait.kind),
        status=WaitStatus(wait.status),
        names=tuple(wait.names),
        received=wait.received,
    )
    delivery = deliver(state, [(name, tree) for _, name, tree in events])
    if delivery.consumed:
        taken = [events[position][0] for position in delivery.consumed]
        Event.objects.using(using).filter(pk__in=taken).update(taken_by=wait)
        wait.received = delivery.received
        if delivery.answer is None:
            Wait.objects.using(using).filter(pk=wait.pk).update(received=wait.received)
        else:
            close(wait, using, status=WaitStatus.SATISFIED, answer=delivery.answer[0])
    return delivery


def of(id_: UUID, owner_id: UUID) -> Q:
    """Return which waits an execution, or a lane of ``owner_id``, has opened itself."""
    return Q(execution=owner_id, lane=None if id_ == owner_id else id_)


def give_back_events(closed: QuerySet[Wait], execution_id: UUID, *, using: str) -> None:
    """Keep for the next wait what waits had got that were closed without an answer."""
    Event.objects.using(using).filter(
        execution=execution_id, taken_by__in=closed.values("pk")
    ).update(taken_by=None)


def waiting_for(name: str, execution_id: UUID, *, using: str) -> Iterator[Wait]:
    """Yield the open waits of an execution that ask for an event, oldest first.

    A few at a time, for of thousands mostly the first takes it.
    """
    found = Wait.objects.using(using).filter(
        execution=execution_id, status=WaitStatus.OPEN
    )
    found = found.filter(has_member("names", name, using=using)).order_by("id")
    page = list(found[:_PAGE])
    while page:
        yield from page
        page = list(found.filter(pk__gt=page[-1].pk)[:_PAGE])


def offer(wait: Wait, *, using: str) -> bool:
    """Hand the untaken events of a locked execution to an open wait; say if it took one."""
    with _lane_of(wait, using) as is_open:
        if not is_open or not (delivery := deliver_events(wait, using=using)).consumed:
            _let_go(wait, using)
            return False
        if delivery.answer is not None:
            wake_waiter(wait, using=using)
        return True


def lock_open(wait: Wait, *, using: str) -> bool:
    """Lock the lane that has opened a wait; say whether the wait is open still."""
    with _lane_of(wait, using) as is_open:
        if not is_open:
            _let_go(wait, using)
        return is_open


@contextmanager
def _lane_of(wait: Wait, using: str) -> Iterator[bool]:
    """Lock the lane that has opened a wait; give whether the wait is open still.

    The workflow's execution is locked already. A lane's wait runs out, or is closed with
    its lane, under the lock of the lane alone.
    """
    if wait.lane is None:
        yield True
        return
    with transaction.atomic(using=using):
        executions.lock(wait.lane, using=using)
        found = Wait.objects.using(using).filter(pk=wait.pk, status=WaitStatus.OPEN)
        received = found.values_list("received", flat=True).first()
        wait.received = wait.received if received is None else received
        yield received is not None


def _let_go(wait: Wait, using: str) -> None:
    """Unlock a lane on leaving ``_lane_of``.

    Who looks through the waits of several lanes meets them in order of the waits. To keep
    the locks would be against the order of ids, in which those who cancel lanes lock them.
    """
    if wait.lane is not None:
        transaction.set_rollback(True, using=using)


def close(wait: Wait, using: str, *, status: WaitStatus, answer: JSON) -> None:
    wait.status, wait.answer = status, answer
    Wait.objects.using(using).filter(pk=wait.pk).update(
        status=status,
        answer=answer,
        received=wait.received,
        closed_at=clock.db_now(),
    )
    InputRequest.objects.using(using).filter(
        Q(wait=wait), status=WaitStatus.OPEN
    ).update(status=status, closed_at=clock.db_now())


def satisfy(wait: Wait, answer: JSON, *, using: str) -> None:
    """Answer an open wait of a locked execution, and wake who waits."""
    close(wait, using, status=WaitStatus.SATISFIED, answer=answer)
    wake_waiter(wait, using=using)


def wake_waiter(wait: Wait, *, using: str) -> None:
    """Wake the execution, or the lane of it, that opened a wait."""
    row = executions.lock(wait.lane or wait.execution_id, using=using)
    executions.wake(row, using=using)


def start_unawaited(
    lease: Lease,
    key: WaitKey,
    request: ChildRequest,
    *,
    id: UUID,  # noqa: A002
    path: str,
    sequence: int,
    attempt: int,
) -> str:
    """Start a child that nobody waits for, and remember its id; return the id.

    ``id`` is that of what is remembered; see ``remember``.
    """
    with transaction.atomic(using=lease.using):
        row = hold(lease)
        if known := Wait.objects.using(lease.using).filter(pk=id).first():
            return str(known.answer)
        child = str(start_child(row, lease, request, sequence))
        remember(
            lease, key, child, id=id, path=path, sequence=sequence, attempt=attempt
        )
    return child


def remember(
    lease: Lease,
    key: WaitKey,
    value: JSON,
    *,
    id: UUID,  # noqa: A002
    path: str,
    sequence: int,
    attempt: int,
) -> None:
    """Store the result of a ``checkpoint``, so that its function runs once.

    It has its id from the start, so that writing it twice records it once.
    """
    using = lease.using
    with transaction.atomic(using=using):
        row = hold(lease)
        wait = Wait(
            id=id,
            execution_id=lease.owner_id,
            lane=lease.lane,
            path=path,
            sequence=sequence,
            attempt=attempt,
            kind=key.kind,
            name=key.name,
            ordinal=key.ordinal,
            status=WaitStatus.SATISFIED,
            answer=value,
            created_at=clock.db_now(),
            closed_at=clock.db_now(),
        )
        Wait.objects.using(using).bulk_create([wait], ignore_conflicts=True)
        Execution.rows.using(using).filter(pk=row.pk).update(calls=row.calls + 1)
