"""A row of figures as a small picture: bars for counts, a line for what is measured.

It is stretched to the room that it gets, so there is no text in it. Each figure says what
it is when it is pointed at; those who cannot see it get the description.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from django.utils.safestring import SafeString

from django_durable.drawing.markup import element, number

COLUMN, HEIGHT, GAP = 4.0, 48.0, 1.0
LEAST = 1.5
"""The height of what is not nothing, at least."""

_Point: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One of a row. ``value`` is ``None`` where there is nothing to tell."""

    value: float | None
    text: str
    is_partial: bool = False


def bars_svg(figures: Sequence[Figure], description: str) -> SafeString:
    """Return figures as bars; one that ``is_partial`` is drawn lighter."""
    heights = _heights(figures)
    bars = [
        element(
            "rect",
            class_=_classes("bar", "partial" if figure.is_partial else ""),
            x=at * COLUMN + GAP / 2,
            y=HEIGHT - height,
            width=COLUMN - GAP,
            height=height,
        )
        for at, (figure, height) in enumerate(zip(figures, heights, strict=True))
        if height
    ]
    return _svg(figures, bars, description)


def line_svg(figures: Sequence[Figure], description: str) -> SafeString:
    """Return figures as a line, broken where there is nothing to tell."""
    paths = [
        element(
            "path",
            class_=_classes("line", "dot" if len(points) == 1 else ""),
            d=_path(points),
        )
        for points in _stretches(figures)
    ]
    return _svg(figures, paths, description)


def _svg(
    figures: Sequence[Figure], drawn: Iterable[str], description: str
) -> SafeString:
    width = max(len(figures), 1) * COLUMN
    columns = [
        element(
            "g",
            element("title", figure.text),
            element("rect", x=at * COLUMN, y=0, width=COLUMN, height=HEIGHT),
            class_=_classes("column"),
        )
        for at, figure in enumerate(figures)
    ]
    return element(
        "svg",
        drawn,
        columns,
        class_="durable-spark",
        viewBox=f"0 0 {number(width)} {number(HEIGHT)}",
        preserveAspectRatio="none",
        role="img",
        aria_label=description,
    )


def _classes(*names: str) -> str:
    # It is a part of a page and styled by it, unlike what can be a file of its own.
    return " ".join(f"durable-spark-{name}" for name in names if name)


def _heights(figures: Sequence[Figure]) -> list[float]:
    most = max((figure.value or 0 for figure in figures), default=0)
    return [
        max(HEIGHT * figure.value / most, LEAST) if figure.value else 0
        for figure in figures
    ]


def _stretches(figures: Sequence[Figure]) -> Iterator[list[_Point]]:
    """Yield the places of figures that follow each other without a gap."""
    # Half the pen stays inside at both ends.
    room = HEIGHT - 2 * LEAST
    most = max((figure.value or 0 for figure in figures), default=0) or 1
    stretch: list[_Point] = []
    for at, figure in enumerate(figures):
        if figure.value is not None:
            y = LEAST + room * (1 - figure.value / most)
            stretch.append((at * COLUMN + COLUMN / 2, y))
        elif stretch:
            yield stretch
            stretch = []
    if stretch:
        yield stretch


def _path(points: Sequence[_Point]) -> str:
    """Return a line through points; through one it is as long as a pen is thick."""
    places = [f"{number(x)} {number(y)}" for x, y in points]
    return f"M{' L'.join(places)}" + ("h0.01" if len(points) == 1 else "")
