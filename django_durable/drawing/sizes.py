"""How large the parts of a drawing are, from the inside out.

What is inside a block is sized first and then placed in it as one box. Distances are in
pixels; offsets are relative to the upper left corner of what is around.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

from django_durable.drawing.jumps import Plan, Span
from django_durable.drawing.lettering import width_of
from django_durable.drawing.parts import Part

NAME_SIZE, NOTE_SIZE = 13, 11
LEAF_HEIGHT, END_WIDTH, END_HEIGHT = 48, 92, 28
LEAF_WIDTHS = (200, 256)
TEXT_LEFT, TEXT_RIGHT = 38, 14
"""Space beside the text of a node, which an icon stands in."""
HEADER, LOW_HEADER = 46, 30
GAP, COLUMN_GAP = 30, 22
FRAME_PAD, FRAME_TOP, FRAME_BOTTOM, GRID_BOTTOM = 16, 26, 20, 10
FORK, MERGE = 34, 16
"""Between a fork and the row below it; between a row and the line that merges it."""
TRACK, CHANNEL_PAD = 10, 14
BACK_WIDTH = 18
BYPASS_WIDTH = 72
COUNTED_WIDTH = 248
MOST_WIDE = 1200
"""Columns that are wider together stand in several rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Parts that follow each other on one axis. ``tracks``: where jumps run, by target."""

    offsets: tuple[tuple[float, float], ...]
    children: tuple[Sized, ...]
    width: float
    height: float
    axis: float
    tracks: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Parts side by side, with the height at which each line around them runs.

    ``fork`` is above the row, ``merge`` below it, ``below`` where the channel begins.
    """

    offsets: tuple[float, ...]
    children: tuple[Sized, ...]
    targets: tuple[str, ...]
    bypass: float | None
    fork: float
    top: float
    below: float
    merge: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Columns in one row or in several, which lines at both sides connect then."""

    rows: tuple[Row, ...]
    width: float
    height: float
    axis: float

    @property
    def is_wrapped(self) -> bool:
        """Whether there is more than one row."""
        return len(self.rows) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """A part with its size. Lines enter and leave it at ``axis``.

    ``header`` is the height of what stands above what is inside: the caption of a
    frame, the box of a branch, which is ``box_width`` wide. ``inset`` is where what is
    inside begins.
    """

    part: Part
    width: float
    height: float
    axis: float
    box_width: float = 0
    header: float = 0
    inset: float = 0
    stack: Stack | None = None
    grid: Grid | None = None


class Sizer:
    """Sizes the parts of one drawing."""

    def __init__(self, plan: Plan, parts: Sequence[Part]) -> None:
        self.plan = plan
        self.leaf_width = _leaf_width(parts)

    def stack(self, block: str, parts: Sequence[Part], *, left: float = 0) -> Stack:
        """Return the parts of a body, with ``left`` kept free for the way back."""
        children = tuple(self.part(part) for part in parts)
        axis = left + max((child.axis for child in children), default=0)
        right = max((child.width - child.axis for child in children), default=0)
        offsets, y = [], 0.0
        for child in children:
            offsets.append((axis - child.axis, y))
            y += child.height + GAP
        tracks = self._tracks(block, [axis + one.width - one.axis for one in children])
        return Stack(
            offsets=tuple(offsets),
            children=children,
            width=max([axis + right, *(x + TRACK for x in tracks.values())]),
            height=max(y - GAP, 0),
            axis=axis,
            tracks=tracks,
        )

    def _tracks(self, block: str, rights: Sequence[float]) -> dict[str, float]:
        """Return where jumps run: beside all that they pass, shorter ones further in."""
        tracks: dict[str, float] = {}
        spans: dict[str, Span] = {}
        for target, span in self.plan.beside(block):
            first, last = span
            x = max(rights[first : last + 1]) + CHANNEL_PAD
            beside = [
                tracks[other]
                for other, (low, high) in spans.items()
                if low <= last and first <= high
            ]
            tracks[target] = max([x, *(other + TRACK for other in beside)])
            spans[target] = span
        return tracks

    def part(self, part: Part) -> Sized:
        """Return a part with its size, and with that of all that is in it."""
        kind = part.node.kind
        if kind in ("start", "end"):
            return _leaf(part, END_WIDTH, END_HEIGHT)
        if kind == "branch":
            return self._branch(part)
        if part.is_frame:
            return self._frame(part)
        return _leaf(part, self.leaf_width, LEAF_HEIGHT)

    def _branch(self, part: Part) -> Sized:
        grid = self._grid(part, part.columns)
        left = max(self.leaf_width / 2, grid.axis)
        right = max(self.leaf_width / 2, grid.width - grid.axis)
        return Sized(
            part=part,
            width=left + right,
            height=LEAF_HEIGHT + grid.height,
            axis=left,
            box_width=self.leaf_width,
            header=LEAF_HEIGHT,
            inset=left - grid.axis,
            grid=grid,
        )

    def _frame(self, part: Part) -> Sized:
        if part.columns:
            grid = self._grid(part, part.columns)
            sized = self._around(part, grid, GRID_BOTTOM)
            return replace(sized, grid=grid)
        is_loop = part.node.kind == "loop"
        left = BACK_WIDTH if is_loop else 0
        stack = self.stack(part.path, part.body, left=left)
        pad = FRAME_TOP + FRAME_BOTTOM + (MERGE if is_loop else 0)
        return replace(self._around(part, stack, pad), stack=stack)

    def _around(self, part: Part, inside: Stack | Grid, pad: float) -> Sized:
        """Return a frame with ``pad`` pixels above and below what is inside."""
        header = LOW_HEADER if part.node.kind in ("case", "lane") else HEADER
        width = max(inside.width + 2 * FRAME_PAD, self._caption_width(part))
        inset = (width - inside.width) / 2
        return Sized(
            part=part,
            width=width,
            height=header + inside.height + pad,
            axis=inset + inside.axis,
            header=header,
            inset=inset,
        )

    def _grid(self, part: Part, columns: Sequence[Part]) -> Grid:
        children = [self.part(column) for column in columns]
        bypass = BYPASS_WIDTH if part.may_match_nothing else 0
        lines = _wrapped(children, bypass)
        is_wrapped = len(lines) > 1
        side = COLUMN_GAP if is_wrapped else 0
        widths = [_row_width(line) for line in lines]
        widths[-1] += bypass
        inner = max(widths)
        rows, y = [], 0.0
        for line, width in zip(lines, widths, strict=True):
            left = side + (inner - width) / 2
            is_last = line is lines[-1]
            row = self._row(line, left, y, bypass if is_last else 0)
            rows.append(row)
            y = row.merge
        return Grid(
            rows=tuple(rows),
            width=inner + 2 * side,
            height=y,
            axis=side + inner / 2,
        )

    def _row(
        self, children: Sequence[Sized], left: float, y: float, bypass: float
    ) -> Row:
        height = max((child.height for child in children), default=0)
        targets = self.plan.below([child.part.path for child in children])
        offsets, x = [], left
        for child in children:
            offsets.append(x)
            x += child.width + COLUMN_GAP
        top = y + FORK
        below = top + height + TRACK
        return Row(
            offsets=tuple(offsets),
            children=tuple(_stretched(child, height) for child in children),
            targets=tuple(targets),
            bypass=x - COLUMN_GAP + bypass / 2 if bypass else None,
            fork=y + FORK / 2 - 2,
            top=top,
            below=below,
            merge=top + height + len(targets) * TRACK + MERGE,
        )

    def _caption_width(self, part: Part) -> float:
        name = width_of(part.node.name, NAME_SIZE, is_bold=True)
        note = width_of(part.node.note, NOTE_SIZE)
        when = width_of(part.node.when, NOTE_SIZE)
        text = max(name + when, note) + TEXT_LEFT + 2 * TEXT_RIGHT
        most = max(self.leaf_width + 2 * FRAME_PAD, COUNTED_WIDTH)
        # There has to be room for how many of its members have come how far.
        least = COUNTED_WIDTH if part.node.kind in ("each", "parallel") else 0
        return max(min(text, most), least)


def _leaf(part: Part, width: float, height: float) -> Sized:
    return Sized(part=part, width=width, height=height, axis=width / 2)


def _leaf_width(parts: Sequence[Part]) -> float:
    """Return one width for all nodes, so that they stand in line: that of the widest."""
    widest = max(
        max(
            width_of(part.node.name, NAME_SIZE, is_bold=True),
            width_of(part.node.note, NOTE_SIZE),
        )
        for one in parts
        for part in one.walk()
        if not part.is_frame
    )
    low, high = LEAF_WIDTHS
    return min(max(ceil(widest) + TEXT_LEFT + TEXT_RIGHT, low), high)


def _row_width(children: Sequence[Sized]) -> float:
    return sum(child.width for child in children) + COLUMN_GAP * (len(children) - 1)


def _wrapped(children: Sequence[Sized], extra: float) -> list[list[Sized]]:
    """Return the children in rows that are not too wide, with about as many in each.

    ``extra`` is needed beside the last of them.
    """
    count = ceil((_row_width(children) + extra) / MOST_WIDE)
    most = ceil(len(children) / count)
    rows: list[list[Sized]] = [[]]
    for child in children:
        row = rows[-1]
        if len(row) == most or (row and _row_width([*row, child]) > MOST_WIDE):
            rows.append([])
        rows[-1].append(child)
    return rows


def _stretched(child: Sized, height: float) -> Sized:
    """Return a frame as high as its neighbours; what is no frame keeps its height."""
    return replace(child, height=height) if child.part.is_frame else child
