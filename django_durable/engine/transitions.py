"""The status table: which status may follow which, and why.

``docs/state-machine.md`` is generated from it, and tests hold every write against it.
"""

from __future__ import annotations

from collections.abc import Mapping

from django_durable.types import ExecutionStatus

_S = ExecutionStatus

TRANSITIONS: Mapping[tuple[ExecutionStatus, ExecutionStatus], str] = {
    (_S.PENDING, _S.RUNNING): "a worker claims it",
    (_S.PENDING, _S.PAUSED): "pause",
    (_S.PENDING, _S.CANCELLED): "cancel",
    (_S.RUNNING, _S.RUNNING): "a step is done and the next one begins",
    (
        _S.RUNNING,
        _S.PENDING,
    ): "retry later, snooze, another queue, or the worker was lost",
    (
        _S.RUNNING,
        _S.WAITING,
    ): "a step waits, a block is open, or its code is missing here",
    (_S.RUNNING, _S.COMPLETED): "the last step is done",
    (_S.RUNNING, _S.FAILED): "it has failed for good, and nothing can be undone",
    (_S.RUNNING, _S.COMPENSATING): "it has failed for good, or cancel(compensate=True)",
    (_S.RUNNING, _S.CANCELLED): "cancel, a step raised Cancel, or a sibling has failed",
    (_S.RUNNING, _S.PAUSED): "pause; the step that runs may end",
    (_S.WAITING, _S.PENDING): "what it waited for has come, or run_now",
    (_S.WAITING, _S.RUNNING): "its time has come and a worker claims it",
    (_S.WAITING, _S.PAUSED): "pause",
    (_S.WAITING, _S.COMPENSATING): "cancel(compensate=True)",
    (_S.WAITING, _S.CANCELLED): "cancel, or a sibling has failed",
    (_S.PAUSED, _S.PENDING): "resume",
    (_S.PAUSED, _S.WAITING): "resume, and its wait is still open",
    (_S.PAUSED, _S.RUNNING): "resume before the running step has ended",
    (_S.PAUSED, _S.COMPLETED): "the step that was running was the last",
    (_S.PAUSED, _S.FAILED): "the step that was running has failed for good",
    (_S.PAUSED, _S.COMPENSATING): "resume while it is being undone, or cancel",
    (_S.PAUSED, _S.COMPENSATED): "paused when the last compensation had ended",
    (_S.PAUSED, _S.COMPENSATION_FAILED): "paused when the last compensation had ended",
    (_S.PAUSED, _S.CANCELLED): "cancel",
    (_S.PENDING, _S.COMPENSATING): "cancel(compensate=True)",
    (_S.COMPENSATING, _S.COMPENSATING): "one compensation is done and the next begins",
    (_S.COMPENSATING, _S.PAUSED): "pause",
    (_S.COMPENSATING, _S.COMPENSATED): "everything is undone",
    (
        _S.COMPENSATING,
        _S.COMPENSATION_FAILED,
    ): "all was tried, and something not undone",
    (_S.COMPENSATING, _S.FAILED): "nothing was there to undo",
    (_S.COMPENSATING, _S.CANCELLED): "cancel, or nothing was there to undo after one",
    (_S.FAILED, _S.PENDING): "retry, by a person",
    (_S.FAILED, _S.WAITING): "retry, by a person: a lane or a child goes on",
    (
        _S.CANCELLED,
        _S.PENDING,
    ): "retry of the execution that this lane was cancelled with",
    (
        _S.CANCELLED,
        _S.WAITING,
    ): "the same, when the lane waits for its turn or for lanes of its own",
}
"""(from, to) -> what does it. What is not in here never happens."""


def is_allowed(before: ExecutionStatus, after: ExecutionStatus) -> bool:
    """Say whether ``after`` may follow ``before``."""
    return (before, after) in TRANSITIONS
