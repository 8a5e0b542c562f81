"""A workflow as SVG."""

from __future__ import annotations

from collections.abc import Callable

from django.utils.safestring import SafeString

from django_durable.definition.charts import Chart
from django_durable.drawing.boxes import node_drawing
from django_durable.drawing.layout import Placed, layout_of
from django_durable.drawing.lines import Line, lines_of
from django_durable.drawing.markup import classes, element, number
from django_durable.drawing.shapes import arrow, plate, rounded
from django_durable.drawing.standing import NodeStanding, Standing, State
from django_durable.drawing.style import page, style_element

Href = Callable[[str], str]
"""Returns where the node at a path leads to; empty: it is no link."""

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
    other drawings on a page; ``#durable-graph-at-charge`` leads to the node ``charge``.
    ``embed_style``: for a file that stands for itself.
    """
    drawing = _Graph(chart, standing, href or (lambda path: ""), id_)
    return drawing.svg(title or chart.workflow, embed_style=embed_style)


class _Graph:
    def __init__(
        self, chart: Chart, standing: Standing | None, href: Href, id_: str
    ) -> None:
        self.standing = standing
        self.href = href
        self.id_ = id_
        self.layout = layout_of(chart)
        self.placed = list(self.layout.walk())

    def svg(self, title: str, *, embed_style: bool) -> SafeString:
        width, height = number(self.layout.width), number(self.layout.height)
        has_links = any(self.href(placed.path) for placed in self.placed)
        stands = classes("stands" if self.standing else "")
        return element(
            "svg",
            element("title", title, id=f"{self.id_}-title"),
            element("desc", self._description(), id=f"{self.id_}-desc"),
            [style_element(), page(width, height)] if embed_style else "",
            self._plates(),
            self._lines(),
            [self._node(placed) for placed in self.placed],
            xmlns="http://www.w3.org/2000/svg",
            class_=f"durable-drawing durable-graph {stands}".rstrip(),
            viewBox=f"0 0 {width} {height}",
            width=width,
            height=height,
            # What is inside of an image cannot be reached, and links have to be.
            role="group" if has_links else "img",
            aria_labelledby=f"{self.id_}-title {self.id_}-desc",
        )

    def _description(self) -> str:
        count = sum(not placed.part.is_frame for placed in self.placed) - 2
        told = [f"{count} {'node' if count == 1 else 'nodes'}, from top to bottom."]
        for placed in self.placed:
            stands = self._at(placed)
            if stands and stands.state in _ATTENTION and not placed.part.is_frame:
                told.append(f"{placed.part.node.name}: {stands.told}.")
        return " ".join(told[: _MOST_TOLD + 1])

    def _at(self, placed: Placed) -> NodeStanding | None:
        return self.standing.at(placed.path) if self.standing else None

    def _classes(self, placed: Placed, name: str) -> str:
        stands = self._at(placed)
        state = f"is-{stands.state}" if stands else ""
        return classes(name, f"kind-{placed.part.node.kind}", state)

    def _plates(self) -> SafeString:
        """Return the areas of frames, which lie below all lines."""
        frames = (placed for placed in self.placed if placed.part.is_frame)
        return element(
            "g", [plate(one.box, self._classes(one, "frame")) for one in frames]
        )

    def _lines(self) -> SafeString:
        """Return the lines; those that were gone lie over the others."""
        taken = self.standing.taken if self.standing else frozenset()
        lines = [(line.way in taken, line) for line in lines_of(self.layout)]
        lines.sort(key=lambda pair: pair[0])
        return element("g", [_line(line, is_taken) for is_taken, line in lines])

    def _node(self, placed: Placed) -> SafeString:
        return node_drawing(
            placed.box,
            self._at(placed),
            href=self.href(placed.path),
            class_=self._classes(placed, "node"),
            id_=f"{self.id_}-at-{placed.path}",
        )


def _line(line: Line, is_taken: bool) -> SafeString:
    x, y = line.label_at
    # Others are short; where a jump leads is not always seen at once.
    is_far = line.kind == "jump"
    return element(
        "g",
        element("title", f"{line.source} \u2192 {line.target}") if is_far else "",
        element("path", class_=classes("way"), d=rounded(line.points)),
        element("path", class_=classes("arrow"), d=arrow(*line.points[-2:]))
        if line.has_arrow
        else "",
        element("text", line.label, class_=classes("label", "centred"), x=x, y=y + 4)
        if line.label
        else "",
        class_=classes("line", f"line-{line.kind}", "taken" if is_taken else ""),
    )
