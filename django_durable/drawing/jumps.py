"""The ways of jumps: which channels beside and below the parts they go through.

Beside every body of parts that follow each other there is a channel, and below every
row of parts that stand side by side. A jump leaves its decision to the right and goes
from channel to channel until it is beside its target, so it never crosses a node.
Jumps to the same target share their track in a channel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django_durable.definition.charts import Chart
from django_durable.definition.paths import split
from django_durable.drawing.parts import Part


@dataclass(frozen=True, slots=True)
class Beside:
    """A way along the body of ``block``, from the part at ``index`` to ``end``.

    The ``end`` of a body that is left for the channel below is that of its last part.
    """

    block: str
    index: int
    end: int


@dataclass(frozen=True, slots=True)
class Below:
    """A way to the right, below the row in which the part at ``path`` stands."""

    path: str


@dataclass(frozen=True, slots=True)
class Jump:
    """A jump, and the channels it goes through. The last one leads to its target."""

    source: str
    target: str
    ways: tuple[Beside | Below, ...]


Span = tuple[int, int]
"""The first and the last part of a body that a way passes."""


class Plan:
    """The jumps of a chart, planned before anything has a size."""

    def __init__(self, chart: Chart, parts: Sequence[Part]) -> None:
        self._around: dict[str, Part] = {}
        self._bodies: dict[str, list[str]] = {"": [part.path for part in parts]}
        for part in parts:
            self._index(part)
        self.jumps = tuple(self._jumps(chart))

    def beside(self, block: str) -> list[tuple[str, Span]]:
        """Return the targets of the ways beside a body, the shortest ways first."""
        spans: dict[str, Span] = {}
        for jump in self.jumps:
            for way in jump.ways:
                if isinstance(way, Beside) and way.block == block:
                    ends = way.index, way.end, *spans.get(jump.target, ())
                    spans[jump.target] = min(ends), max(ends)
        return sorted(spans.items(), key=lambda item: (item[1][1] - item[1][0], item))

    def below(self, columns: Sequence[str]) -> list[str]:
        """Return the targets of the jumps that pass below a row of these parts."""
        found = {
            jump.target: None
            for jump in self.jumps
            for way in jump.ways
            if isinstance(way, Below) and way.path in columns
        }
        return list(found)

    def _index(self, part: Part) -> None:
        if part.body:
            self._bodies[part.path] = [inside.path for inside in part.body]
        for inside in (*part.body, *part.columns):
            self._around[inside.path] = part
            self._index(inside)

    def _jumps(self, chart: Chart) -> Iterator[Jump]:
        for edge in chart.edges:
            if edge.is_jump:
                # The edge ends where a block is entered; a drawing shows the block.
                jump = self._jump(edge.source, edge.label)
                if jump is not None:
                    yield jump

    def _jump(self, source: str, name: str) -> Jump | None:
        ways: list[Beside | Below] = []
        path = source
        while True:
            around = self._around.get(path)
            block = around.path if around else ""
            names = self._bodies.get(block, [])
            if path in names:
                index = names.index(path)
                target = next((one for one in names if split(one)[1] == name), None)
                if target is not None:
                    end = names.index(target)
                    ways.append(Beside(block, index, end))
                    return Jump(source, target, tuple(ways))
            if around is None:
                return None
            if path not in names and path != around.columns[-1].path:
                # Others stand to its right: down beside what is in it, and below them.
                last = len(self._bodies[path]) - 1
                came_from = self._place_in(path, source)
                ways += [Beside(path, came_from, last), Below(path)]
            path = around.path

    def _place_in(self, block: str, path: str) -> int:
        """Return which part of the body of ``block`` the one at ``path`` is, or is in."""
        while (around := self._around[path]).path != block:
            path = around.path
        return self._bodies[block].index(path)
