"""The nodes of a workflow, with what is said of each in its code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.translation import gettext as _

from django_durable.definition.charts import Chart, ChartNode
from django_durable.definition.durations import spelled
from django_durable.definition.graph import Graph
from django_durable.definition.nodes import EachNode, ParallelNode, StepNode, Undo
from django_durable.definition.paths import split
from django_durable.definition.retry import Retry
from django_durable.drawing import NodeStanding, Standing
from django_durable.engine.retrying import backoff

ANCHOR = "node-"
_MOST_DELAYS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRow:
    """A node as the page of its workflow lists it.

    ``found_by`` is the path under which executions that stand there are found: that of
    the block around, where a member or an item stands, not the execution.
    """

    node: ChartNode
    depth: int
    options: tuple[str, ...]
    stands: NodeStanding | None
    found_by: str

    @property
    def anchor(self) -> str:
        """What the drawing leads to."""
        return f"{ANCHOR}{self.node.path}"

    @property
    def indent(self) -> range:
        """How deep it stands in blocks, to be counted by a template."""
        return range(self.depth)

    @property
    def search(self) -> str:
        """What to look for to find the executions that stand here."""
        return f"step:{self.found_by}"

    @property
    def kind(self) -> str:
        """What it is, in words."""
        return self.node.wait or self.node.kind


def rows_of(graph: Graph, chart: Chart, standing: Standing) -> list[NodeRow]:
    """Return a row per node, in order of execution."""
    return [
        NodeRow(
            node=node,
            depth=node.path.count("."),
            options=tuple(_options(node, graph)),
            stands=standing.at(node.path),
            found_by=_found_by(node.path, graph),
        )
        for node in chart.nodes
        if is_place(node)
    ]


def is_place(node: ChartNode) -> bool:
    """Say whether it is a node of the workflow, not its start or its end."""
    return node.kind not in ("start", "end")


def _found_by(path: str, graph: Graph) -> str:
    found, around = path, split(path)[0]
    while around:
        if isinstance(graph.find(around), ParallelNode | EachNode):
            found = around
        around = split(around)[0]
    return found


def _options(node: ChartNode, graph: Graph) -> Iterator[str]:
    place = graph.find(node.path)
    if node.is_default:
        yield _("in any other case")
    elif node.when:
        yield _("when %(answers)s") % {"answers": node.when}
    if not isinstance(place, StepNode):
        yield from [node.note] if node.note else []
        return
    if place.wait:
        yield node.note
    yield from _trying(place)
    yield from _moving(place)


def _trying(place: StepNode) -> Iterator[str]:
    if place.retry.max_attempts > 1:
        yield _retry(place.retry)
    if place.timeout:
        yield _("at most %(time)s an attempt") % {"time": spelled(place.timeout)}
    if place.undo:
        yield _undo(place.undo)


def _moving(place: StepNode) -> Iterator[str]:
    if place.atomic:
        yield _("atomic")
    if place.queue:
        yield _("queue %(name)s") % {"name": place.queue}
    if place.targets:
        yield _("may jump to %(names)s") % {"names": ", ".join(place.targets)}


def _undo(undo: Undo) -> str:
    name = getattr(undo.function, "__name__", "")
    said = _("undone by %(name)s") % {"name": name}
    return f"{said}, {_retry(undo.retry)}" if undo.retry.max_attempts > 1 else said


def _retry(retry: Retry) -> str:
    """Return how often it is tried, and the first delays, without their spread."""
    last = min(retry.max_attempts - 1, _MOST_DELAYS)
    delays = [
        spelled(backoff(retry, attempt=number, draw=0.5))
        for number in range(1, last + 1)
    ]
    more = " …" if retry.max_attempts - 1 > last else ""
    return _("%(count)d attempts, %(delays)s apart") % {
        "count": retry.max_attempts,
        "delays": ", ".join(delays) + more,
    }
