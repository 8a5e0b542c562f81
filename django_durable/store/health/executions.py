"""Every open execution has exactly one reason to move again."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from django_durable.models import Execution, Wait
from django_durable.models.execution import FINAL, ExecutionQuerySet
from django_durable.store.health.finding import Finding, Patient
from django_durable.store.leases import HELD
from django_durable.types import ExecutionStatus, WaitStatus

_UNHELD = Q(available_at=None, leased_by=None)
_IS_PAUSED = Q(status=ExecutionStatus.PAUSED)


def without_a_reason(patient: Patient) -> list[Finding]:
    """Nothing will ever move it: not due, not leased, no wait, not paused, not its turn."""
    using = patient.using
    rows = _open(using).filter(_UNHELD).exclude(_IS_PAUSED)
    # An item that is held back by max_concurrency, while others of its block work.
    is_held = Q(is_lane=True, started_at=None, status=ExecutionStatus.WAITING)
    stuck = rows.filter(~Exists(_open_waits(using))).exclude(
        is_held & Q(Exists(_at_work(using)))
    )
    return patient.finding(
        "no_reason_to_move",
        _ids(stuck, patient),
        "Open, but neither due, leased, waiting, paused nor held back by a limit: "
        "nothing will ever move it.",
        "Cancel it, and start a new one with the same input. Please report it with the "
        "output of `durable show`: this is a fault of the engine.",
    )


def with_two_reasons(patient: Patient) -> list[Finding]:
    """Leased or paused, and due as well: two could move it at once."""
    rows = _open(patient.using).filter(
        Q(available_at__isnull=False) & (Q(leased_by__isnull=False) | _IS_PAUSED)
        | Q(resumes_at__isnull=False) & ~_IS_PAUSED
    )
    return patient.finding(
        "two_reasons_to_move",
        _ids(rows, patient),
        "Leased or paused and due as well, so a second worker could take it. What the "
        "first one writes then is refused.",
        "Please report it with the output of `durable show`.",
    )


def leased_in_another_status(patient: Patient) -> list[Finding]:
    """Leased, but in a status in which nothing that its worker writes is accepted."""
    held = [status.value for status in HELD]
    rows = Execution.rows.using(patient.using).leased().exclude(status__in=held)
    return patient.finding(
        "leased_in_wrong_status",
        _ids(rows, patient),
        "Leased by a worker, but in a status in which no lease holds.",
        "Please report it with the output of `durable show`.",
    )


def without_their_timer(patient: Patient) -> list[Finding]:
    """A wait or a workflow has a time limit, but the row is never due for it."""
    using = patient.using
    timed = _open_waits(using).filter(until__isnull=False)
    rows = _open(using).filter(_UNHELD).exclude(_IS_PAUSED)
    rows = rows.filter(Q(expires_at__isnull=False) | Q(Exists(timed)))
    return patient.finding(
        "timer_not_set",
        _ids(rows, patient),
        "It, or what it waits for, has a time limit, but it is never due for it.",
        "Answer what it waits for, or cancel it. Please report it with the output of "
        "`durable show`.",
    )


def _open(using: str) -> ExecutionQuerySet:
    final = [status.value for status in FINAL]
    rows: ExecutionQuerySet = Execution.rows.using(using).exclude(status__in=final)
    return rows


def _open_waits(using: str) -> QuerySet[Any, Any]:
    """Return the open waits of the row of the outer query, a lane or an execution."""
    waits: QuerySet[Any, Any] = Wait.objects.using(using)
    waits = waits.annotate(row=Coalesce("lane", "execution_id"))
    return waits.filter(status=WaitStatus.OPEN, row=OuterRef("pk"))


def _at_work(using: str) -> ExecutionQuerySet:
    """Return siblings of a lane that are at work, and so will give their turn to it."""
    return _open(using).filter(
        Q(started_at__isnull=False) | Q(available_at__isnull=False) | _IS_PAUSED,
        awaited_by=OuterRef("awaited_by"),
        awaited_visit=OuterRef("awaited_visit"),
        is_lane=True,
    )


def _ids(rows: ExecutionQuerySet, patient: Patient) -> list[object]:
    ids = rows.order_by("pk").values_list("pk", flat=True)
    return list(ids[: patient.limit + 1])


__all__ = [
    "leased_in_another_status",
    "with_two_reasons",
    "without_a_reason",
    "without_their_timer",
]
