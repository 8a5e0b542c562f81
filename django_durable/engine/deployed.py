"""Whether the present code can go on with an execution that other code began."""

from __future__ import annotations

from django_durable.definition.graph import Graph
from django_durable.types import ExecutionStatus


def stands_at(
    graph: Graph, position: str | None, scope: str, *, has_begun: bool
) -> str | None:
    """Return the path at which an execution goes on, ``None`` where nothing is to run.

    One that has not done anything yet begins at the first node of this code, should the
    one that was the first when it was started be gone.
    """
    if position is None or (not has_begun and graph.find(position) is None):
        return graph.first(scope)
    return position


def missing_code(
    graph: Graph | None,
    *,
    position: str | None,
    scope: str,
    status: str,
    has_begun: bool = True,
) -> str | None:
    """Say what an open execution needs that this code does not have; ``None``: nothing.

    ``graph`` is that of its workflow, or ``None`` when there is no such workflow.
    ``position`` is where it stands, ``scope`` the path that a lane runs.
    """
    if graph is None:
        return "there is no such workflow"
    if not graph.has_scope(scope):
        return f"there is no {scope}, the member of a block that it runs"
    if status == ExecutionStatus.COMPENSATING:
        # What it undoes is looked up anew; a step that is gone is passed over.
        return None
    path = stands_at(graph, position, scope, has_begun=has_begun)
    if path is not None and graph.find(path) is None:
        return f"there is no {path}, where it stands"
    return None
