"""The shapes of a graph: boxes that say what a node is, and lines with round corners."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.safestring import SafeString

from django_durable.drawing.layout import Box, Point
from django_durable.drawing.markup import classes, element, number

CORNER = 7
_SHIFT, _TIP, _ROUNDING, _ARROW = 4, 12, 7, 7


def plate(box: Box, class_: str) -> SafeString:
    """Return the area of a frame."""
    inside = []
    if box.node.kind == "each":
        # A second sheet behind the first one: there are several of them.
        inside.append(_rect(box, "sheet", shift=_SHIFT))
    return element("g", inside, _rect(box, "plate"), class_=class_)


def _rect(box: Box, name: str, *, shift: float = 0) -> SafeString:
    return element(
        "rect",
        class_=classes(name),
        x=box.x + shift,
        y=box.y + shift,
        width=box.width,
        height=box.height,
        rx=CORNER,
    )


def outline(box: Box, name: str) -> SafeString:
    """Return the shape of a node: pointed where it decides, round where it waits."""
    kind = box.node.kind
    if kind in ("branch", "decision"):
        return element("path", class_=classes(name), d=_pointed(box))
    is_round = kind in ("wait", "start", "end")
    return element(
        "rect",
        class_=classes(name),
        x=box.x,
        y=box.y,
        width=box.width,
        height=box.height,
        rx=box.height / 2 if is_round else CORNER,
    )


def _pointed(box: Box) -> str:
    tip, middle = _TIP, box.y + box.height / 2
    corners: Sequence[Point] = (
        (box.x + tip, box.y),
        (box.right - tip, box.y),
        (box.right, middle),
        (box.right - tip, box.bottom),
        (box.x + tip, box.bottom),
        (box.x, middle),
    )
    return "M" + "L".join(_at(point) for point in corners) + "z"


def caption(box: Box) -> str:
    """Return the outline of a caption: round above, straight below."""
    return (
        f"M{_at((box.x, box.y + box.header))}v{number(CORNER - box.header)}"
        f"q0 {-CORNER} {CORNER} {-CORNER}h{number(box.width - 2 * CORNER)}"
        f"q{CORNER} 0 {CORNER} {CORNER}v{number(box.header - CORNER)}z"
    )


def rounded(points: Sequence[Point]) -> str:
    """Return the path through the points, with round corners."""
    parts = [f"M{_at(points[0])}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        room = min(_distance(before, corner), _distance(corner, after)) / 2
        radius = min(_ROUNDING, room)
        parts.append(
            f"L{_at(_towards(corner, before, radius))}"
            f"Q{_at(corner)} {_at(_towards(corner, after, radius))}"
        )
    return "".join([*parts, f"L{_at(points[-1])}"])


def arrow(before: Point, tip: Point) -> str:
    """Return a small triangle that ends at ``tip``."""
    base = _towards(tip, before, _ARROW)
    across = (base[1] - tip[1]) * 0.55, (tip[0] - base[0]) * 0.55
    one = base[0] + across[0], base[1] + across[1]
    other = base[0] - across[0], base[1] - across[1]
    return f"M{_at(tip)}L{_at(one)}L{_at(other)}z"


def _distance(one: Point, other: Point) -> float:
    return abs(one[0] - other[0]) + abs(one[1] - other[1])


def _towards(point: Point, other: Point, distance: float) -> Point:
    whole = _distance(point, other) or 1
    share = distance / whole
    return (
        point[0] + (other[0] - point[0]) * share,
        point[1] + (other[1] - point[1]) * share,
    )


def _at(point: Point) -> str:
    return f"{number(point[0])} {number(point[1])}"
