"""The time axis of a timeline: ticks with their labels, and marks where time was cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from django.utils.safestring import SafeString
from django.utils.timezone import localtime

from django_durable.definition.durations import brief, spelled
from django_durable.drawing.lettering import width_of
from django_durable.drawing.markup import classes, element, number
from django_durable.drawing.moments import clock, day_and_clock
from django_durable.drawing.scale import Scale, Segment, Tick

AXIS = 40
"""The height of the axis: a line for breaks, and one for ticks."""
SMALL = 11


def axis(
    scale: Scale, bottom: float, width: float, *, now_at: float | None = None
) -> SafeString:
    """Return the axis, with its lines down to ``bottom``.

    ``now_at`` is where another label stands, before which those of the ticks have to end.
    """
    ticks = list(scale.ticks())
    room = width if now_at is None else now_at - 2 * SMALL
    return element(
        "g",
        [
            _tick(tick, bottom, before, room)
            for before, tick in zip([None, *ticks], ticks, strict=False)
        ],
        [
            _break(segment, bottom, label_at)
            for segment, label_at in _told(scale.breaks(), width)
        ],
        class_=classes("axis"),
    )


def _tick(tick: Tick, bottom: float, before: Tick | None, room: float) -> SafeString:
    is_new_day = (
        before is None or localtime(before.at).date() != localtime(tick.at).date()
    )
    if tick.is_relative:
        label = f"+{brief(timedelta(seconds=tick.seconds))}"
    else:
        label = day_and_clock(tick.at) if is_new_day else clock(tick.at)
    has_room = tick.x + 4 + width_of(label, SMALL) < room
    return element(
        "g",
        element("path", d=f"M{number(tick.x)} {AXIS - 6}V{number(bottom)}"),
        element("text", label, x=tick.x + 4, y=AXIS - 10) if has_room else "",
        class_=classes("tick"),
    )


def _told(
    breaks: Sequence[Segment], width: float
) -> Iterator[tuple[Segment, float | None]]:
    """Yield breaks, each with the place of its label: ``None`` if another is in its way."""
    taken: list[tuple[float, float]] = []
    for segment in sorted(breaks, key=lambda one: -one.seconds):
        half = width_of(_length(segment), SMALL) / 2 + 4
        middle = min(segment.x + segment.width / 2, width - half)
        is_free = all(
            middle + half < left or right < middle - half for left, right in taken
        )
        if is_free:
            taken.append((middle - half, middle + half))
        yield segment, middle if is_free else None


def _length(segment: Segment) -> str:
    return brief(segment.ends - segment.starts)


def _break(segment: Segment, bottom: float, label_at: float | None) -> SafeString:
    middle, top = segment.x + segment.width / 2, AXIS - 6
    waves = "".join(
        f"M{number(x)} {top}{''.join(_wave(bottom))}" for x in (middle - 3, middle + 3)
    )
    text = _length(segment)
    return element(
        "g",
        element(
            "title",
            f"{spelled(segment.ends - segment.starts)} in which nothing was done",
        ),
        element("rect", x=segment.x, y=top, width=segment.width, height=bottom - top),
        element("path", d=waves),
        element("text", text, class_=classes("centred"), x=label_at, y=AXIS - 26)
        if label_at is not None
        else "",
        class_=classes("break"),
    )


def _wave(bottom: float) -> Iterator[str]:
    y = float(AXIS - 6)
    while y < bottom:
        yield "q2.5 3 0 6q-2.5 3 0 6"
        y += 12
