"""One node of a graph: its shape, its text and how it stands."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.safestring import SafeString

from django_durable.definition.charts import ChartNode
from django_durable.drawing.icons import kind_icon, state_icon
from django_durable.drawing.layout import Box
from django_durable.drawing.lettering import fit, width_of
from django_durable.drawing.markup import classes, element
from django_durable.drawing.shapes import CORNER, caption, outline
from django_durable.drawing.sizes import (
    LOW_HEADER,
    NAME_SIZE,
    NOTE_SIZE,
    TEXT_LEFT,
    TEXT_RIGHT,
)
from django_durable.drawing.standing import Counts, NodeStanding, State

_ICON = 20
"""From the border of a node to the middle of an icon."""
_TEXT_LEFT_ALONE = 16
_BAR = 2
_UP, _DOWN, _MIDDLE = -3.5, 12.5, 4.5
"""From the middle of a node to the baseline of the upper, the lower, the only line."""


def node_drawing(
    box: Box, stands: NodeStanding | None, *, href: str, class_: str, id_: str
) -> SafeString:
    """Return a node, as a link if there is somewhere to go."""
    return element(
        "a" if href else "g",
        element("title", _title(box.node, stands)),
        list(_shapes(box, stands)),
        href=href,
        id=id_,
        class_=class_,
        data_path=box.node.path,
    )


def _title(node: ChartNode, stands: NodeStanding | None) -> str:
    lines = [
        node.path if node.kind not in ("start", "end") else node.name,
        *((_state(stands), stands.detail) if stands else ()),
        node.note,
        node.doc,
    ]
    return "\n".join(line for line in lines if line)


def _state(stands: NodeStanding) -> str:
    """Return the state in words, with the words about it unless these say it already."""
    state, words = stands.state.words, stands.words
    if not words or words.startswith(state):
        return words or state
    return f"{state}: {words}"


def _shapes(box: Box, stands: NodeStanding | None) -> Iterator[SafeString]:
    if box.node.is_block:
        yield element("path", class_=classes("caption"), d=caption(box))
    else:
        yield outline(box, "box")
    yield from _text(box, stands)
    if stands and stands.counts:
        yield from _progress(box, stands.counts)
    if stands and stands.attempts > 1:
        yield _badge(box, f"{stands.attempts}\u00d7")


def _text(box: Box, stands: NodeStanding | None) -> Iterator[SafeString]:
    if box.node.kind in ("start", "end"):
        yield _middle_text(box, stands)
        return
    middle = box.y + (box.header or box.height) / 2
    left = box.x + (TEXT_LEFT if stands else _TEXT_LEFT_ALONE)
    icon = kind_icon(box.node.wait or box.node.kind, box.right - _ICON, middle)
    if stands:
        yield state_icon(stands.state, box.x + _ICON, middle)
    if icon:
        yield icon
    room = box.right - left - (_ICON + CORNER + 5 if icon else TEXT_RIGHT)
    yield from _lines(box, _note(box.node, stands), left, middle, room)


def _middle_text(box: Box, stands: NodeStanding | None) -> SafeString:
    text = stands.words if stands and stands.words else box.node.name
    return element(
        "text",
        fit(text, box.width - 2 * CORNER, NOTE_SIZE),
        class_=classes("name", "centred"),
        x=box.x + box.width / 2,
        y=box.y + box.height / 2 + 4,
    )


def _note(node: ChartNode, stands: NodeStanding | None) -> str:
    """Return what stands under the name: how it stands, or else what it is."""
    if stands and stands.words:
        return stands.words
    if node.kind == "case":
        return node.when if node.when != node.name else ""
    if stands and stands.state is not State.NOT_REACHED:
        return stands.state.words
    return node.note


def _lines(
    box: Box, note: str, left: float, middle: float, room: float
) -> Iterator[SafeString]:
    name = fit(box.node.name, room, NAME_SIZE, is_bold=True)
    if box.header == LOW_HEADER:
        used = width_of(name, NAME_SIZE, is_bold=True) + 8
        yield _line("name", name, left, middle + _MIDDLE)
        if note and room - used > NOTE_SIZE:
            note = fit(note, room - used, NOTE_SIZE)
            yield _line("note", note, left + used, middle + _MIDDLE)
        return
    yield _line("name", name, left, middle + (_UP if note else _MIDDLE))
    if note:
        yield _line("note", fit(note, room, NOTE_SIZE), left, middle + _DOWN)


def _line(name: str, text: str, x: float, y: float) -> SafeString:
    return element("text", text, class_=classes(name), x=x, y=y)


def _progress(box: Box, counts: Counts) -> Iterator[SafeString]:
    """Return a bar along the lower border of a caption, as far as members have come."""
    x, room = box.x, box.width
    for name, count in (
        ("all", counts.total),
        ("done", counts.done),
        ("failed", counts.failed),
    ):
        width = room * count / counts.total
        if width:
            yield element(
                "rect",
                class_=classes("progress", f"progress-{name}"),
                x=x,
                y=box.y + box.header - _BAR,
                width=width,
                height=_BAR,
            )
        if name == "done":
            x += width


def _badge(box: Box, text: str) -> SafeString:
    width = 12 + 7 * len(text)
    x, y = box.right - width + 6, box.y - 10
    return element(
        "g",
        element("rect", x=x, y=y, width=width, height=18, rx=9),
        element("text", text, class_=classes("centred"), x=x + width / 2, y=y + 13),
        class_=classes("badge"),
    )
