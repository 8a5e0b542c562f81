"""One attempt of a step: its body is run, and nobody but one settles how it ended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from typing import Any

from asgiref.sync import sync_to_async
from django.db import Error, InterfaceError, OperationalError, connections

from django_durable.engine.actions import RunStep
from django_durable.engine.outcomes import Outcome, Raised
from django_durable.exceptions import StepTimeout
from django_durable.runtime.calls import call_for
from django_durable.runtime.context import StepContext, surroundings_of
from django_durable.runtime.event_loop import EventLoop
from django_durable.runtime.log_capture import StepLines
from django_durable.runtime.memory import StepMemory
from django_durable.runtime.run import Run
from django_durable.runtime.step_runner import (
    Unfinished,
    finish,
    finish_here,
    run_step,
)
from django_durable.runtime.watchdog import Attempt
from django_durable.types import ErrorInfo


class Abandoned(BaseException):
    """The watchdog has settled this thread's attempt; the thread has nothing left to do."""


class CutOff(Exception):
    """The engine's database went away under an attempt, which is lost as with a worker."""


def context_of(
    run: Run, step: RunStep, attempt: Attempt, *, max_bytes: int
) -> StepContext:
    """Return what the body of a step knows."""
    return StepContext(
        execution_id=run.lease.owner_id,
        workflow=run.claimed.workflow,
        step=step.path,
        sequence=run.sequence,
        attempt=step.attempt,
        is_undo=step.undoes is not None,
        answers=run.answers,
        memory=StepMemory(
            run.lease,
            path=step.path,
            sequence=run.visit,
            attempt=step.attempt,
            max_bytes=max_bytes,
        ),
        running=attempt,
        max_payload_bytes=max_bytes,
        is_atomic=step.node.atomic,
        index=run.given.get("index"),
        iteration=run.graph.iteration(step.path) if run.graph else None,
    )


class Awaiting:
    """An attempt whose body is a coroutine, and runs on the event loop of the process."""

    def __init__(
        self, step: RunStep, attempt: Attempt, lines: StepLines, body: Unfinished
    ) -> None:
        self.step = step
        self.lines = lines
        self._attempt = attempt
        self._body = body
        self._result: Callable[[], Any] | None = None

    def start(self, loop: EventLoop, using: str, on_end: Callable[[], None]) -> None:
        """Begin to await it. ``on_end`` is called unless the watchdog was quicker."""

        def end(result: Callable[[], Any]) -> None:
            # It has ended, or was cancelled before it began.
            self._body.body.close()
            self._attempt.leave_body()
            self._result = result
            if self._attempt.take():
                on_end()
            else:
                # Its lines may have to be written, for which the loop has no time.
                threading.Thread(target=self._close_lines, daemon=True).start()

        body = _with_an_eye_on_the_database(self._body.body, using)
        try:
            cancel = loop.start(body, self._body.surroundings, end)
        except BaseException:
            # No thread was to be had for the loop.
            body.close()
            self._body.body.close()
            if self._attempt.take():
                raise
            return
        self._attempt.interrupt = cancel
        if self._attempt.is_over:
            cancel()

    def outcome(self) -> Outcome:
        """Return how it ended; raise ``CutOff`` when the database went away under it."""
        assert self._result is not None
        outcome = finish(self._body, self._attempt, self._result)
        if isinstance(outcome, Raised) and isinstance(outcome.exception, CutOff):
            raise outcome.exception
        return outcome

    def _close_lines(self) -> None:
        try:
            self.lines.close()
        finally:
            connections.close_all()


async def _with_an_eye_on_the_database(
    body: Coroutine[Any, Any, Any], using: str
) -> Any:
    try:
        return await body
    except (InterfaceError, OperationalError) as error:
        if await sync_to_async(_is_gone)(using):
            raise CutOff(str(error)) from error
        raise


def _is_gone(using: str) -> bool:
    """Say whether the database that the engine uses is gone, in the body's own thread."""
    connection = connections[using]
    if connection.connection is not None:
        return bool(getattr(connection.connection, "closed", False))
    try:
        connection.ensure_connection()
    except Error:
        return True
    return False


def outcome_of(
    run: Run,
    step: RunStep,
    context: StepContext,
    attempt: Attempt,
    lines: StepLines,
    *,
    loop: EventLoop | None = None,
) -> Outcome | Awaiting:
    """Run the body; raise ``Abandoned`` when the watchdog has settled the attempt.

    A coroutine is left to be awaited on ``loop``, if there is one.
    """
    was_open = connections[run.lease.using].connection is not None
    try:
        surroundings = surroundings_of(context, lines.capture)
        call = call_for(run, step)
        outcome = run_step(run.workflow, call, context, attempt, surroundings)
        if isinstance(outcome, Unfinished) and loop is not None:
            return _leave_thread(step, attempt, lines, outcome)
        if isinstance(outcome, Unfinished):
            outcome = finish_here(outcome, attempt)
    except StepTimeout:
        # The interruption came just as the body was ending.
        outcome = timed_out(run, step)
    if not attempt.take():
        raise Abandoned
    if error := _cut_off(run, outcome, was_open=was_open):
        raise CutOff(str(error)) from error
    return timed_out(run, step) if attempt.timed_out else outcome


def _leave_thread(
    step: RunStep, attempt: Attempt, lines: StepLines, body: Unfinished
) -> Awaiting:
    if not attempt.leave_thread():
        body.body.close()
        raise Abandoned
    return Awaiting(step, attempt, lines, body)


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
