"""The planner: what to do with an execution, and what follows an attempt.

Total: every state and every outcome has an answer, and no answer is an exception.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_never

from django_durable.definition.graph import Graph
from django_durable.definition.nodes import (
    BranchNode,
    EachNode,
    FanOutNode,
    LoopNode,
    ParallelNode,
    StepNode,
)
from django_durable.definition.paths import (
    index_of,
    join,
    round_of,
    split,
    without_index,
)
from django_durable.engine.actions import (
    Action,
    AskItems,
    AskLoop,
    CancelExecution,
    Choose,
    Complete,
    Consequence,
    EndUndoing,
    GiveUp,
    GoOn,
    KeepWaiting,
    LoseUndo,
    MoveQueue,
    NewLane,
    OpenLanes,
    Park,
    RunStep,
    StepFailed,
    TryAgain,
    Wait,
)
from django_durable.engine.compensating import ending, next_undo
from django_durable.engine.deployed import stands_at
from django_durable.engine.joining import first_failure
from django_durable.engine.outcomes import (
    CancelledItself,
    Outcome,
    Raised,
    Returned,
    Snoozed,
    Suspended,
)
from django_durable.engine.retrying import attempts_allowed, backoff
from django_durable.engine.state import ExecutionState
from django_durable.types import JSON, ErrorInfo, StepKind, StepStatus


def next_action(graph: Graph | None, state: ExecutionState, *, max_lost: int) -> Action:
    """Return what to do with an execution that stands at ``state``.

    ``graph`` is ``None`` when this worker's code has no such workflow. ``max_lost`` is
    how often an attempt of a step without retry is repeated when its worker dies.
    """
    if state.failure is not None:
        return _undo(graph, state, max_lost)
    if state.is_expired:
        return _give_up(
            "workflow_timeout",
            "The execution took longer than its workflow's timeout.",
            state.position,
        )
    if graph is None:
        return Park(reason="code for its workflow is not deployed here")
    position = stands_at(graph, state.position, state.scope, has_begun=state.has_begun)
    if position is None:
        return Complete()
    return _at(graph, state, position, max_lost)


def _at(graph: Graph, state: ExecutionState, position: str, max_lost: int) -> Action:
    """Return what to do with an execution that goes on at ``position``."""
    node = graph.find(position)
    match node:
        case None:
            return Park(reason=f"code for {position} is not deployed here")
        case BranchNode() | LoopNode() if state.attempt > 1 + max_lost:
            return _worker_lost(state, position)
        case BranchNode():
            return Choose(path=position, node=node)
        case LoopNode():
            return AskLoop(path=position, node=node, iteration=index_of(position) or 0)
        case ParallelNode() | EachNode():
            return _fan(graph, state, position, node, max_lost)
        case StepNode():
            return _run(graph, state, position, node, max_lost)
        case _:
            assert_never(node)


def _give_up(word: str, message: str, path: str | None) -> GiveUp:
    return GiveUp(error=ErrorInfo(word, message, path).as_json())


def _worker_lost(state: ExecutionState, path: str) -> GiveUp:
    message = (
        f"The worker died in each of the last attempts; {state.attempt - 1} were made."
    )
    return _give_up("worker_lost", message, path)


def _run(
    graph: Graph, state: ExecutionState, path: str, node: StepNode, max_lost: int
) -> Action:
    """Return ``RunStep``, unless something forbids it or it runs elsewhere."""
    if state.sequence >= graph.max_steps:
        message = (
            f"{graph.max_steps} steps have run (max_steps). If that is no endless jump, "
            "raise max_steps of the workflow."
        )
        return _give_up("max_steps", message, path)
    if state.attempt > attempts_allowed(node.retry, max_lost=max_lost):
        return _worker_lost(state, path)
    queue = node.queue or state.home_queue
    if queue != state.queue:
        return MoveQueue(position=path, queue=queue)
    return RunStep(path=path, node=node, attempt=state.attempt, members=state.members)


def _fan(
    graph: Graph, state: ExecutionState, path: str, node: FanOutNode, max_lost: int
) -> Action:
    """Open the members of a block, wait for them, fail with one, or join them."""
    if state.members is None:
        if state.attempt > 1 + max_lost:
            return _worker_lost(state, path)
        if isinstance(node, EachNode):
            return AskItems(path=path, node=node)
        return OpenLanes(path=path, node=node, lanes=_lanes(path, node), limit=None)
    if any(member.is_open for member in state.members):
        return KeepWaiting()
    error = first_failure(node, state.members)
    if error is not None:
        return GiveUp(error=error)
    return _run(graph, state, path, node.join, max_lost)


def _lanes(path: str, node: ParallelNode) -> tuple[NewLane, ...]:
    return tuple(
        NewLane(
            path=join(path, split(member.path)[1]),
            queue=member.queue if isinstance(member, StepNode) else None,
        )
        for member in node.members
    )


def lanes_for_items(action: AskItems, items: Sequence[JSON]) -> OpenLanes:
    """Return the lanes of an ``Each``, one per encoded item."""
    node, path = action.node, action.path
    lanes = tuple(
        NewLane(path=f"{path}[{index}]", item=item, index=index)
        for index, item in enumerate(items)
    )
    return OpenLanes(path=path, node=node, lanes=lanes, limit=node.max_concurrency)


def _undo(graph: Graph | None, state: ExecutionState, max_lost: int) -> Action:
    """Return the next compensation, or the end when all is undone."""
    if graph is None:
        return Park(reason="code for its workflow is not deployed here")
    found = next_undo(graph, state)
    if found is None:
        return EndUndoing(status=ending(state))
    done, node = found
    step = RunStep(path=done.path, node=node, attempt=state.attempt, undoes=done)
    if state.attempt > attempts_allowed(node.retry, max_lost=max_lost):
        message = "The worker died in each of the last attempts of its compensation."
        return LoseUndo(step=step, error=ErrorInfo("worker_lost", message, done.path))
    return step


def after_choice(
    graph: Graph, path: str, node: BranchNode, answer: Any, scope: str = ""
) -> str | None:
    """Return the position after the branch at ``path`` got its answer."""
    case = node.choose(answer)
    if case is None:
        return graph.after(path, scope)
    return graph.enter(path, case, scope)


def after_asking(
    graph: Graph, action: AskLoop, answer: Any, scope: str = ""
) -> str | GiveUp | None:
    """Return the position after the loop was asked for another round."""
    loop = without_index(action.path)
    if not answer:
        return graph.after(loop, scope)
    if action.iteration >= action.node.max_iterations:
        message = (
            f"{action.node.max_iterations} rounds have run (max_iterations), and its "
            "condition still holds."
        )
        return _give_up("loop_limit", message, loop)
    first = split(action.node.nodes[0].path)[1]
    return join(round_of(action.path), first)


def after_attempt(
    graph: Graph, step: RunStep, outcome: Outcome, *, draw: float, scope: str = ""
) -> Consequence:
    """Return what follows an attempt that ended with ``outcome``.

    ``draw`` is a random number in [0, 1) for the jitter of a retry.
    """
    match outcome:
        case Returned():
            return _go_on(graph, step, outcome, scope)
        case Raised():
            return _after_failure(step, outcome, draw)
        case Suspended(request=request):
            return Wait(request=request)
        case Snoozed(delay=delay):
            return TryAgain(
                delay=delay, attempt=step.attempt, status=StepStatus.SNOOZED
            )
        case CancelledItself(reason=reason):
            return CancelExecution(reason=reason)
        case _:
            assert_never(outcome)


def _go_on(
    graph: Graph, step: RunStep, outcome: Returned, scope: str
) -> GoOn | StepFailed:
    """Return the way on after a body that returned."""
    if step.undoes is not None:
        return GoOn(position=step.path, data=outcome.data, output=outcome.output)
    if outcome.goto is None:
        position = graph.after(step.path, scope)
        return GoOn(position=position, data=outcome.data, output=outcome.output)
    name = outcome.goto.target
    target = graph.target(step.path, name) if name in step.node.targets else None
    if step.node.kind is not StepKind.DECISION or target is None:
        declared = ", ".join(step.node.targets) or "none, for it is not a @decision"
        message = f"It jumps to {name!r}; its declared targets are: {declared}."
        return StepFailed(
            error=ErrorInfo("decision_error", message, step.path),
            status=StepStatus.FAILED,
        )
    return GoOn(position=target, data=outcome.data, output=outcome.output)


def _after_failure(
    step: RunStep, outcome: Raised, draw: float
) -> TryAgain | StepFailed:
    """Return the next attempt, or the end when none is left or the policy says so."""
    policy = step.node.retry
    status = StepStatus.TIMED_OUT if outcome.is_timeout else StepStatus.FAILED
    may_retry = outcome.exception is not None and (
        outcome.delay is not None or policy.covers(outcome.exception)
    )
    if not may_retry or step.attempt >= policy.max_attempts:
        is_undoing = step.undoes is not None
        return StepFailed(error=outcome.error, status=status, is_undoing=is_undoing)
    delay = outcome.delay
    if delay is None:
        delay = backoff(policy, attempt=step.attempt, draw=draw)
    return TryAgain(
        delay=delay, attempt=step.attempt + 1, status=status, error=outcome.error
    )
