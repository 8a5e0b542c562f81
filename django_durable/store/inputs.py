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


def lock_open(
    execution_id: UUID, name: str, *, using: str
) -> tuple[Execution, InputRequest | None]:
    """Lock an execution and return the oldest open input of that name, if there is one."""
    row = executions.lock_workflow(execution_id, using=using)
    asked = (
        InputRequest.objects.using(using)
        .filter(execution=row, name=name, status=WaitStatus.OPEN)
        .select_related("wait")
        .order_by("id")
    )
    for request in asked:
        if waits.lock_open(request.wait, using=using):
            return row, request
    return row, None


def answer(request: InputRequest, value: JSON, *, user: Any, using: str) -> None:
    """Record the answer to an input of a locked execution, and wake the execution."""
    with transaction.atomic(using=using):
        InputRequest.objects.using(using).filter(pk=request.pk).update(
            answer=Encoded(value), answered_by=getattr(user, "pk", None)
        )
        waits.satisfy(request.wait, value, using=using)
        announcements.input_provided(request, user=user, using=using)


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


def why_not_asked(row: Execution, name: str) -> str:
    """Say why there is no open input ``name``: answered, too late, or never asked."""
    asked_for = InputRequest.objects.using(row._state.db).filter(execution=row)
    last = asked_for.filter(name=name).order_by("-id").first()
    if last is None:
        asked = asked_for.filter(status=WaitStatus.OPEN).values_list("name", flat=True)
        names = ", ".join(asked) or "no input"
        return f"{row} does not ask for {name!r}. It waits for: {names}."
    endings = {
        # Between the look for open ones and this one.
        WaitStatus.OPEN: "has only just been asked for",
        WaitStatus.SATISFIED: "was answered already",
        WaitStatus.TIMED_OUT: "has timed out",
        WaitStatus.CANCELLED: "was cancelled",
    }
    return f"{name!r} of {row} {endings[WaitStatus(last.status)]}."
