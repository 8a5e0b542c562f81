"""Undo what was done, last completed first."""

from __future__ import annotations

from django_durable.definition.graph import Graph
from django_durable.definition.nodes import StepNode
from django_durable.engine.state import Done, ExecutionState
from django_durable.types import ExecutionStatus, StepKind


def next_undo(graph: Graph, state: ExecutionState) -> tuple[Done, StepNode] | None:
    """Return the completed step to undo next, and the node that undoes it.

    A step whose node is gone from the code, or has no compensation, is passed over.
    """
    undone = {done.undoes for done in state.history if done.undoes}
    for done in state.history:
        if done.undoes or done.id in undone:
            continue
        node = graph.find(done.path)
        if isinstance(node, StepNode) and node.undo:
            return done, compensation_of(node)
    return None


def compensation_of(node: StepNode) -> StepNode:
    """Return the node that runs the compensation of ``node``, at the same path."""
    assert node.undo is not None
    return StepNode(
        path=node.path,
        kind=StepKind.COMPENSATION,
        function=node.undo.function,
        retry=node.undo.retry,
        blocks=node.blocks,
    )


def ending(state: ExecutionState) -> ExecutionStatus:
    """Return how an execution ends that has nothing more to undo."""
    undone = [done for done in state.history if done.undoes]
    if not undone:
        was_cancelled = (state.failure or {}).get("type") == "cancelled"
        return ExecutionStatus.CANCELLED if was_cancelled else ExecutionStatus.FAILED
    if all(done.is_completed for done in undone):
        return ExecutionStatus.COMPENSATED
    return ExecutionStatus.COMPENSATION_FAILED
