"""Time -> places on a line. Long idle stretches may be cut, which is shown as a break."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from django.utils import timezone

BREAK_WIDTH = 34
MOST_BREAKS = 12
IDLE_AT_LEAST = timedelta(seconds=2)
TICK_ROOM = 108
"""Pixels between two ticks, at least: a label stands in them."""

Stretch = tuple[datetime, datetime]

_MS, _S, _M, _H, _D = 0.001, 1.0, 60.0, 3600.0, 86_400.0
_STEPS = (
    *(_MS * n for n in (1, 2, 5, 10, 20, 50, 100, 200, 500)),
    *(_S * n for n in (1, 2, 5, 10, 15, 30)),
    *(_M * n for n in (1, 2, 5, 10, 15, 30)),
    *(_H * n for n in (1, 2, 3, 6, 12)),
    *(_D * n for n in (1, 2, 7, 14, 30, 90, 180, 365)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of time in its place; ``is_break``: it is not drawn to scale."""

    starts: datetime
    ends: datetime
    x: float
    width: float
    is_break: bool = False

    @property
    def seconds(self) -> float:
        """How long it is."""
        return (self.ends - self.starts).total_seconds()


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on the axis. ``is_relative``: ``seconds`` after the start of its segment."""

    at: datetime
    x: float
    seconds: float
    is_relative: bool


@dataclass(frozen=True, slots=True)
class Scale:
    """The segments of a time axis, one after the other."""

    segments: tuple[Segment, ...]

    def x(self, moment: datetime) -> float:
        """Return the place of a moment; what lies outside is at an end."""
        for segment in self.segments:
            if moment <= segment.ends:
                after = (moment - segment.starts).total_seconds()
                share = after / segment.seconds if segment.seconds else 0
                return segment.x + segment.width * min(max(share, 0), 1)
        last = self.segments[-1]
        return last.x + last.width

    def breaks(self) -> list[Segment]:
        """Return what was cut."""
        return [segment for segment in self.segments if segment.is_break]

    def ticks(self) -> Iterator[Tick]:
        """Yield marks at round moments, as many as there is room for."""
        for segment in self.segments:
            if not segment.is_break:
                yield from _ticks(segment)


def scale_for(
    starts: datetime,
    ends: datetime,
    busy: Sequence[Stretch],
    *,
    x: float,
    width: float,
    cuts_idle: bool = True,
) -> Scale:
    """Return a scale from ``starts`` to ``ends``; ``busy`` says when something was done."""
    ends = max(ends, starts + timedelta(milliseconds=1))
    breaks = _breaks(starts, ends, busy) if cuts_idle else []
    shown = (ends - starts) - sum((end - start for start, end in breaks), timedelta(0))
    room = width - BREAK_WIDTH * len(breaks)
    per_second = room / max(shown.total_seconds(), _MS)
    segments: list[Segment] = []
    at = starts
    for start, end in [*breaks, (ends, ends)]:
        if start > at:
            wide = (start - at).total_seconds() * per_second
            segments.append(Segment(starts=at, ends=start, x=x, width=wide))
            x += wide
        if end > start:
            segments.append(
                Segment(starts=start, ends=end, x=x, width=BREAK_WIDTH, is_break=True)
            )
            x += BREAK_WIDTH
        at = end
    return Scale(tuple(segments))


def merged(stretches: Sequence[Stretch]) -> list[Stretch]:
    """Return the stretches in order, those that meet as one."""
    found: list[Stretch] = []
    for start, end in sorted(stretches):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


def _breaks(starts: datetime, ends: datetime, busy: Sequence[Stretch]) -> list[Stretch]:
    """Return the idle stretches each of which is longer than all that is left then."""
    done = merged(busy)
    edges = [(starts, starts), *done, (ends, ends)]
    idle = [(before[1], after[0]) for before, after in pairwise(edges)]
    idle.sort(key=lambda one: one[0] - one[1])
    left, cut = ends - starts, 0
    for count, (start, end) in enumerate(idle[:MOST_BREAKS], 1):
        left -= end - start
        if end - start > max(left, IDLE_AT_LEAST):
            cut = count
    margin = sum((end - start for start, end in done), timedelta(0)) / 12
    return sorted(_trimmed(one, margin) for one in idle[:cut])


def _trimmed(idle: Stretch, margin: timedelta) -> Stretch:
    """Return an idle stretch without a margin, so that bars are seen to go on into it."""
    least = max(margin, timedelta(milliseconds=5))
    margin = min(least, (idle[1] - idle[0]) / 4)
    return idle[0] + margin, idle[1] - margin


def _ticks(segment: Segment) -> Iterator[Tick]:
    if segment.width < TICK_ROOM / 2:
        return
    per_second = segment.width / segment.seconds
    step = next((one for one in _STEPS if one * per_second >= TICK_ROOM), _STEPS[-1])
    is_relative = step < _S or segment.seconds < _M
    offset = 0.0 if is_relative else _until_round(segment.starts, step)
    if offset * per_second >= TICK_ROOM:
        yield Tick(segment.starts, segment.x, 0, False)
    while offset <= segment.seconds:
        at = segment.starts + timedelta(seconds=offset)
        if step >= _D:
            at += _changed(segment.starts, at)
        seconds = (at - segment.starts).total_seconds()
        x = segment.x + seconds * per_second
        yield Tick(
            at, min(x, segment.x + segment.width), seconds, is_relative and seconds > 0
        )
        offset += step


def _changed(before: datetime, after: datetime) -> timedelta:
    """Return by how much the clocks were put back between two moments."""
    first, last = (timezone.localtime(one).utcoffset() for one in (before, after))
    return (first or timedelta(0)) - (last or timedelta(0))


def _until_round(moment: datetime, step: float) -> float:
    """Return the seconds to the next multiple of ``step`` since midnight."""
    there = timezone.localtime(moment)
    midnight = there.replace(hour=0, minute=0, second=0, microsecond=0)
    return (midnight - there).total_seconds() % min(step, _D)
