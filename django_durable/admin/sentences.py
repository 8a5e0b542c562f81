"""Why an execution does not move, or what it does, in one sentence.

``sentence`` is a function of values alone. What it returns is a list of parts, so that
names can be set apart and times keep ticking on a page that shows them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

from django_durable.types import ExecutionStatus, WaitKind


@dataclass(frozen=True, slots=True)
class Name:
    """A name that users chose: of a step, an event, an input."""

    text: str


@dataclass(frozen=True, slots=True)
class Since:
    """How long ago an instant was: ``3 h``."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Until:
    """How long it is until an instant: ``in 3 h``."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Ref:
    """Another execution."""

    id: UUID
    text: str


Part: TypeAlias = str | Name | Since | Until | Ref
Sentence: TypeAlias = tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWait:
    """What is waited for. ``whom`` says who may answer an input."""

    kind: str
    name: str
    since: datetime
    until: datetime | None = None
    names: tuple[str, ...] = ()
    input_type: str = ""
    whom: str = ""
    child: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The worker that has claimed an execution."""

    name: str
    beat_at: datetime
    is_alive: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of an execution. A list knows less of each than its page does.

    ``max_attempts`` is ``None`` where the code is not at hand; ``workers`` counts those
    that take its queue. ``failure`` is the last failed attempt of the current step,
    ``member`` what one of the members that are waited for waits for itself.
    """

    status: str
    step: str = ""
    attempt: int = 1
    max_attempts: int | None = None
    queue: str = ""
    available_at: datetime | None = None
    scheduled_at: datetime | None = None
    step_started_at: datetime | None = None
    duration: timedelta | None = None
    waiting_for: str = ""
    error: Mapping[str, Any] | None = None
    failure: Mapping[str, Any] | None = None
    open_lanes: int = 0
    wait: OpenWait | None = None
    member: OpenWait | None = None
    holder: Holder | None = None
    workers: int | None = None
    progress: Mapping[str, Any] | None = None


def sentence(facts: Facts, *, now: datetime) -> Sentence:
    """Return the sentence about an execution, with a full stop at its end."""
    return (*_joined(_parts(facts, now)), ".")


def _joined(parts: Iterator[Part]) -> Iterator[Part]:
    """Yield parts, texts that follow each other as one."""
    text = ""
    for part in parts:
        if isinstance(part, str):
            text += part
            continue
        if text:
            yield text
        yield part
        text = ""
    if text:
        yield text.rstrip(".")


def _parts(facts: Facts, now: datetime) -> Iterator[Part]:
    match facts.status:
        case ExecutionStatus.PENDING:
            yield from _pending(facts, now)
        case ExecutionStatus.RUNNING:
            yield from _running(facts, "Runs ")
        case ExecutionStatus.WAITING:
            yield from _waiting(facts, now)
        case ExecutionStatus.PAUSED:
            yield from ("Paused", *_at(facts), ": waits for someone to resume it")
        case ExecutionStatus.COMPENSATING:
            yield from _compensating(facts)
        case _:
            yield from _ended(facts)


# --- Open -----------------------------------------------------------------------------


def _pending(facts: Facts, now: datetime) -> Iterator[Part]:
    due = facts.available_at
    if due is not None and due > now:
        yield from _later(facts, due)
        return
    runs = (" to run ", Name(facts.step)) if facts.step else (" to start",)
    age: Sentence = () if due is None else (" for ", Since(due))
    if facts.workers == 0:
        yield from ("Waits", *age, *runs, ", but no worker takes the queue ")
        yield Name(facts.queue)
    else:
        yield from ("Waits", *age, " for a free worker of queue ", Name(facts.queue))
        yield from runs


def _later(facts: Facts, due: datetime) -> Iterator[Part]:
    if facts.scheduled_at is not None and not facts.step:
        yield from ("Starts ", Until(due))
    elif facts.attempt > 1:
        yield from (_attempt(facts), " of ", *_name(facts.step), " ", Until(due))
        if facts.failure:
            yield f" after {_error(facts.failure)}"
        elif _AFTER in facts.waiting_for:
            yield f" after {facts.waiting_for.rpartition(_AFTER)[2]}"
    else:
        yield from ("Runs ", *_name(facts.step), " again ", Until(due))


def _running(facts: Facts, verb: str) -> Iterator[Part]:
    yield from (verb, *_name(facts.step))
    if facts.step_started_at is not None:
        yield from (" for ", Since(facts.step_started_at))
    if facts.attempt > 1:
        yield f", {_attempt(facts).lower()}"
    if facts.holder is not None:
        yield f", on {facts.holder.name}"
        if not facts.holder.is_alive:
            yield from (
                ", which gave no sign of life for ",
                Since(facts.holder.beat_at),
            )
    yield _progress(facts.progress)


def _progress(progress: Mapping[str, Any] | None) -> str:
    if not progress:
        return ""
    done, total = progress.get("done"), progress.get("total")
    message = f", {_brief(progress['message'])}" if progress.get("message") else ""
    return f", {done} of {total} done{message}" if total else message


def _compensating(facts: Facts) -> Iterator[Part]:
    if facts.available_at is not None and facts.holder is None and facts.attempt > 1:
        yield from (_attempt(facts), " to undo ", *_name(facts.step), " ")
        yield Until(facts.available_at)
    else:
        yield from _running(facts, "Undoes ")
    yield f", because of {_error(facts.error)}" if facts.error else ""


def _waiting(facts: Facts, now: datetime) -> Iterator[Part]:
    if facts.wait is None:
        yield from _as_stored(facts)
        return
    yield from _wait(facts.wait, facts)
    until = facts.wait.until
    if until is not None and until <= now and facts.workers == 0:
        yield from (", but no worker takes the queue ", Name(facts.queue))
    if facts.member is not None:
        which = "It" if facts.open_lanes == 1 else "One of them"
        first, *rest = _wait(facts.member, replace(facts, step="", waiting_for=""))
        yield f". {which} {str(first)[0].lower()}{str(first)[1:]}"
        yield from rest


def _wait(wait: OpenWait, facts: Facts) -> Iterator[Part]:
    yield from _what(wait, facts)
    if wait.kind == WaitKind.SLEEP:
        return
    yield from (" since ", Since(wait.since))
    if wait.until is not None:
        yield from (", gives up ", Until(wait.until))


def _as_stored(facts: Facts) -> Iterator[Part]:
    """Yield what the row says by itself, with the time counted from now."""
    what, until, _ = facts.waiting_for.rpartition(_UNTIL)
    if facts.waiting_for.startswith(_SLEEP) and facts.available_at is not None:
        yield from ("Sleeps", *_at(facts), ", wakes up ", Until(facts.available_at))
    elif until and facts.available_at is not None:
        yield from (f"Waits for {_brief(what)}, gives up ", Until(facts.available_at))
    elif facts.waiting_for.startswith(_NO_CODE):
        yield f"Stands still: {_brief(facts.waiting_for)}"
    else:
        yield f"Waits for {_brief(facts.waiting_for) or 'its turn'}"


def _what(wait: OpenWait, facts: Facts) -> Iterator[Part]:
    match wait.kind:
        case WaitKind.SLEEP:
            yield from ("Sleeps", *_at(facts))
            if wait.until is not None:
                yield from (", wakes up ", Until(wait.until))
        case WaitKind.EVENT | WaitKind.ANY | WaitKind.ALL:
            names = Name(", ".join(wait.names or (wait.name,)))
            yield from (f"Waits for {_EVENTS[wait.kind]} ", names)
        case WaitKind.INPUT:
            kind = wait.input_type.replace("_", " ")
            yield from (f"Waits for {kind} ", Name(wait.name))
            yield f" by {wait.whom}" if wait.whom else ""
        case WaitKind.CHILD if wait.child is not None:
            yield from ("Waits for its child ", Ref(wait.child, wait.name))
        case WaitKind.LANES:
            count = facts.open_lanes
            noun = "member" if count == 1 else "members"
            yield from (f"Waits for {count:,} {noun} of ", *_name(facts.step))
        case _:
            yield f"Waits for {facts.waiting_for or wait.name}"


# --- Ended ----------------------------------------------------------------------------


def _ended(facts: Facts) -> Iterator[Part]:
    took = f" after {_duration(facts.duration)}" if facts.duration is not None else ""
    match facts.status:
        case ExecutionStatus.COMPLETED:
            yield f"Completed{took}"
        case ExecutionStatus.CANCELLED:
            reason = _brief((facts.error or {}).get("message") or "")
            yield from ("Cancelled", *_at(facts), f": {reason}" if reason else took)
        case ExecutionStatus.COMPENSATED:
            yield from (*_failed(facts), "; everything was undone")
        case ExecutionStatus.COMPENSATION_FAILED:
            yield from (*_failed(facts), "; not everything could be undone")
        case _:
            yield from _failed(facts)


def _failed(facts: Facts) -> Iterator[Part]:
    error = facts.error or {}
    if error.get("type") == "cancelled":
        yield from ("Cancelled", *_at(facts))
    else:
        where = error.get("step") or facts.step
        yield from ("Failed", *((" at ", Name(str(where))) if where else ()))
    yield f": {_error(error)}" if error else ""


# --- Words ----------------------------------------------------------------------------


def _name(step: str) -> tuple[Part, ...]:
    return (Name(step),) if step else ()


def _at(facts: Facts) -> tuple[Part, ...]:
    return (" at ", Name(facts.step)) if facts.step else ()


def _attempt(facts: Facts) -> str:
    if facts.max_attempts is not None and facts.max_attempts >= facts.attempt:
        return f"Attempt {facts.attempt} of {facts.max_attempts}"
    return f"Attempt {facts.attempt}"


def _error(error: Mapping[str, Any]) -> str:
    """Return type and message; the engine's own words and ``Fail`` need no type."""
    kind, message = str(error.get("type") or ""), _brief(error.get("message") or "")
    if kind in ("failed", "cancelled") and message:
        return message
    return f"{kind.replace('_', ' ') if kind.islower() else kind}: {message}".strip(
        ": "
    )


