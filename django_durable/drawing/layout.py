"""Where everything in a drawing stands: boxes for nodes, lines for ways."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from django_durable.definition.charts import Chart, ChartNode
from django_durable.drawing.jumps import Plan
from django_durable.drawing.parts import Part, parts_of
from django_durable.drawing.sizes import FRAME_TOP, Grid, Sized, Sizer, Stack

MARGIN = 16

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A node in its place. ``header`` is the height of the caption of a frame."""

    node: ChartNode
    x: float
    y: float
    width: float
    height: float
    header: float = 0

    @property
    def right(self) -> float:
        """The right border."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The lower border."""
        return self.y + self.height


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A part in its place: ``x`` and ``y`` are the corner of all that it takes up.

    ``box`` is its frame, or the box of a branch, above what is inside.
    """

    sized: Sized
    box: Box
    x: float
    y: float
    children: tuple[Placed, ...] = ()

    @property
    def part(self) -> Part:
        """The part."""
        return self.sized.part

    @property
    def path(self) -> str:
        """The path of the node."""
        return self.sized.part.path

    @property
    def axis(self) -> float:
        """Where lines enter and leave it."""
        return self.x + self.sized.axis

    @property
    def entry(self) -> Point:
        """Where a line ends that leads to it."""
        return self.axis, self.y

    @property
    def inner_entry(self) -> Point:
        """Where a line begins that leads to what is inside."""
        return self.axis, self.y + self.sized.header

    @property
    def exit(self) -> Point:
        """Where a line begins that leads on from it."""
        return self.axis, self.y + self.sized.height

    @property
    def inside(self) -> Point:
        """The corner of what is inside."""
        top = self.sized.header + (FRAME_TOP if self.sized.stack else 0)
        return self.x + self.sized.inset, self.y + top

    def walk(self) -> Iterator[Placed]:
        """Yield it and all that is in it, in order of execution."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The parts of a chart in their places, the outermost ones in ``top``."""

    plan: Plan
    stack: Stack
    top: tuple[Placed, ...]

    @property
    def width(self) -> float:
        """The width of the drawing, with its margins."""
        return self.stack.width + 2 * MARGIN

    @property
    def height(self) -> float:
        """The height of the drawing, with its margins."""
        return self.stack.height + 2 * MARGIN

    def walk(self) -> Iterator[Placed]:
        """Yield all parts, in order of execution."""
        for placed in self.top:
            yield from placed.walk()


@lru_cache(maxsize=64)
def layout_of(chart: Chart) -> Layout:
    """Lay out a chart. Equal charts come out the same to the last digit."""
    parts = parts_of(chart)
    plan = Plan(chart, parts)
    stack = Sizer(plan, parts).stack("", parts)
    return Layout(plan=plan, stack=stack, top=_stacked(stack, MARGIN, MARGIN))


def _stacked(stack: Stack, x: float, y: float) -> tuple[Placed, ...]:
    return tuple(
        _placed(child, x + left, y + top)
        for child, (left, top) in zip(stack.children, stack.offsets, strict=True)
    )


def _placed(sized: Sized, x: float, y: float) -> Placed:
    placed = Placed(sized=sized, box=_box(sized, x, y), x=x, y=y)
    left, top = placed.inside
    children: tuple[Placed, ...] = ()
    if sized.stack is not None:
        children = _stacked(sized.stack, left, top)
    elif sized.grid is not None:
        children = tuple(_in_rows(sized.grid, left, top))
    return Placed(sized=sized, box=placed.box, x=x, y=y, children=children)


def _in_rows(grid: Grid, x: float, y: float) -> Iterator[Placed]:
    for row in grid.rows:
        for child, left in zip(row.children, row.offsets, strict=True):
            yield _placed(child, x + left, y + row.top)


def _box(sized: Sized, x: float, y: float) -> Box:
    node = sized.part.node
    if node.kind != "branch":
        return Box(
            node=node,
            x=x,
            y=y,
            width=sized.width,
            height=sized.height,
            header=sized.header,
        )
    half = sized.box_width / 2
    return Box(
        node=node, x=x + sized.axis - half, y=y, width=2 * half, height=sized.header
    )
