"""Waits: what a durable call asks for, and what answers it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django_durable.types import JSON, Moment, Tree, WaitKind, WaitStatus


@dataclass(frozen=True, slots=True)
class WaitKey:
    """Which durable call of a step body: its kind, name, and how often it was asked.

    ``ordinal`` counts from 0 the calls of this kind and name in one run of the body,
    so that adding or removing another call between two runs is harmless.
    """

    kind: WaitKind
    name: str
    ordinal: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildRequest:
    """A child workflow to start; ``input`` is encoded, ``position`` its first node.

    ``is_awaited``: its end answers.
    """

    workflow: str
    input: Tree
    position: str = ""
    queue: str | None = None
    timeout: timedelta | None = None
    is_awaited: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitRequest:
    """What a body asks for when it suspends.

    ``names`` are the events that may answer. ``due`` is when the wait ends without an
    answer: for a sleep that is its purpose, for others the timeout. ``has_value``
    says that ``timeout_value`` (encoded) is then the answer. ``input`` describes what
    a person is asked. ``sentence`` tells people what is waited for.
    """

    key: WaitKey
    names: tuple[str, ...] = ()
    due: Moment | None = None
    has_value: bool = False
    timeout_value: JSON = None
    fails_step: bool = False
    input: Mapping[str, Any] | None = None
    child: ChildRequest | None = None
    sentence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is stored for a durable call: a value, or that its time ran out.

    ``is_substitute``: the value is the ``timeout_value``.
    """

    key: WaitKey
    value: JSON = None
    timed_out: bool = False
    is_substitute: bool = False
    fails_step: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitState:
    """A stored wait, as far as answering it goes. ``received`` is name -> payload."""

    kind: WaitKind
    status: WaitStatus
    names: tuple[str, ...]
    received: Tree = field(default_factory=dict)
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What the events at hand do to a wait.

    ``consumed`` are positions in the list of events; ``answer`` is set (as a
    one-element tuple, for the answer may be ``None``) when the wait is satisfied.
    """

    consumed: tuple[int, ...]
    received: Tree
    answer: tuple[JSON] | None


def deliver(wait: WaitState, events: Sequence[tuple[str, JSON]]) -> Delivery:
    """Hand ``events`` (name, payload; oldest first) to an open wait.

    An event goes to the wait when the wait asks for its name and has not got that
    name yet. ``any`` takes one event, ``all`` one of each name.
    """
    received = dict(wait.received)
    consumed: list[int] = []
    for position, (name, payload) in enumerate(events):
        if name not in wait.names or name in received:
            continue
        consumed.append(position)
        received[name] = payload
        answer = _answer(wait, name, received)
        if answer is not None:
            return Delivery(consumed=tuple(consumed), received=received, answer=answer)
    return Delivery(consumed=tuple(consumed), received=received, answer=None)


def _answer(wait: WaitState, name: str, received: Tree) -> tuple[JSON] | None:
    """Return the answer once ``name`` has come, or ``None`` while more is needed."""
    if wait.kind is WaitKind.EVENT:
        return (received[name],)
    if wait.kind is WaitKind.ANY:
        return ([name, received[name]],)
    if all(wanted in received for wanted in wait.names):
        return ({wanted: received[wanted] for wanted in wait.names},)
    return None


def next_due(*moments: datetime | None) -> datetime | None:
    """Return the earliest of the moments that are set."""
    return min((moment for moment in moments if moment is not None), default=None)


def answers_by_key(answers: Iterable[Answer]) -> dict[WaitKey, Answer]:
    """Index answers for the durable calls of a body; a later one wins."""
    return {answer.key: answer for answer in answers}
