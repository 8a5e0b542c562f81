"""The lines of a drawing: from node to node, into blocks and out of them, and jumps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from django_durable.drawing.jumps import Below, Beside, Jump
from django_durable.drawing.layout import MARGIN, Box, Layout, Placed, Point
from django_durable.drawing.sizes import BACK_WIDTH, FRAME_BOTTOM, TRACK, Row
from django_durable.drawing.standing import Way

TRUNK = 8
"""From the border of a wrapped grid to the line that connects its rows."""
BOTH_WAYS = 7
"""Off the middle, where a jump leaves and another one arrives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A way from the node ``source`` to the node ``target``, by path.

    ``kind``: ``flow``, ``enter`` (from a block to what is in it), ``leave`` (to the end
    of the block around), ``again`` (back to a loop), ``none`` (past the cases of a branch
    of which none matched, with a ``label`` at ``label_at``) or ``jump``.
    """

    kind: str
    source: str
    target: str
    points: tuple[Point, ...]
    label: str = ""
    label_at: Point = (0, 0)

    @property
    def way(self) -> Way:
        """What tells it from other lines."""
        return self.kind, self.source, self.target

    @property
    def has_arrow(self) -> bool:
        """Whether it arrives: what ends at the lower border of a block goes on there."""
        return self.kind != "leave"


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """Where the drawing goes on from."""

    kind: str
    source: str
    points: tuple[Point, ...]
    label: str = ""
    label_at: Point = (0, 0)

    def through(self, *points: Point) -> _End:
        return replace(self, points=(*self.points, *points))

    def to(self, target: str, *points: Point, kind: str = "") -> Line:
        # The way past all cases stays one, wherever it leads.
        return Line(
            kind=kind if kind and self.kind != "none" else self.kind,
            source=self.source,
            target=target,
            points=straightened((*self.points, *points)),
            label=self.label,
            label_at=self.label_at,
        )


def lines_of(layout: Layout) -> tuple[Line, ...]:
    """Return all lines, in order of execution, and then the jumps."""
    drawing = _Lines()
    drawing.follow(layout.top, [])
    return (*drawing.lines, *_Jumps(layout).lines())


class _Lines:
    """Collects lines while walking the parts in order of execution."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def follow(self, parts: Iterable[Placed], ends: Sequence[_End]) -> Sequence[_End]:
        """Draw the lines to, in and between parts that follow each other."""
        for part in parts:
            self.lines += [end.to(part.path, part.entry) for end in ends]
            ends = self._inside(part)
        return ends

    def _inside(self, part: Placed) -> Sequence[_End]:
        on = _End(kind="flow", source=part.path, points=(part.exit,))
        ends: Sequence[_End]
        if part.sized.grid is not None:
            ends = self._side_by_side(part)
            if not part.part.is_frame:
                return ends
        elif part.sized.stack is not None:
            entry = _End(kind="enter", source=part.path, points=(part.inner_entry,))
            ends = self.follow(part.children, [entry])
            if part.part.node.kind == "loop":
                self.lines += [_again(end, part) for end in ends]
                return [on]
            if not part.children:
                ends = [entry]
        else:
            return [on]
        self.lines += [end.to(part.path, part.exit, kind="leave") for end in ends]
        return [on]

    def _side_by_side(self, part: Placed) -> list[_End]:
        """Draw the lines of a fork; return those that come together below it."""
        fork = _Fork(part)
        ends: list[_End] = []
        for row, children in fork.rows():
            for child in children:
                way = fork.down_to(row, child.axis)
                entry = _End(kind="enter", source=part.path, points=way)
                self.lines.append(entry.to(child.path, child.entry))
                ends += [
                    end.through(*fork.up_from(row, child.axis))
                    for end in self._inside(child)
                ]
            if row.bypass is not None:
                ends.append(fork.past(row))
        return ends


