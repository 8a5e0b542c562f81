"""The one way in which a durable call waits: find the stored answer, or suspend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django_durable import clock, codec
from django_durable.engine.waiting import Answer, ChildRequest, WaitRequest
from django_durable.exceptions import WaitTimeout
from django_durable.runtime.asynchronous import outside_event_loop
from django_durable.runtime.context import get_context
from django_durable.types import JSON, LONGEST, Missing, Moment, WaitKind


def wait_for(
    kind: WaitKind,
    name: str,
    names: tuple[str, ...],
    timeout: timedelta | None,
    timeout_value: Any,
    sentence: str,
    *,
    asked: Mapping[str, Any] | None = None,
    fails_step: bool = False,
) -> Any:
    """Return the value of a wait, or suspend the body until there is one."""
    answer = answer_to(
        kind,
        name,
        names,
        timeout,
        timeout_value,
        sentence,
        asked=asked,
        fails_step=fails_step,
    )
    return decoded(answer.value)


def answer_to(
    kind: WaitKind,
    name: str,
    names: tuple[str, ...],
    timeout: timedelta | None,
    timeout_value: Any,
    sentence: str,
    *,
    asked: Mapping[str, Any] | None = None,
    fails_step: bool = False,
    child: Callable[[], ChildRequest] | None = None,
) -> Answer:
    """Return what is stored for a wait, or suspend the body until there is something.

    ``child`` is asked for the child to start only if there is nothing.
    """
    context = get_context()
    key = context.next_key(kind, name)
    answer = context.answer(key)
    if answer is None:
        _refuse_endless(timeout)
        raise context.suspend(
            WaitRequest(
                key=key,
                names=names,
                due=timeout,
                has_value=not isinstance(timeout_value, Missing),
                timeout_value=_value(timeout_value),
                fails_step=fails_step,
                input=asked,
                child=child() if child else None,
                sentence=sentence + _until(timeout),
            )
        )
    if answer.timed_out:
        error = WaitTimeout(f"Nothing came in time; it waited for {sentence}.")
        error.is_final = answer.fails_step
        raise error
    return answer


def decoded(tree: JSON) -> Any:
    """Return the value of an answer; its model instances are read from the database."""
    return outside_event_loop(codec.decode, tree, instances=codec.fetch_instance)


def _refuse_endless(timeout: Moment | None) -> None:
    """Raise where no clock could be set by a timeout."""
    if timeout is None:
        return
    if isinstance(timeout, datetime):
        if timeout.tzinfo is None:
            raise ValueError(f"timeout={timeout!r}: give an aware datetime.")
    elif not isinstance(timeout, timedelta):
        raise TypeError(f"timeout={timeout!r}: give a timedelta, such as days(3).")
    elif timeout > LONGEST:
        raise ValueError(
            f"timeout={timeout!r}: give at most 100 years, or none to wait for ever."
        )


def _value(timeout_value: Any) -> Any:
    if isinstance(timeout_value, Missing):
        return None
    return codec.encode(timeout_value, name="timeout_value")


def _until(timeout: Moment | None) -> str:
    if timeout is None:
        return ""
    until = timeout if isinstance(timeout, datetime) else clock.now() + timeout
    return f", until {at(until)}"


def at(moment: datetime) -> str:
    """Return a moment as people read it."""
    return f"{moment:%Y-%m-%d %H:%M:%S %Z}".strip()
