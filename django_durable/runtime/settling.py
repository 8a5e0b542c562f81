"""What the planner decided -> the ``Move`` that makes it so."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, assert_never

from django_durable import clock
from django_durable.engine.actions import (
    CancelExecution,
    Complete,
    EndUndoing,
    GiveUp,
    GoOn,
    KeepWaiting,
    MoveQueue,
    OpenLanes,
    Park,
    RunStep,
    StepFailed,
    TryAgain,
)
from django_durable.runtime.run import Run
from django_durable.store import families
from django_durable.store.moves import Move, StepEnd
from django_durable.types import ErrorInfo, ExecutionStatus, StepKind, StepStatus, Tree

PARKED_FOR = timedelta(seconds=15)
"""How long an execution rests that stands in code this worker does not have."""

AT_ONCE = timedelta(0)

QuietAction = MoveQueue | Park | Complete | GiveUp | KeepWaiting | EndUndoing


def move_for(run: Run, action: QuietAction) -> Move:
    """Return the move for an action that runs no user code."""
    match action:
        case MoveQueue(position=position, queue=queue):
            return run.move(
                ExecutionStatus.PENDING, position=position, queue=queue, due=AT_ONCE
            )
        case Park(reason=reason):
            return run.move(_parked(run), due=PARKED_FOR, waiting_for=reason)
        case KeepWaiting():
            # Due again, for the last of them may have ended since they were looked at.
            reason = f"the members of {run.position}"
            return run.move(_parked(run), due=PARKED_FOR, waiting_for=reason)
        case Complete():
            return run.move(ExecutionStatus.COMPLETED)
        case GiveUp(error=error):
            return move_to_failure(run, error)
        case EndUndoing(status=status):
            failed_at = (run.failure or {}).get("step") or run.position
            return run.move(status, position=failed_at)
        case _:
            assert_never(action)


def _parked(run: Run) -> ExecutionStatus:
    """Return the status of a rest; one that is being undone says so throughout."""
    return ExecutionStatus.COMPENSATING if run.failure else ExecutionStatus.WAITING


def move_to_failure(run: Run, error: Tree, step: StepEnd | None = None) -> Move:
    """Return the move that fails an execution, or begins to undo what it has done."""
    position = step.path if step else error.get("step") or run.position
    if error.get("type") == "cancelled":
        # A lane has cancelled the execution that it is part of.
        status = ExecutionStatus.CANCELLED
        return run.move(status, position=position, error=error, step=step)
    if not run.compensates:
        status = ExecutionStatus.FAILED
        return run.move(status, position=position, error=error, step=step)
    return run.move(
        ExecutionStatus.COMPENSATING,
        position=position,
        attempt=1,
        error=error,
        step=step,
        keeps_lease=True,
    )


def move_after(
    run: Run,
    step: RunStep,
    consequence: GoOn | TryAgain | StepFailed | CancelExecution,
    *,
    yields: bool,
) -> Move:
    """Return the move that ends an attempt. ``yields``: go back to the queue after."""
    match consequence:
        case GoOn() if step.undoes is not None:
            end = _end(run, step, StepStatus.COMPLETED, output=consequence.output)
            return _undone(run, end)
        case GoOn():
            return _go_on(run, step, consequence, yields=yields)
        case TryAgain():
            return _try_again(run, step, consequence)
        case StepFailed(error=error, status=status, is_undoing=True):
            return _undone(run, _end(run, step, status, error=error))
        case StepFailed(error=error, status=status):
            end = _end(run, step, status, error=error)
            return move_to_failure(run, error.as_json(), end)
        case CancelExecution(reason=reason):
            error = ErrorInfo("cancelled", reason, step.path)
            return run.move(
                ExecutionStatus.CANCELLED,
                position=step.path,
                error=error.as_json(),
                step=_end(run, step, StepStatus.CANCELLED, error=error),
            )
        case _:
            assert_never(consequence)


def _undone(run: Run, end: StepEnd) -> Move:
    """Return the move on to the next compensation, whether this one went well or not."""
    return run.move(
        ExecutionStatus.COMPENSATING,
        position=end.path,
        sequence=run.sequence + 1,
        attempt=1,
        step=end,
        keeps_lease=True,
    )


def _go_on(run: Run, step: RunStep, done: GoOn, *, yields: bool) -> Move:
    """Return the checkpoint; after the last step it completes the execution as well."""
    is_last = done.position is None
    status = ExecutionStatus.PENDING if yields else ExecutionStatus.RUNNING
    return run.move(
        ExecutionStatus.COMPLETED if is_last else status,
        position=step.path if is_last else done.position,
        sequence=run.sequence + 1,
        attempt=1,
        data=done.data,
        # What a lane has stored is what it has changed, not its data.
        adds_output=run.lease.lane is None and run.data.keys() <= done.data.keys(),
        due=AT_ONCE,
        step=_end(run, step, StepStatus.COMPLETED, output=done.output),
        keeps_lease=not is_last and not yields,
    )


def _try_again(run: Run, step: RunStep, again: TryAgain) -> Move:
    at = f"{clock.now() + again.delay:%Y-%m-%d %H:%M:%S %Z}"
    if again.error is None:
        sentence = f"the end of a snooze of {step.path}, {at}"
    else:
        sentence = (
            f"attempt {again.attempt} of {step.node.retry.max_attempts} of "
            f"{step.path}, {at}, after {again.error.type}"
        )
    is_failure = again.status is not StepStatus.SNOOZED
    return run.move(
        ExecutionStatus.COMPENSATING if run.failure else ExecutionStatus.PENDING,
        position=step.path,
        attempt=again.attempt,
        due=again.delay,
        waiting_for=sentence,
        step=_end(run, step, again.status, error=again.error) if is_failure else None,
    )


def move_to(run: Run, path: str, position: str | None) -> Move:
    """Return the move from the block at ``path`` to where its answer leads."""
    if position is None:
        return run.move(ExecutionStatus.COMPLETED, position=path)
    return run.move(
        ExecutionStatus.RUNNING, position=position, attempt=1, keeps_lease=True
    )


def move_into(run: Run, action: OpenLanes) -> Move:
    """Return the move that opens the lanes of a block, and waits for them."""
    opens = families.opening(
        run.claimed, action, sequence=run.sequence, given=run.given
    )
    return run.move(
        ExecutionStatus.WAITING,
        position=action.path,
        attempt=1,
        waiting_for=opens.wait.sentence,
        opens=opens,
    )


def move_from_broken_block(
    run: Run, path: str, kind: StepKind, error: ErrorInfo
) -> Move:
    """Return the move that fails an execution whose block could not answer."""
    end = StepEnd(
        path=path,
        kind=kind,
        sequence=run.sequence,
        attempt=run.attempt,
        status=StepStatus.FAILED,
        started_at=run.step_started_at,
        error=error.as_json(),
    )
    return move_to_failure(run, error.as_json(), end)


def _end(run: Run, step: RunStep, status: StepStatus, **ended: Any) -> StepEnd:
    """Return the record of an attempt; ``ended`` holds its output or its error."""
    error: ErrorInfo | None = ended.get("error")
    return StepEnd(
        path=step.path,
        kind=step.node.kind,
        sequence=run.sequence,
        attempt=step.attempt,
        status=status,
        started_at=run.step_started_at,
        output=ended.get("output"),
        error=error.as_json() if error else None,
        undoes=step.undoes.id if step.undoes else None,
    )
