"""Small pictures, drawn as paths in a square of 16 pixels around a middle."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.safestring import SafeString

from django_durable.drawing.markup import classes, element, number
from django_durable.drawing.standing import State

_ROUND = "M-8 0a8 8 0 1 0 16 0a8 8 0 1 0-16 0z"
_OCTAGON = "M-3.3-8h6.6L8-3.3v6.6L3.3 8h-6.6L-8 3.3v-6.6z"
_DIAMOND = "M0-8.6L8.6 0L0 8.6L-8.6 0z"
_SQUARE = (
    "M-5.5-7.5h11a2 2 0 0 1 2 2v11a2 2 0 0 1-2 2h-11a2 2 0 0 1-2-2v-11a2 2 0 0 1 2-2z"
)

_CROSS = "M-3-3L3 3M3-3L-3 3"
_CHECK = "M-3.6 .3L-1.2 2.8L3.7-2.6"
_CLOCK = "M0-4.4V.4L3 2.2"
_UNDO = "M-3.4-1.2H1.2a2.5 2.5 0 0 1 0 5H-2M-3.4-1.2l2.3-2.3M-3.4-1.2l2.3 2.3"
_AGAIN = "M3.6-1.4A3.9 3.9 0 1 0 3.9 1.2M3.9-4v2.8H1.1"

# A shape of its own for each, so that it can be told without colours too.
_STATES: Mapping[State, tuple[str, str]] = {
    State.NOT_REACHED: (_ROUND, ""),
    State.READY: (_ROUND, "M-3.5 0h.01M0 0h.01M3.5 0h.01"),
    State.RUNNING: (_ROUND, "M-2-3.4L3.4 0L-2 3.4z"),
    State.WAITING: (_ROUND, _CLOCK),
    State.RETRYING: (_DIAMOND, _AGAIN),
    State.PAUSED: (_SQUARE, "M-2-3.2v6.4M2-3.2v6.4"),
    State.COMPLETED: (_ROUND, _CHECK),
    State.FAILED: (_OCTAGON, _CROSS),
    State.SKIPPED: (_ROUND, "M-3.4 0h6.8"),
    State.CANCELLED: (_SQUARE, "M-3.2 3.2L3.2-3.2"),
    State.COMPENSATING: (_DIAMOND, _UNDO),
    State.COMPENSATED: (_ROUND, _UNDO),
    State.COMPENSATION_FAILED: (_OCTAGON, _UNDO),
}

_KINDS: Mapping[str, str] = {
    "decision": "M0-6.5L6.5 0L0 6.5L-6.5 0z",
    "branch": "M0-6.5L6.5 0L0 6.5L-6.5 0z",
    "sleep": "M-6 0a6 6 0 1 0 12 0a6 6 0 1 0-12 0M0-3.4V.3L2.4 1.8",
    "event": "M-6.5-4.5h13v9h-13zM-6.5-4.2L0 1L6.5-4.2",
    "input": (
        "M-2.8-3.6a2.8 2.8 0 1 0 5.6 0a2.8 2.8 0 1 0-5.6 0M-5.6 6.4a5.6 5 0 0 1 11.2 0"
    ),
    "child": "M-6.5-6.5h8v8h-8zM1.5-2.5h5v9h-9v-5",
    "parallel": "M-5-6v12M0-6v12M5-6v12",
    "each": "M-6.5-3.5h9v9.5h-9zM-3.5-6.5h10v10",
    "loop": "M5.6-2A6 6 0 1 0 6 1.6M6-6.2v4.4H1.6",
    "lane": "M-5-4h10M-5 0h10M-5 4h6",
}


def state_icon(state: State, x: float, y: float) -> SafeString:
    """Return the picture of a state, its middle at ``x``, ``y``."""
    shape, glyph = _STATES[state]
    return element(
        "g",
        element("path", class_=classes("icon-shape"), d=shape),
        element("path", class_=classes("icon-glyph"), d=glyph) if glyph else "",
        class_=classes("icon", f"icon-{state}"),
        transform=f"translate({number(x)} {number(y)})",
    )


def kind_icon(kind: str, x: float, y: float) -> SafeString | None:
    """Return the picture of a sort of node, or ``None`` where it has none."""
    glyph = _KINDS.get(kind)
    if glyph is None:
        return None
    return element(
        "path",
        class_=classes("glyph"),
        d=glyph,
        transform=f"translate({number(x)} {number(y)})",
    )
