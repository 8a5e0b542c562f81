"""What the durable calls of a step find when its body is run again."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet

from django_durable import clock
from django_durable.engine.waiting import Answer
from django_durable.models import Wait
from django_durable.store import cancelling, waits
from django_durable.store.leases import Lease, hold
from django_durable.types import ExecutionStatus, WaitKind, WaitStatus


def answers(lease: Lease, *, sequence: int, attempt: int) -> list[Answer]:
    """Return what the durable calls of this step visit have got so far.

    Waits whose time has come are closed on the way: a sleep is over, another wait has
    timed out. Time-outs without a value are for their own attempt only; the next one
    may wait again.
    """
    asked = list(_visit(lease, sequence))
    if any(wait.is_due for wait in asked):
        with transaction.atomic(using=lease.using):
            hold(lease)
            asked = list(_visit(lease, sequence))
            for wait in asked:
                if wait.is_due:
                    _run_out(wait, lease.using)
    return [waits.answer_of(wait) for wait in asked if _answers(wait, attempt)]


def _visit(lease: Lease, sequence: int) -> QuerySet[Wait, Any]:
    is_due = Q(status=WaitStatus.OPEN, until__lte=clock.db_now())
    return (
        Wait.objects.using(lease.using)
        .filter(execution=lease.owner_id, lane=lease.lane, sequence=sequence)
        .annotate(is_due=ExpressionWrapper(is_due, output_field=BooleanField()))
    )


def _answers(wait: Wait, attempt: int) -> bool:
    """Say whether a wait answers its durable call in attempt number ``attempt``.

    What went wrong, a time-out or a child that failed, is for its own attempt only.
    """
    if wait.status == WaitStatus.TIMED_OUT:
        return wait.has_timeout_value or wait.attempt == attempt
    if wait.kind == WaitKind.CHILD and wait.status == WaitStatus.SATISFIED:
        is_good = (wait.answer or {}).get("status") == ExecutionStatus.COMPLETED
        return is_good or wait.attempt == attempt
    return wait.status == WaitStatus.SATISFIED


def _run_out(wait: Wait, using: str) -> None:
    """Close a wait whose time has come."""
    is_sleep = wait.kind == WaitKind.SLEEP
    status = WaitStatus.SATISFIED if is_sleep else WaitStatus.TIMED_OUT
    waits.close(wait, using, status=status, answer=wait.timeout_value)
    if wait.received:
        closed = Wait.objects.using(using).filter(pk=wait.pk)
        waits.give_back_events(closed, wait.execution_id, using=using)
    if wait.child is not None:
        cancelling.cancel_child(wait.child, "it took too long", using=using)
