"""Inputs: the answers that people give."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet

from django_durable.models import Execution, InputRequest
from django_durable.models.fields import Encoded
from django_durable.store import announcements, executions, waits
from django_durable.types import JSON, WaitStatus


def lock(
    execution_id: UUID, name: str, *, input_id: UUID | None, using: str
) -> tuple[Execution, InputRequest | None]:
    """Lock an execution; return its oldest open input of that name, or the last closed.

    ``input_id``: this one alone, not another of the same name.
    """
    row = executions.lock_workflow(execution_id, using=using)
    asked = InputRequest.objects.using(using).filter(execution=row, name=name)
    if input_id is not None:
        asked = asked.filter(pk=input_id)
    asked = asked.select_related("wait").order_by("id")
    for request in asked.filter(status=WaitStatus.OPEN):
        if waits.lock_open(request.wait, using=using):
            return row, request
    return row, asked.exclude(status=WaitStatus.OPEN).last()


def answer(
    request: InputRequest, value: JSON, *, comment: str, user: Any, using: str
) -> None:
    """Record the answer to an input of a locked execution, and wake the execution."""
    with transaction.atomic(using=using):
        InputRequest.objects.using(using).filter(pk=request.pk).update(
            answer=Encoded(value),
            comment=comment,
            answered_by=getattr(user, "pk", None),
        )
        request.comment = comment
        waits.satisfy(request.wait, value, using=using)
        announcements.input_provided(request, user=user, using=using)


def find(input_id: UUID, *, using: str) -> InputRequest | None:
    """Return what a person is or was asked."""
    return InputRequest.objects.using(using).filter(pk=input_id).first()


def pending(
    *, execution_id: UUID | None, timeout_before: datetime | None, using: str
) -> QuerySet[InputRequest]:
    """Return open inputs, soonest timeout first, then oldest."""
    found = InputRequest.objects.using(using).filter(status=WaitStatus.OPEN)
    if execution_id is not None:
        found = found.filter(execution=execution_id)
    if timeout_before is not None:
        found = found.filter(until__lt=timeout_before)
    return found.order_by(F("until").asc(nulls_last=True), "id")


def describe(request: InputRequest) -> dict[str, Any]:
    """Return what ``forms`` needs to validate an answer."""
    return {
        "type": request.type,
        "prompt": request.prompt,
        "choices": request.choices,
        "fields": request.fields,
        "form": request.form,
    }


def why_not_asked(row: Execution, name: str, *, input_id: UUID | None) -> str:
    """Say that an execution has never asked for ``name``, and what it asks for."""
    asked = InputRequest.objects.using(row._state.db).filter(
        execution=row, status=WaitStatus.OPEN
    )
    found = list(asked.values_list("name", flat=True))
    if name in found and input_id is None:
        # Between the look for it and this one.
        return f"{name!r} of {row} has only just been asked for. Answer it again."
    names = ", ".join(found) or "no input"
    which = f" with id {input_id}" if input_id else ""
    return f"{row} does not ask for {name!r}{which}. It waits for: {names}."


def why_closed(row: Execution, request: InputRequest) -> str:
    """Say why an input takes no answer any more: how it was closed, when and by whom."""
    at = f"{request.closed_at:%Y-%m-%d %H:%M:%S %Z}" if request.closed_at else ""
    answerer = who_answered(request)
    by = f" by {answerer}" if answerer else ""
    how = {
        WaitStatus.SATISFIED: f"was answered already{by}, {at}",
        WaitStatus.TIMED_OUT: f"has timed out, {at}",
        WaitStatus.CANCELLED: f"was cancelled, {at}",
    }
    return f"{request.name!r} of {row} {how[WaitStatus(request.status)]}."


def who_answered(request: InputRequest) -> str:
    """Name the user who answered; nothing for code, or for a link of nobody's."""
    if request.answered_by_id is None:
        return ""
    return str(request.answered_by or f"user {request.answered_by_id}, deleted since")
