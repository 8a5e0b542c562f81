"""What an execution has done and when, as SVG: a row per path, a bar per stretch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from django.utils.safestring import SafeString

from django_durable.definition.durations import brief, spelled
from django_durable.drawing.axis import AXIS, SMALL, axis
from django_durable.drawing.bars import Bar, BarKind, bars_of
from django_durable.drawing.history import History
from django_durable.drawing.lettering import fit_end, width_of
from django_durable.drawing.markup import classes, element, number
from django_durable.drawing.moments import exact
from django_durable.drawing.scale import Scale, scale_for
from django_durable.drawing.style import page, style_element
from django_durable.drawing.tracks import Track, tracks_of

BarHref = Callable[[Bar], str]
"""Returns where a bar leads to; empty: it is no link."""

_ROW, _BAR, _PAD = 26, 12, 14
_INDENT, _LABEL_SIZE = 14, 12
_LABELS = (120, 280)
_LEAST_BAR = 3
_RIGHT = 18


def timeline_svg(
    history: History,
    *,
    now: datetime,
    href: BarHref | None = None,
    title: str = "",
    width: int = 1080,
    cuts_idle: bool = True,
    id_: str = "durable-timeline",
    embed_style: bool = False,
) -> SafeString:
    """Return the timeline of an execution as an SVG element.

    ``href`` returns where a bar leads to. ``cuts_idle``: long stretches in which nothing
    was done are cut, with a mark. ``id_`` begins the ids in the drawing.
    """
    return _Timeline(history, now, href, width, cuts_idle, id_).svg(
        title or "Timeline", embed_style=embed_style
    )


class _Timeline:
    def __init__(
        self,
        history: History,
        now: datetime,
        href: BarHref | None,
        width: int,
        cuts_idle: bool,
        id_: str,
    ) -> None:
        self.history = history
        self.now = now
        self.href = href or (lambda bar: "")
        self.width = width
        self.id_ = id_
        self.bars = list(bars_of(history))
        self.tracks = tracks_of(self.bars)
        self.labels = _label_width(self.tracks)
        self.scale = self._scale(cuts_idle)
        is_open = history.execution.completed_at is None
        self.now_at = self.scale.x(now) if is_open else None
        self.bottom = AXIS + max(len(self.tracks), 1) * _ROW
        self.note = "The oldest part is left out." if history.is_cut else ""
        self.height = self.bottom + (_ROW if self.note else _PAD)

    def _scale(self, cuts_idle: bool) -> Scale:
        runner = self.history.execution
        starts = min([runner.queued_at, *(bar.starts for bar in self.bars)])
        ends = runner.completed_at or self.now
        ends = max([ends, *(bar.ends for bar in self.bars if bar.ends)])
        busy = [
            (bar.starts, self._end(bar))
            for bar in self.bars
            if bar.kind in (BarKind.RUN, BarKind.BULK)
        ]
        # What waits inside of a step keeps nobody busy.
        busy = _without(busy, self._waits())
        x = self.labels + _PAD
        return scale_for(
            starts,
            ends,
            busy,
            x=x,
            width=self.width - x - _RIGHT,
            cuts_idle=cuts_idle,
        )

    def _waits(self) -> list[tuple[datetime, datetime]]:
        return [
            (bar.starts, self._end(bar))
            for bar in self.bars
            if bar.kind is BarKind.WAIT
        ]

    def _end(self, bar: Bar) -> datetime:
        return bar.ends if bar.ends is not None else max(self.now, bar.starts)

    def svg(self, title: str, *, embed_style: bool) -> SafeString:
        has_links = any(self.href(bar) for bar in self.bars)
        return element(
            "svg",
            element("title", title, id=f"{self.id_}-title"),
            element("desc", self._description(), id=f"{self.id_}-desc"),
            [style_element(), page(str(self.width), number(self.height))]
            if embed_style
            else "",
            element("defs", _hatch(f"{self.id_}-hatch")),
            [_stripe(index, self.width) for index in range(0, len(self.tracks), 2)],
            axis(self.scale, self.bottom, self.width, now_at=self.now_at),
            [self._row(index, track) for index, track in enumerate(self.tracks)],
            self._now_line(),
            _below(self.note, self.height) if self.note else "",
            xmlns="http://www.w3.org/2000/svg",
            class_="durable-drawing durable-timeline",
            viewBox=f"0 0 {self.width} {number(self.height)}",
            width=self.width,
            height=self.height,
            role="group" if has_links else "img",
            aria_labelledby=f"{self.id_}-title {self.id_}-desc",
        )

    def _description(self) -> str:
        runner = self.history.execution
        ends = runner.completed_at or self.now
        took = spelled(ends - runner.queued_at)
        span = f"{exact(runner.queued_at)} to {exact(ends)}, {took}."
        return f"{span} {self.note}".strip()

    def _row(self, index: int, track: Track) -> SafeString:
        top = AXIS + index * _ROW
        middle = top + _ROW / 2
        bars = sorted(track.bars, key=lambda bar: _LAYERS.index(bar.kind))
        return element(
            "g",
            _label(track, middle, self.labels),
            [self._bar(bar, middle) for bar in bars],
            self._duration(track, middle),
            class_=classes("row"),
        )

    def _bar(self, bar: Bar, middle: float) -> SafeString:
        left, right = self.scale.x(bar.starts), self.scale.x(self._end(bar))
        width = max(right - left, _LEAST_BAR)
        height = _THIN if bar.kind in (BarKind.QUEUE, BarKind.BETWEEN) else _BAR
        is_wait = bar.kind is BarKind.WAIT
        shape = {
            "x": left,
            "y": middle - height / 2,
            "width": width,
            "height": height,
            "rx": 2,
        }
        href = self.href(bar)
        return element(
            "a" if href else "g",
            element("title", self._title(bar)),
            element("rect", class_=classes("stretch"), **shape),
            element("rect", fill=f"url(#{self.id_}-hatch)", **shape) if is_wait else "",
            _fault(right, middle) if bar.status in _FAULTS else "",
            href=href,
            class_=classes(
                "bar-of",
                f"bar-{bar.kind}",
                f"was-{bar.status}" if bar.status else "",
                "undo" if bar.is_undo else "",
            ),
            data_step=str(bar.step) if bar.step else None,
        )

    def _title(self, bar: Bar) -> str:
        end = exact(bar.ends) if bar.ends else "now"
        lines = [
            bar.path,
            f"{_NAMES[bar.kind]}: {bar.text}" if bar.text else _NAMES[bar.kind],
            f"{exact(bar.starts)} to {end}",
            spelled(self._end(bar) - bar.starts),
        ]
        return "\n".join(lines)

    def _duration(self, track: Track, middle: float) -> SafeString | str:
        """Return how long it took, behind the last bar or before the first one."""
        last = max(track.bars, key=self._end)
        told = [bar for bar in track.bars if bar.kind not in _QUIET] or track.bars
        bulk = next((bar for bar in told if bar.kind is BarKind.BULK), None)
        took = self._end(told[-1]) - min(bar.starts for bar in told)
        text = bulk.text if bulk else brief(took)
        wide = width_of(text, SMALL)
        x = max(self.scale.x(self._end(last)), self.scale.x(last.starts) + _LEAST_BAR)
        x += 20 if any(bar.status in _FAULTS for bar in track.bars) else 7
        if x + wide > self.width:
            x = min(self.scale.x(bar.starts) for bar in track.bars) - wide - 7
        if x < self.labels:
            return ""
        return element("text", text, class_=classes("note"), x=x, y=middle + 4)

    def _now_line(self) -> SafeString | str:
        x = self.now_at
        if x is None:
            return ""
        return element(
            "g",
            element("title", f"now, {exact(self.now)}"),
            element("path", d=f"M{number(x)} {AXIS - 6}V{number(self.bottom)}"),
            element("text", "now", class_=classes("centred"), x=x - 2, y=AXIS - 10),
            class_=classes("now"),
        )


_THIN = 4
_LAYERS = (
    BarKind.BLOCK,
    BarKind.BULK,
    BarKind.QUEUE,
    BarKind.BETWEEN,
    BarKind.RUN,
    BarKind.WAIT,
)
_QUIET = (BarKind.QUEUE, BarKind.BETWEEN)
_FAULTS = ("failed", "timed_out", "lost")
_NAMES = {
    BarKind.QUEUE: "in the queue",
    BarKind.RUN: "runs",
    BarKind.WAIT: "waits",
    BarKind.BETWEEN: "waits",
    BarKind.BLOCK: "members at work",
    BarKind.BULK: "many at work",
}


def _label_width(tracks: Sequence[Track]) -> float:
    low, high = _LABELS
    widest = max(
        (
            track.depth * _INDENT + width_of(track.label, _LABEL_SIZE)
            for track in tracks
        ),
        default=low,
    )
    return min(max(widest + _PAD, low), high)


def _without(
    busy: Sequence[tuple[datetime, datetime]], waits: list[tuple[datetime, datetime]]
) -> list[tuple[datetime, datetime]]:
    """Return the stretches without what lies in one of the waits."""
    for start, end in waits:
        busy = [
            part
            for first, last in busy
            for part in ((first, min(last, start)), (max(first, end), last))
            if part[0] < part[1]
        ]
    return list(busy)


def _hatch(id_: str) -> SafeString:
    return element(
        "pattern",
        element("path", class_=classes("hatching"), d="M-1 1l2-2M0 6l6-6M5 7l2-2"),
        id=id_,
        width=6,
        height=6,
        patternUnits="userSpaceOnUse",
    )


def _stripe(index: int, width: float) -> SafeString:
    return element(
        "rect",
        class_=classes("stripe"),
        x=0,
        y=AXIS + index * _ROW,
        width=width,
        height=_ROW,
    )


def _label(track: Track, middle: float, room: float) -> SafeString:
    left = 8 + track.depth * _INDENT
    return element(
        "text",
        element("title", track.path),
        fit_end(track.label, room - left, _LABEL_SIZE),
        class_=classes("row-label"),
        x=left,
        y=middle + 4,
    )


def _below(text: str, height: float) -> SafeString:
    return element("text", text, class_=classes("note"), x=8, y=height - 8)


def _fault(x: float, middle: float) -> SafeString:
    """Return a cross behind a bar: what failed is not told by its colour alone."""
    return element(
        "path",
        class_=classes("fault"),
        d=f"M{number(x + 4)} {number(middle - 3.5)}l7 7m0 -7l-7 7",
    )