def _brief(text: object) -> str:
    """Return the first line of what users wrote, cut where it is long."""
    line = str(text).strip().partition("\n")[0].rstrip(".")
    return line if len(line) <= LONGEST else line[:LONGEST] + "…"


_EVENTS = {
    WaitKind.EVENT.value: "the event",
    WaitKind.ANY.value: "one of the events",
    WaitKind.ALL.value: "all of the events",
}

# What the engine writes into ``waiting_for``.
_AFTER = ", after "
_UNTIL = ", until "
_SLEEP = "the end of its sleep"
_NO_CODE = "code for "

LONGEST = 200
"""Characters of a user's text in a sentence; the page shows all of it below."""


def _duration(value: timedelta) -> str:
    from django_durable.console.words import duration

    return duration(value)


def plain(said: Sentence, *, now: datetime) -> str:
    """Return a sentence as text."""
    return "".join(_plain(part, now) for part in said)


def _plain(part: Part, now: datetime) -> str:
    match part:
        case Since(at):
            return about(now - at)
        case Until(at):
            return f"in {about(at - now)}" if at > now else "now"
        case Name(text) | Ref(_, text):
            return text
        case _:
            return part


def about(span: timedelta) -> str:
    """Return a span of time in its largest unit, rounded down: ``40 s``, ``3 h``."""
    seconds = max(int(span.total_seconds()), 0)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= (2 * size if unit == "d" else size):
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
