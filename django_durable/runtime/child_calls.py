"""Durable calls that start another workflow."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django_durable import codec
from django_durable.definition.workflow import Workflow
from django_durable.engine.waiting import Answer
from django_durable.exceptions import ChildFailed
from django_durable.runtime.asking import answer_to, decoded
from django_durable.runtime.context import get_context
from django_durable.types import MISSING, WaitKind


def call_workflow(
    workflow: type[Workflow] | str,
    input: Mapping[str, Any] | None = None,  # noqa: A002
    ref: str | None = None,
    timeout: timedelta | None = None,
    timeout_value: Any = MISSING,
    queue: str | None = None,
) -> Any:
    """Run another workflow, wait for it, and return its result.

    ``ref`` names the call (the workflow's name, unless told): the same call in a later
    run of this body finds its child again. Raises ``ChildFailed`` (``.execution_id``,
    ``.error``) when the child ends without a result. After ``timeout`` the child is
    cancelled, and ``timeout_value`` returned or ``WaitTimeout`` raised.
    """
    context = get_context()
    called = _name_of(workflow)
    answer = answer_to(
        WaitKind.CHILD,
        codec.check_name(ref or called, "ref"),
        (),
        timeout,
        timeout_value,
        f"the workflow {called}",
        child=partial(
            context.memory.request_child, workflow, input, queue, is_awaited=True
        ),
    )
    value = decoded(answer.value)
    if answer.is_substitute:
        return value
    if value["status"] != "completed":
        error = value["error"] or {}
        raise ChildFailed(
            f"{called} {value['id']} is {value['status']}: "
            f"{error.get('type')}: {error.get('message')}",
            execution_id=UUID(value["id"]),
            error=value["error"],
        )
    return value["result"]


def start_workflow(
    workflow: type[Workflow] | str,
    input: Mapping[str, Any] | None = None,  # noqa: A002
    ref: str | None = None,
    queue: str | None = None,
) -> UUID:
    """Start another workflow, once, and return its id without waiting for it."""
    context = get_context()
    name = codec.check_name(ref or _name_of(workflow), "ref")
    key = context.next_key(WaitKind.STARTED, name)
    stored = context.answer(key)
    if stored is None:
        request = context.memory.request_child(workflow, input, queue, is_awaited=False)
        child = context.memory.start_child(key, request)
        stored = context.keep(Answer(key=key, value=child))
    return UUID(str(stored.value))


def _name_of(workflow: object) -> str:
    """Return the name of a workflow; what is none is refused when it is to start."""
    definition = getattr(workflow, "definition", None)
    return str(getattr(definition, "workflow", workflow))
