"""A wait is open only while someone waits, and nothing that answers it is at hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Coalesce

from django_durable.models import Event, Execution, InputRequest, Wait
from django_durable.store.health.finding import Finding, Patient
from django_durable.types import WaitKind, WaitStatus

_BATCH = 500
_MOST = 10_000
"""Waits that are looked at one by one, at the most."""


def of_ended_executions(patient: Patient) -> list[Finding]:
    """A wait is open, but who opened it has ended or is gone."""
    rows = Execution.rows.using(patient.using).open().filter(pk=OuterRef("row"))
    waits = _open(patient.using).filter(~Exists(rows))
    return patient.finding(
        "wait_of_ended_execution",
        _ids(waits, "row", patient),
        "It has ended, or is gone, but something that it waited for is still open.",
        "It does no harm, but people may be asked for nothing. Please report it with "
        "the output of `durable show`.",
    )


def inputs_of_closed_waits(patient: Patient) -> list[Finding]:
    """A person is asked for what nobody waits for any more, or not asked at all."""
    inputs: QuerySet[InputRequest] = InputRequest.objects.using(patient.using)
    open_waits = Wait.objects.using(patient.using).filter(
        pk=OuterRef("wait"), status=WaitStatus.OPEN
    )
    asked = inputs.filter(status=WaitStatus.OPEN).filter(~Exists(open_waits))
    requests = inputs.filter(wait=OuterRef("pk"), status=WaitStatus.OPEN)
    unasked = _open(patient.using).filter(~Exists(requests), kind=WaitKind.INPUT)
    return [
        *patient.finding(
            "input_without_wait",
            _ids(asked, "execution_id", patient),
            "A person is asked for an input that it does not wait for any more.",
            "The answer would be lost. Please report it.",
        ),
        *patient.finding(
            "wait_without_input",
            _ids(unasked, "row", patient),
            "It waits for a person, but nobody is asked.",
            "Cancel it. Please report it with the output of `durable show`.",
        ),
    ]


def for_ended_children(patient: Patient) -> list[Finding]:
    """A child has ended or is gone, and who waits for it was not told."""
    children = Execution.rows.using(patient.using).open().filter(pk=OuterRef("child"))
    waits = _open(patient.using).filter(~Exists(children), kind=WaitKind.CHILD)
    return patient.finding(
        "child_has_ended",
        _ids(waits, "row", patient),
        "It waits for a child that has ended or is gone.",
        "Cancel it. Please report it with the output of `durable show`.",
    )


def with_an_event_at_hand(patient: Patient) -> list[Finding]:
    """An event was sent that a wait asks for, and the wait did not get it."""
    kinds = (WaitKind.EVENT, WaitKind.ANY, WaitKind.ALL)
    waits = (
        _open(patient.using)
        .filter(kind__in=kinds)
        .order_by("-pk")
        .values_list("execution_id", "row", "names", "received")[:_MOST]
    )
    found = set(_overlooked(list(waits), patient.using))
    return patient.finding(
        "event_not_delivered",
        sorted(found)[: patient.limit + 1],
        "It waits for an event that was sent and kept.",
        "Send the event again: the wait then takes the one that was kept. Please "
        "report it with the output of `durable show`.",
    )


def _overlooked(waits: list[tuple[Any, ...]], using: str) -> Iterator[UUID]:
    for start in range(0, len(waits), _BATCH):
        batch = waits[start : start + _BATCH]
        untaken = Event.objects.using(using).filter(
            taken_by=None, execution__in=[execution for execution, *_ in batch]
        )
        kept = set(untaken.values_list("execution_id", "name"))
        for execution, row, names, received in batch:
            if any((execution, name) in kept for name in set(names) - set(received)):
                yield row


def _open(using: str) -> QuerySet[Any, Any]:
    waits: QuerySet[Any, Any] = Wait.objects.using(using)
    found: QuerySet[Any, Any] = waits.annotate(row=Coalesce("lane", "execution_id"))
    return found.filter(status=WaitStatus.OPEN)


def _ids(found: QuerySet[Any], column: str, patient: Patient) -> list[UUID]:
    ids = found.order_by("pk").values_list(column, flat=True)
    return list(ids[: patient.limit + 1])
