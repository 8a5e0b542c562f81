"""A workflow as SVG."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from django.utils.safestring import SafeString

from django_durable.definition.charts import Chart, ChartNode
from django_durable.drawing.icons import kind_icon, state_icon
from django_durable.drawing.layout import Box, Layout, Placed, Point, layout_of
from django_durable.drawing.lettering import fit, width_of
from django_durable.drawing.lines import Line, lines_of
from django_durable.drawing.markup import classes, element, joined, number
from django_durable.drawing.sizes import NAME_SIZE, NOTE_SIZE, TEXT_LEFT, TEXT_RIGHT
from django_durable.drawing.standing import NodeStanding, Standing, State
from django_durable.drawing.style import style_element

Href = Callable[[str], str]
"""Returns where the node at a path leads to; empty: it is no link."""

_CORNER = 7
_SHIFT = 4
_BAR = 3
_TEXT_X = 16


def graph_svg(
    chart: Chart,
    standing: Standing | None = None,
    *,
    href: Href | None = None,
    title: str = "",
    id_: str = "durable-graph",
    embed_style: bool = False,
) -> SafeString:
    """Return the drawing of a workflow as an SVG element.

    ``standing`` says how each node stands; ``href`` returns where the node at a path
    leads to. ``id_`` begins the ids in the drawing, which have to differ from those of
    other drawings on a page. ``embed_style``: for a file that stands for itself.
    """
    return _Graph(chart, standing, href or (lambda path: "")).svg(
        title or f"Workflow {chart.workflow}", id_, embed_style=embed_style
    )


class _Graph:
    def __init__(self, chart: Chart, standing: Standing | None, href: Href) -> None:
        self.chart = chart
        self.standing = standing
        self.href = href
        self.layout: Layout = layout_of(chart)
        self.placed = list(self.layout.walk())

    def svg(self, title: str, id_: str, *, embed_style: bool) -> SafeString:
        width, height = number(self.layout.width), number(self.layout.height)
        has_links = any(self.href(placed.path) for placed in self.placed)
        return element(
            "svg",
            element("title", title, id=f"{id_}-title"),
            element("desc", self._description(), id=f"{id_}-desc"),
            style_element() if embed_style else "",
            self._plates(),
            self._lines(),
            [self._node(placed) for placed in self.placed],
            xmlns="http://www.w3.org/2000/svg",
            class_=classes("drawing", "graph", "stands" if self.standing else ""),
            viewBox=f"0 0 {width} {height}",
            width=width,
            height=height,
            # What is inside of an image cannot be reached, and links have to be.
            role="group" if has_links else "img",
            aria_labelledby=f"{id_}-title {id_}-desc",
        )

    def _description(self) -> str:
        steps = sum(not placed.part.is_frame for placed in self.placed) - 2
        text = f"{steps} {'node' if steps == 1 else 'nodes'}, from top to bottom."
        at = [
            f"{placed.part.node.name}: {stands.told}"
            for placed in self.placed
            if (stands := self._at(placed)) and stands.state in _ATTENTION
        ]
        return " ".join([text, *(f"{one}." for one in at[:_MOST_TOLD])])

    def _at(self, placed: Placed) -> NodeStanding | None:
        return self.standing.at(placed.path) if self.standing else None

    def _plates(self) -> SafeString:
        """Return the areas of frames, which lie below all lines."""
        return element(
            "g",
            [
                _plate(placed.box, self._classes(placed, "frame"))
                for placed in self.placed
                if placed.part.is_frame
            ],
        )

    def _lines(self) -> SafeString:
        taken = self.standing.taken if self.standing else frozenset()
        lines = sorted(
            lines_of(self.layout),
            key=lambda line: (line.kind, line.source, line.target) in taken,
        )
        return element(
            "g",
            [
                _line(line, (line.kind, line.source, line.target) in taken)
                for line in lines
            ],
        )

    def _classes(self, placed: Placed, *names: str) -> str:
        stands = self._at(placed)
        node = placed.part.node
        state = f"is-{stands.state}" if stands else ""
        return classes(*names, f"kind-{node.kind}", state)

    def _node(self, placed: Placed) -> SafeString:
        node, stands = placed.part.node, self._at(placed)
        inside = joined(
            [element("title", _title(node, stands)), *self._shapes(placed, stands)]
        )
        href = self.href(node.path)
        return element(
            "a" if href else "g",
            inside,
            href=href,
            class_=self._classes(placed, "node"),
            data_path=node.path,
        )

    def _shapes(
        self, placed: Placed, stands: NodeStanding | None
    ) -> Iterator[SafeString]:
        box, node = placed.box, placed.part.node
        if placed.part.is_frame:
            yield element("path", class_=classes("caption"), d=_caption(box))
        else:
            yield _outline(box, "box")
            yield _outline(box, "tint")
        if node.kind in ("start", "end"):
            yield _centred(box, node.name)
            return
        yield from _text(box, node, stands)
        if stands and stands.counts:
            yield from _progress(box, stands)
        if stands and stands.attempts > 1:
            yield _badge(box, f"{stands.attempts}\u00d7")


_ATTENTION = {
    State.RUNNING,
    State.WAITING,
    State.RETRYING,
    State.PAUSED,
    State.FAILED,
    State.COMPENSATING,
    State.COMPENSATION_FAILED,
}
_MOST_TOLD = 10


def _title(node: ChartNode, stands: NodeStanding | None) -> str:
    parts = [
        node.path if node.path[:1] != "(" else node.name,
        f"{stands.state.words}: {stands.words}" if stands and stands.words else "",
        stands.state.words if stands and not stands.words else "",
        stands.detail if stands else "",
        node.note,
        node.doc,
    ]
    return "\n".join(part for part in parts if part)


def _plate(box: Box, class_: str) -> SafeString:
    inside = []
    if box.node.kind == "each":
        # A second sheet behind the first one: there are several of them.
        inside.append(_rect(box, "sheet", shift=_SHIFT))
    return element("g", inside, _rect(box, "plate"), class_=class_)


def _rect(
    box: Box, name: str, *, height: float | None = None, shift: float = 0
) -> SafeString:
    return element(
        "rect",
        class_=classes(name),
        x=box.x + shift,
        y=box.y + shift,
        width=box.width,
        height=height or box.height,
        rx=_CORNER,
    )


def _outline(box: Box, name: str) -> SafeString:
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
        rx=box.height / 2 if is_round else _CORNER,
    )


def _pointed(box: Box) -> str:
    tip, middle = 12, box.y + box.height / 2
    corners: Sequence[Point] = (
        (box.x + tip, box.y),
        (box.right - tip, box.y),
        (box.right, middle),
        (box.right - tip, box.bottom),
        (box.x + tip, box.bottom),
        (box.x, middle),
    )
    return "M" + "L".join(_at(point) for point in corners) + "z"


def _caption(box: Box) -> str:
    """Return the outline of a caption: round above, straight below."""
    return (
        f"M{_at((box.x, box.y + box.header))}v{number(_CORNER - box.header)}"
        f"q0 {-_CORNER} {_CORNER} {-_CORNER}h{number(box.width - 2 * _CORNER)}"
        f"q{_CORNER} 0 {_CORNER} {_CORNER}v{number(box.header - _CORNER)}z"
    )


def _centred(box: Box, text: str) -> SafeString:
    return element(
        "text",
        text,
        class_=classes("name", "centred"),
        x=box.x + box.width / 2,
        y=box.y + box.height / 2 + 4.5,
    )


def _text(
    box: Box, node: ChartNode, stands: NodeStanding | None
) -> Iterator[SafeString]:
    height = box.header or box.height
    middle = box.y + height / 2
    note = (
        stands.told if stands and stands.state is not State.NOT_REACHED else node.note
    )
    if node.when and not (stands and stands.words):
        note = "" if node.when == node.name else node.when
    left = box.x + (TEXT_LEFT if stands else _TEXT_X)
    icon = kind_icon(node.wait or node.kind, box.right - 20, middle)
    room = box.right - left - (36 if icon else TEXT_RIGHT)
    if stands:
        yield state_icon(stands.state, box.x + 20, middle)
    if icon:
        yield icon
    is_low = box.header and box.header < 40
    name = fit(node.name, room, NAME_SIZE, is_bold=True)
    if is_low:
        yield from _on_one_line(name, note, left, middle, room)
        return
    first = middle - 3.5 if note else middle + 4.5
    yield element("text", name, class_=classes("name"), x=left, y=first)
    if note:
        yield element(
            "text",
            fit(note, room, NOTE_SIZE),
            class_=classes("note"),
            x=left,
            y=middle + 12.5,
        )


def _on_one_line(
    name: str, note: str, left: float, middle: float, room: float
) -> Iterator[SafeString]:
    used = width_of(name, NAME_SIZE, is_bold=True) + 8
    rest = fit(note, room - used, NOTE_SIZE) if note else ""
    yield element(
        "text",
        element("tspan", name, class_=classes("name")),
        element("tspan", f" {rest}", class_=classes("note")) if rest else "",
        x=left,
        y=middle + 4.5,
    )


def _progress(box: Box, stands: NodeStanding) -> Iterator[SafeString]:
    counts = stands.counts
    assert counts is not None
    room, x, y = box.width - 2 * _CORNER, box.x + _CORNER, box.y + box.header - _BAR
    yield element(
        "rect", class_=classes("bar"), x=x, y=y, width=room, height=_BAR, rx=1.5
    )
    for name, count in (("done", counts.done), ("failed", counts.failed)):
        width = room * count / counts.total if counts.total else 0
        if width:
            yield element(
                "rect",
                class_=classes("bar", f"bar-{name}"),
                x=x,
                y=y,
                width=width,
                height=_BAR,
                rx=1.5,
            )
            x += width


def _badge(box: Box, text: str) -> SafeString:
    width = 12 + 7 * len(text)
    x, y = box.right - width + 8, box.y - 9
    return element(
        "g",
        element("rect", x=x, y=y, width=width, height=18, rx=9),
        element("text", text, class_=classes("centred"), x=x + width / 2, y=y + 13),
        class_=classes("badge"),
    )


_ROUNDING = 7


def _line(line: Line, is_taken: bool) -> SafeString:
    inside = [
        element("path", class_=classes("way"), d=_rounded(line.points)),
    ]
    if line.has_arrow:
        inside.append(
            element("path", class_=classes("arrow"), d=_arrow(*line.points[-2:]))
        )
    if line.label:
        x, y = line.label_at
        inside.append(
            element(
                "text",
                line.label,
                class_=classes("label", "centred"),
                x=x,
                y=y + 4,
            )
        )
    return element(
        "g",
        inside,
        class_=classes("line", f"line-{line.kind}", "taken" if is_taken else ""),
    )


def _rounded(points: Sequence[Point]) -> str:
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


def _arrow(before: Point, tip: Point) -> str:
    """Return a small triangle that ends at ``tip``."""
    base = _towards(tip, before, 7)
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
