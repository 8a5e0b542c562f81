"""One attempt of a step: its body is run, and nobody but one settles how it ended."""

from __future__ import annotations

from django.db import InterfaceError, OperationalError, connections

from django_durable.engine.actions import RunStep
from django_durable.engine.outcomes import Outcome, Raised
from django_durable.exceptions import StepTimeout
from django_durable.runtime.calls import call_for
from django_durable.runtime.context import StepContext, surroundings_of
from django_durable.runtime.log_capture import StepLines
from django_durable.runtime.run import Run
from django_durable.runtime.step_runner import run_step
from django_durable.runtime.watchdog import Attempt
from django_durable.types import ErrorInfo


class Abandoned(BaseException):
    """The watchdog has settled this thread's attempt; the thread has nothing left to do."""


class CutOff(Exception):
    """The engine's database went away under an attempt, which is lost as with a worker."""


def outcome_of(
    run: Run,
    step: RunStep,
    context: StepContext,
    attempt: Attempt,
    lines: StepLines,
) -> Outcome:
    """Run the body; raise ``Abandoned`` when the watchdog has settled the attempt."""
    was_open = connections[run.lease.using].connection is not None
    try:
        surroundings = surroundings_of(context, lines.capture)
        call = call_for(run, step)
        outcome = run_step(run.workflow, call, context, attempt, surroundings)
    except StepTimeout:
        # The interruption came just as the body was ending.
        outcome = timed_out(run, step)
    if not attempt.take():
        raise Abandoned
    if error := _cut_off(run, outcome, was_open=was_open):
        raise CutOff(str(error)) from error
    return timed_out(run, step) if attempt.timed_out else outcome


def _cut_off(run: Run, outcome: Outcome, *, was_open: bool) -> BaseException | None:
    """Return what the body raised, if the engine's own connection broke under it.

    ``was_open``: before the body. Else the error may be that of another database.
    """
    error = outcome.exception if isinstance(outcome, Raised) else None
    if not isinstance(error, OperationalError | InterfaceError):
        return None
    session = connections[run.lease.using].connection
    # Not `is_usable`: that is false for a transaction with an error in it as well.
    is_gone = was_open if session is None else getattr(session, "closed", False)
    return error if is_gone else None


def timed_out(run: Run, step: RunStep) -> Raised:
    """Return the outcome of an attempt that took too long: for itself, or in all."""
    seconds_left = run.seconds_left()
    if seconds_left is not None and seconds_left <= 0:
        error = ErrorInfo(
            "workflow_timeout",
            "The execution took longer than its workflow's timeout.",
            step.path,
        )
        return Raised(error=error, is_timeout=True)
    message = f"The attempt took longer than the step's timeout of {step.node.timeout}."
    return Raised(
        error=ErrorInfo("step_timeout", message, step.path),
        exception=StepTimeout(message),
        is_timeout=True,
    )
