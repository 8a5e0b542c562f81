"""How one attempt of a step can end, as values. No outcome is an exception."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from django_durable.definition.steps import Goto
from django_durable.engine.waiting import WaitRequest
from django_durable.types import ErrorInfo, Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """The body came to its end.

    ``data`` is the data of the execution from now on; ``output`` holds the keys that
    this attempt added or changed. ``goto`` is set when a decision jumps.
    """

    data: Tree
    output: Tree
    goto: Goto | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """The body raised, or what it returned cannot be taken.

    ``exception`` is what the retry policy judges; ``None`` is never retried.
    ``delay`` is what a ``RetryAfter`` asked for.
    """

    error: ErrorInfo
    exception: BaseException | None = None
    delay: timedelta | None = None
    is_timeout: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspended:
    """The body asks for something that is not there yet."""

    request: WaitRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Snoozed:
    """The body asks to be run again later; the attempt does not count."""

    delay: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelledItself:
    """The body cancels its execution."""

    reason: str


Outcome: TypeAlias = Returned | Raised | Suspended | Snoozed | CancelledItself
