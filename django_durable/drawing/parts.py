"""A chart as a tree: what follows what, what stands beside what, what is inside what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django_durable.definition.charts import Chart, ChartNode
from django_durable.definition.paths import split

_SIDE_BY_SIDE = ("parallel", "branch")


@dataclass(frozen=True, slots=True)
class Part:
    """A node with what belongs to it.

    ``body`` are the parts that follow each other inside it, ``columns`` those that stand
    side by side: the members of a parallel block, the cases of a branch. A branch is
    drawn above its cases and not around them; every other block is a frame.
    """

    node: ChartNode
    body: tuple[Part, ...] = ()
    columns: tuple[Part, ...] = ()

    @property
    def path(self) -> str:
        """The path of the node."""
        return self.node.path

    @property
    def is_frame(self) -> bool:
        """Whether it is drawn around what belongs to it."""
        return self.node.is_block

    @property
    def may_match_nothing(self) -> bool:
        """Whether it is a branch that goes on without a case when none matches."""
        return self.node.kind == "branch" and not any(
            case.node.is_default for case in self.columns
        )

    def walk(self) -> Iterator[Part]:
        """Yield it and all that is in it, in order of execution."""
        yield self
        for part in (*self.body, *self.columns):
            yield from part.walk()


def parts_of(chart: Chart) -> tuple[Part, ...]:
    """Return the parts of a workflow that follow each other, start and end included."""
    inside: dict[str, list[ChartNode]] = {}
    for node in chart.nodes:
        # A case belongs to its branch, which no frame is drawn around.
        around = split(node.path)[0] if node.kind == "case" else node.around
        inside.setdefault(around, []).append(node)
    return tuple(_part(node, inside) for node in inside.get("", []))


def _part(node: ChartNode, inside: dict[str, list[ChartNode]]) -> Part:
    parts = tuple(_part(one, inside) for one in inside.get(node.path, []))
    if node.kind in _SIDE_BY_SIDE:
        return Part(node, columns=parts)
    return Part(node, body=parts)
