"""What a step body may call: each is remembered, so that it happens once.

An answer is found again by kind, name and how often that name was asked for in this run
of the body. When there is none yet the body is unwound, its execution parked, and the
body runs again once the answer has come: code before a wait runs again, so put what
must not be repeated into a ``checkpoint`` or a step of its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, TypeVar

from asgiref.sync import sync_to_async

from django_durable import clock, codec
from django_durable.engine.waiting import Answer, WaitKey, WaitRequest
from django_durable.runtime.asking import answer_to, at, decoded, wait_for
from django_durable.runtime.context import StepContext, get_context
from django_durable.types import LONGEST, MISSING, Moment, WaitKind

T = TypeVar("T")


def sleep(delay: timedelta) -> None:
    """Wait for ``delay``, durably and without holding a worker."""
    if not isinstance(delay, timedelta):
        raise TypeError(f"sleep({delay!r}): give a timedelta, such as minutes(5).")
    if delay > LONGEST:
        raise ValueError(f"sleep({delay!r}): give at most 100 years.")
    _sleep(delay, clock.now() + delay)


def sleep_until(moment: datetime) -> None:
    """Wait until ``moment``, an aware datetime; one in the past does not wait."""
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise TypeError(f"sleep_until({moment!r}): give an aware datetime.")
    _sleep(moment, moment)


def _sleep(due: Moment, until: datetime) -> None:
    context = get_context()
    key = context.next_key(WaitKind.SLEEP, "")
    if context.answer(key) is None:
        raise context.suspend(
            WaitRequest(key=key, due=due, sentence=f"the end of its sleep, {at(until)}")
        )


def wait_for_event(
    name: str, timeout: timedelta | None = None, timeout_value: Any = MISSING
) -> Any:
    """Wait for the event ``name`` and return its payload.

    An event that was sent before counts. Raises ``WaitTimeout`` after ``timeout``,
    unless ``timeout_value`` is given: then that is returned.
    """
    names = _names([name])
    return wait_for(
        WaitKind.EVENT, name, names, timeout, timeout_value, f"the event {name}"
    )


def wait_for_any(
    names: Iterable[str], timeout: timedelta | None = None, timeout_value: Any = MISSING
) -> Any:
    """Wait for the first of several events; return its ``(name, payload)``."""
    names = _names(names)
    sentence = f"one of the events {', '.join(names)}"
    answer = answer_to(
        WaitKind.ANY, _together(names), names, timeout, timeout_value, sentence
    )
    value = decoded(answer.value)
    return value if answer.is_substitute else tuple(value)


def wait_for_all(
    names: Iterable[str], timeout: timedelta | None = None, timeout_value: Any = MISSING
) -> Any:
    """Wait for all of several events; return ``{name: payload}``."""
    names = _names(names)
    sentence = f"all of the events {', '.join(names)}"
    return wait_for(
        WaitKind.ALL, _together(names), names, timeout, timeout_value, sentence
    )


def checkpoint(name: str, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Return ``function(*args, **kwargs)``, called once however often the body runs.

    With an ``async def`` function the call is awaited: ``await checkpoint(…)``.
    """
    context = get_context()
    key = context.next_key(WaitKind.CHECKPOINT, codec.check_name(name))
    if inspect.iscoroutinefunction(function):
        return _checkpoint_async(context, key, function, *args, **kwargs)  # type: ignore[return-value]
    stored = context.answer(key)
    if stored is None:
        stored = Answer(
            key=key, value=_encoded(context, name, function(*args, **kwargs))
        )
        context.remember(stored)
    return decoded(stored.value)  # type: ignore[no-any-return]


async def _checkpoint_async(
    context: StepContext,
    key: WaitKey,
    function: Callable[..., Any],
    *args: Any,
    **kwargs: Any,
) -> Any:
    stored = context.answer(key)
    if stored is None:
        value = await function(*args, **kwargs)
        stored = Answer(key=key, value=_encoded(context, key.name, value))
        await sync_to_async(context.remember)(stored)
    return decoded(stored.value)


def _encoded(context: StepContext, name: str, value: Any) -> Any:
    tree = codec.encode(value, name=f"checkpoint {name}")
    codec.check_size(tree, context.max_payload_bytes, f"checkpoint {name}")
    return tree


def _names(names: Iterable[str]) -> tuple[str, ...]:
    if isinstance(names, str):
        raise TypeError(f"names={names!r}: give a list of names, such as [{names!r}].")
    found = tuple(dict.fromkeys(codec.check_name(name) for name in names))
    if not found:
        raise ValueError("names is empty: name at least one event.")
    return found


def _together(names: tuple[str, ...]) -> str:
    """Return one name for several, under which their wait is found again."""
    text = ", ".join(names)
    if len(text) <= codec.MAX_NAME:
        return text
    return f"{len(names)} events {sha256(text.encode()).hexdigest()}"
