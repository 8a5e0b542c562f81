"""What acts on one execution: ``start``, ``cancel``, ``send-event`` and the like."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model

from django_durable import api
from django_durable.conf import get_settings
from django_durable.console.answers import Answer, UsageError
from django_durable.console.identifying import identify
from django_durable.console.objects import execution_object, input_object
from django_durable.models import Execution


def start(given: dict[str, Any]) -> Answer:
    """Start an execution."""
    durable, text = given["durable"], given["input"]
    data = parse_json(text, "--input") if text is not None else {}
    if not isinstance(data, dict):
        raise UsageError('--input: give a JSON object, such as {"order_id": 7}.')
    with values_of_the_command():
        row = api.start(
            given["workflow"],
            data,
            queue=given["queue"],
            priority=given["priority"],
            idempotency_key=given["key"],
            tags=given["tag"] or (),
            durable=durable,
        )
    said = f"Started {row.workflow}: {row.pk}"
    if not row.created:
        said = f"{row.pk} has the key {given['key']!r} already; nothing was started."
    row = api.get_execution(row.pk, durable=durable)
    return _answer(row, said, created=row.created and said.startswith("Started"))


def cancel(given: dict[str, Any]) -> Answer:
    """Cancel an open execution."""
    id_ = _id(given)
    api.cancel(
        id_,
        reason=given["reason"],
        compensate=given["compensate"],
        durable=given["durable"],
    )
    ending = "is being undone" if given["compensate"] else "is cancelled"
    return _changed(id_, f"{id_} {ending}.", given)


def retry(given: dict[str, Any]) -> Answer:
    """Let a failed execution go on from its failed step."""
    id_ = _id(given)
    api.retry(id_, durable=given["durable"])
    return _changed(id_, f"{id_} goes on from where it failed.", given)


def pause(given: dict[str, Any]) -> Answer:
    """Let no further step start."""
    id_ = _id(given)
    api.pause(id_, durable=given["durable"])
    return _changed(id_, f"{id_} is paused; a step that runs may end.", given)


def resume(given: dict[str, Any]) -> Answer:
    """Take a pause back."""
    id_ = _id(given)
    api.resume(id_, durable=given["durable"])
    return _changed(id_, f"{id_} goes on.", given)


def run_now(given: dict[str, Any]) -> Answer:
    """Skip a sleep, a back-off, a snooze or the wait for a scheduled start."""
    id_ = _id(given)
    api.run_now(id_, durable=given["durable"])
    return _changed(id_, f"{id_} is next for a worker.", given)


def send_event(given: dict[str, Any]) -> Answer:
    """Send an event."""
    id_, text = _id(given), given["payload"]
    payload = None if text is None else parse_json(text, "--payload")
    with values_of_the_command():
        event = api.send_event(
            id_,
            given["name"],
            payload,
            event_id=given["event_id"],
            durable=given["durable"],
        )
    ending = "was taken at once" if event.taken_by_id else "is kept for the next wait"
    return _changed(id_, f"Event {event.name!r} was sent, and {ending}.", given)


def provide_input(given: dict[str, Any]) -> Answer:
    """Answer what an execution asks a person."""
    request = api.provide_input(
        _id(given),
        given["name"],
        parse_answer(given["value"]),
        user=_user(given["user"]) if given["user"] else None,
        comment=given["comment"],
        durable=given["durable"],
    )
    said = f"{request.name!r} of {request.execution_id} is answered."
    return Answer(blocks=[said], objects=[input_object(request)])


@contextmanager
def values_of_the_command() -> Iterator[None]:
    """Tell of a value that the public functions refuse as of one written wrongly."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from error


def _user(name: str) -> Any:
    model: Any = get_user_model()
    try:
        return model._default_manager.get_by_natural_key(name)
    except model.DoesNotExist:
        raise UsageError(f"--user: there is no user {name!r}.") from None


def parse_json(text: str, where: str) -> Any:
    """Return the value of a JSON text."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(f"{where}: this is no JSON: {error}.") from None
    except RecursionError:
        raise UsageError(f"{where}: this is nested too deeply.") from None


def parse_answer(text: str) -> Any:
    """Return the answer that was given as JSON, or as plain text where it is none.

    What begins like an object, a list or a string was meant as JSON.
    """
    if text.lstrip()[:1] in ("{", "[", '"'):
        return parse_json(text, "the answer")
    try:
        return json.loads(text)
    except ValueError:
        return text


def _id(given: dict[str, Any]) -> UUID:
    return identify(given["id"], using=get_settings(given["durable"]).database)


def _changed(id_: UUID, said: str, given: dict[str, Any]) -> Answer:
    return _answer(api.get_execution(id_, durable=given["durable"]), said)


def _answer(row: Execution, said: str, **more: Any) -> Answer:
    return Answer(blocks=[said], objects=[{**execution_object(row), **more}])
