"""Act on executions: cancel, retry, pause, send events, answer inputs."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db import transaction

from django_durable import codec, forms
from django_durable.api.references import ExecutionRef, id_of
from django_durable.conf import get_settings
from django_durable.exceptions import InputNotFound
from django_durable.models import Event, InputRequest
from django_durable.store import answering, events, inputs, operations, skipping
from django_durable.types import ErrorInfo, WaitStatus

User: TypeAlias = "AbstractBaseUser | AnonymousUser"


def cancel(
    execution: ExecutionRef,
    reason: str = "",
    compensate: bool = False,
    *,
    durable: str = "default",
) -> None:
    """End an open execution as cancelled, with its lanes and children, at all levels.

    After this returns no new step starts. What a running step still does is not
    recorded. With ``compensate`` the completed steps are undone first. Raises
    ``ExecutionNotFound``, and ``ExecutionClosed`` when it has ended.
    """
    codec.encode(reason, name="reason")
    operations.cancel(
        id_of(execution),
        error=ErrorInfo("cancelled", reason).as_json(),
        compensates=compensate,
        using=get_settings(durable).database,
    )


def retry(execution: ExecutionRef, *, durable: str = "default") -> None:
    """Let a failed execution go on from its failed step, attempts counted anew.

    Where a lane or a child has failed, that one goes on; what others finished stays.
    Raises ``ExecutionClosed`` for one that is not failed.
    """
    operations.retry(id_of(execution), using=get_settings(durable).database)


def pause(execution: ExecutionRef, *, durable: str = "default") -> None:
    """Let no further step of an execution start. Timers keep their time."""
    operations.pause(id_of(execution), using=get_settings(durable).database)


def resume(execution: ExecutionRef, *, durable: str = "default") -> None:
    """Take a pause back."""
    operations.resume(id_of(execution), using=get_settings(durable).database)


def run_now(execution: ExecutionRef, *, durable: str = "default") -> None:
    """Let an execution go on at once that stands still only for a time.

    A sleep counts as over; a back-off, a snooze and the wait for ``scheduled_at`` end,
    also in the execution's lanes. It is next among what has its priority in its queue.
    What waits for an event, an input or a child, runs or is paused raises
    ``NothingToSkip``, which says what it waits for; an ended one ``ExecutionClosed``.
    """
    skipping.run_now(id_of(execution), using=get_settings(durable).database)


def send_event(
    execution: ExecutionRef,
    name: str,
    payload: Any = None,
    *,
    event_id: str | None = None,
    durable: str = "default",
) -> Event:
    """Send an event to an execution; it is kept until a wait for ``name`` takes it.

    The same ``event_id`` twice is one event. Raises ``ExecutionNotFound``,
    ``ExecutionClosed``, ``NotStorable``.
    """
    settings = get_settings(durable)
    codec.check_name(name)
    if event_id is not None:
        event_id = codec.check_name(str(event_id), "event_id", limit=codec.MAX_KEY)
    tree = codec.encode(payload, name="payload")
    codec.check_size(tree, settings.max_payload_bytes, "payload")
    return events.send(
        id_of(execution), name, tree, event_id=event_id, using=settings.database
    )


def provide_input(
    execution: ExecutionRef,
    name: str,
    value: Any,
    *,
    user: User | None = None,
    comment: str = "",
    input_id: UUID | None = None,
    durable: str = "default",
) -> InputRequest:
    """Answer what an execution asks a person; the value is validated first.

    ``comment`` is kept with the answer. Of several questions of one name the oldest
    open one is answered, or with ``input_id`` that one and no other. Without ``user``
    the program answers, and nobody's rights are asked for. Raises ``InputNotFound``
    (which says if it was answered, has timed out or was cancelled), ``InvalidInput``
    (``.errors`` as a form gives them) and ``PermissionDenied``.
    """
    return answer_input(
        execution,
        name,
        value,
        user=user,
        comment=comment,
        input_id=input_id,
        is_permitted=user is None,
        durable=durable,
    )


def answer_input(
    execution: ExecutionRef,
    name: str,
    value: Any,
    *,
    user: User | None,
    comment: str,
    input_id: UUID | None,
    is_permitted: bool,
    durable: str,
) -> InputRequest:
    """Do what ``provide_input`` does; unless it ``is_permitted`` the user must be."""
    settings = get_settings(durable)
    using, comment = settings.database, str(comment)
    codec.check_size(
        codec.encode(comment, name="comment"), settings.max_payload_bytes, "comment"
    )
    with transaction.atomic(using=using):
        row, request = inputs.lock(
            id_of(execution), name, input_id=input_id, using=using
        )
        if request is None:
            raise InputNotFound(inputs.why_not_asked(row, name, input_id=input_id))
        # First, so that only those who may answer are told who did.
        if not (is_permitted or answering.may_answer(user, request)):
            raise PermissionDenied(answering.why_not(user, request))
        if request.status != WaitStatus.OPEN:
            raise InputNotFound(inputs.why_closed(row, request))
        cleaned = forms.clean_answer(inputs.describe(request), value)
        tree = codec.encode(cleaned, name=name)
        codec.check_size(tree, settings.max_payload_bytes, name)
        inputs.answer(request, tree, comment=comment, user=user, using=using)
    request.refresh_from_db(using=using)
    return request


def list_pending_inputs(
    execution: ExecutionRef | None = None,
    user: User | None = None,
    timeout_before: datetime | None = None,
    limit: int = 50,
    *,
    durable: str = "default",
) -> list[InputRequest]:
    """Return what people are asked, soonest timeout first.

    ``user``: only what this user may answer.
    """
    found = inputs.pending(
        execution_id=None if execution is None else id_of(execution),
        timeout_before=timeout_before,
        using=get_settings(durable).database,
    )
    if user is not None:
        found = answering.answerable_by(found, user)
    return list(found.select_related("execution", "wait")[:limit])