@dataclass(frozen=True, slots=True)
class _Fork:
    """The lines above and below parts that stand side by side."""

    part: Placed

    def rows(self) -> Iterable[tuple[Row, Sequence[Placed]]]:
        """Yield each row with what stands in it."""
        left = list(self.part.children)
        for row in self._grid_rows:
            count = len(row.children)
            yield row, left[:count]
            left = left[count:]

    @property
    def _grid_rows(self) -> tuple[Row, ...]:
        assert self.part.sized.grid is not None
        return self.part.sized.grid.rows

    def down_to(self, row: Row, x: float) -> tuple[Point, ...]:
        """Return the way to above ``x`` in a row: past other rows at the left side."""
        left, top = self.part.inside
        fork, first = top + row.fork, top + self._grid_rows[0].fork
        axis = self.part.axis
        if row is self._grid_rows[0]:
            return self.part.inner_entry, (axis, fork), (x, fork)
        side = left + TRUNK
        return (
            self.part.inner_entry,
            (axis, first),
            (side, first),
            (side, fork),
            (x, fork),
        )

    def up_from(self, row: Row, x: float) -> tuple[Point, ...]:
        """Return the way on from below ``x`` in a row to where all come together."""
        left, top = self.part.inside
        last = self._grid_rows[-1]
        merge, end = top + row.merge, top + last.merge
        if row is last:
            return (x, end), (self.part.axis, end)
        assert self.part.sized.grid is not None
        side = left + self.part.sized.grid.width - TRUNK
        return (x, merge), (side, merge), (side, end), (self.part.axis, end)

    def past(self, row: Row) -> _End:
        """Return the way past all cases."""
        left, top = self.part.inside
        assert row.bypass is not None
        x = left + row.bypass
        return _End(
            kind="none",
            source=self.part.path,
            points=(*self.down_to(row, x), *self.up_from(row, x)),
            label="no match",
            label_at=(x, top + (row.top + row.below) / 2),
        )


def _again(end: _End, loop: Placed) -> Line:
    """Return the line back to the caption of a loop, which asks for another round."""
    x = loop.inside[0] + BACK_WIDTH / 2 - 4
    y = loop.box.bottom - FRAME_BOTTOM
    header = loop.y + loop.sized.header
    axis = end.points[-1][0]
    return end.to(loop.path, (axis, y), (x, y), (x, header), kind="again")


class _Jumps:
    """Draws jumps along the channels that were planned for them."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.plan = layout.plan
        self.placed = {placed.path: placed for placed in layout.walk()}
        self.sources = {jump.source for jump in self.plan.jumps}
        self.targets = {jump.target for jump in self.plan.jumps}
        self.rows = {
            child.path: (row, placed)
            for placed in layout.walk()
            if placed.sized.grid is not None
            for row, children in _Fork(placed).rows()
            for child in children
        }

    def lines(self) -> list[Line]:
        return [self._line(jump) for jump in self.plan.jumps]

    def _line(self, jump: Jump) -> Line:
        source, target = self.placed[jump.source], self.placed[jump.target]
        y = self._height_of(source.box, self.targets, BOTH_WAYS)
        points: list[Point] = [(source.box.right, y)]
        for way in jump.ways:
            if isinstance(way, Beside):
                points.append((self._channel(way.block, jump.target), points[-1][1]))
            else:
                points.append((points[-1][0], self._below(way, jump.target)))
        y = self._height_of(target.box, self.sources, -BOTH_WAYS)
        points += [(points[-1][0], y), (target.box.right, y)]
        return Line(
            kind="jump",
            source=jump.source,
            target=jump.target,
            points=straightened(points),
        )

    def _height_of(self, box: Box, others: set[str], apart: float) -> float:
        """Return where a jump leaves or arrives: at the caption, or in the middle."""
        middle = box.y + (box.header or box.height) / 2
        return middle + apart if box.node.path in others else middle

    def _channel(self, block: str, target: str) -> float:
        if not block:
            x, stack = float(MARGIN), self.layout.stack
        else:
            placed = self.placed[block]
            assert placed.sized.stack is not None
            x, stack = placed.inside[0], placed.sized.stack
        return x + stack.tracks[target]

    def _below(self, way: Below, target: str) -> float:
        row, grid = self.rows[way.path]
        return grid.inside[1] + row.below + row.targets.index(target) * TRACK


def straightened(points: Sequence[Point]) -> tuple[Point, ...]:
    """Return the corners of a line: no point twice, none on the way between others."""
    found: list[Point] = []
    for point in points:
        if found and point == found[-1]:
            continue
        if len(found) > 1 and _is_between(found[-2], found[-1], point):
            found.pop()
        found.append(point)
    return tuple(found)


def _is_between(before: Point, middle: Point, after: Point) -> bool:
    """Say whether a line goes straight on in the middle, and does not turn back."""
    return any(
        before[axis] == middle[axis] == after[axis]
        and (middle[1 - axis] - before[1 - axis]) * (after[1 - axis] - middle[1 - axis])
        > 0
        for axis in (0, 1)
    )
