"""Every exception of the package, in one tree.

::

    DurableError
    ├── DefinitionError          a workflow class is written wrongly
    ├── UnknownInstance          no such entry in settings.DURABLE
    ├── UnknownWorkflow          no workflow of that name is registered
    ├── InvalidInput             input or answer refused; .errors as a form gives them
    ├── NotStorable              a value cannot be stored; .path, .reason
    │   └── InstanceGone         a stored model instance no longer exists
    ├── ExecutionNotFound  ExecutionClosed  ExecutionFailed  InputNotFound
    ├── NothingToSkip            run_now: it does not stand still for a time
    ├── InvalidSchedule          a schedule is written wrongly
    ├── ScheduleNotFound         no schedule has this name
    ├── InvalidStepReturn        a step returned neither a mapping nor None
    ├── MissingParameter         a step asks for a key that the data does not have
    ├── InvalidJump              a decision jumps where it may not
    ├── SuspensionSwallowed      a step body caught the engine's suspension
    ├── WaitTimeout              a wait ended without an answer
    ├── ChildFailed              a called workflow ended without a result
    ├── NotInStep                a durable call outside a step
    ├── LeaseLost                another worker owns the execution now
    ├── StepTimeout              an attempt took longer than its timeout
    └── StepControl              raised by a step to say how it ends
        ├── Fail  Snooze  Cancel  RetryAfter
    Cancelled                    the execution was cancelled meanwhile (BaseException)

``PermissionDenied`` is Django's own.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django_durable.types import LONGEST


class DurableError(Exception):
    """Root of everything this package raises."""


class DefinitionError(DurableError):
    """A workflow class is written wrongly; raised where it is imported."""


class UnknownInstance(DurableError):
    """``settings.DURABLE`` has no entry of that name."""


class UnknownWorkflow(DurableError):
    """No workflow of that name is registered in this process."""


class InvalidInput(DurableError):
    """An input or an answer was refused; nothing was stored.

    ``errors`` maps field names (``"__all__"`` for the whole) to lists of messages.
    """

    def __init__(
        self, message: str, errors: dict[str, list[str]] | None = None
    ) -> None:
        super().__init__(message)
        self.errors: dict[str, list[str]] = errors or {"__all__": [message]}


class NotStorable(DurableError, ValueError):
    """A value cannot be stored; ``path`` says where it is, ``reason`` why."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class InstanceGone(NotStorable):
    """A stored reference names a model instance that no longer exists."""


class ExecutionNotFound(DurableError):
    """No execution has this id."""


class ExecutionClosed(DurableError):
    """The execution has ended, so it takes no more of this."""


class NothingToSkip(DurableError):
    """``run_now`` has nothing to skip: it runs, is paused, or waits for no mere time."""


class ExecutionFailed(DurableError):
    """The execution ended without a result; ``status`` and ``error`` say how."""

    def __init__(
        self,
        message: str,
        *,
        status: str = "failed",
        error: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error = error


class InputNotFound(DurableError):
    """The execution waits for no input of this name."""


class InvalidSchedule(DurableError):
    """A schedule was refused: its cron, time zone, workflow, input or name."""


class ScheduleNotFound(DurableError):
    """No schedule has this name."""


class InvalidStepReturn(DurableError):
    """A step returned something that is neither a mapping nor ``None``."""


class MissingParameter(DurableError):
    """A step asks by parameter name for a key that the data does not have."""


class InvalidJump(DurableError):
    """A decision jumped to a node it did not declare or that does not exist."""


class SuspensionSwallowed(DurableError):
    """A step body caught the suspension of a durable call and went on."""


class WaitTimeout(DurableError):
    """Nothing came before the timeout, and no ``timeout_value`` was given.

    ``is_final``: the wait was to fail its step (``on_timeout="fail"``), without retry.
    """

    is_final = False


class ChildFailed(DurableError):
    """A workflow that was called ended without a result; ``error`` is its error."""

    def __init__(
        self, message: str, *, execution_id: UUID, error: dict[str, Any] | None
    ) -> None:
        super().__init__(message)
        self.execution_id = execution_id
        self.error = error


class NotInStep(DurableError):
    """A durable call or ``get_context()`` was used outside a step."""


class LeaseLost(DurableError):
    """Another worker owns the execution now, or it was cancelled: write nothing."""


class StepTimeout(DurableError):
    """An attempt took longer than the step's timeout. Raised inside the late body."""


class StepControl(DurableError):
    """Root of what a step raises to say how it ends. Let it pass."""


class Fail(StepControl):
    """Fail the execution now, whatever attempts remain."""

    def __init__(self, reason: str, **details: Any) -> None:
        super().__init__(reason)
        self.reason = reason
        self.details = details


class Cancel(StepControl):
    """Cancel the execution from inside."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class Snooze(StepControl):
    """Run this step again after ``delay``; no attempt is used."""

    def __init__(self, delay: timedelta) -> None:
        super().__init__(f"snoozed for {delay}")
        self.delay = _checked(delay, "Snooze")


class RetryAfter(StepControl):
    """A failed attempt whose next attempt, if any is left, comes after ``delay``."""

    def __init__(self, delay: timedelta, reason: str = "") -> None:
        super().__init__(reason or f"retry after {delay}")
        self.delay = _checked(delay, "RetryAfter")


def _checked(delay: timedelta, name: str) -> timedelta:
    """Refuse, in the step that raises it, what no clock could be set by."""
    if not isinstance(delay, timedelta):
        raise TypeError(f"{name}({delay!r}): give a timedelta, such as minutes(5).")
    if delay > LONGEST:
        raise ValueError(f"{name}({delay!r}): give a delay of at most 100 years.")
    return delay


class Cancelled(BaseException):
    """The execution was cancelled, or taken over, while this step runs.

    Not an ``Exception``, so that a step's own ``except Exception`` lets it pass.
    """
