"""Bars -> the rows of a timeline: one per path, or per node where there are too many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from django_durable.definition.paths import split, template
from django_durable.drawing.bars import Bar, BarKind

MOST_ROWS = 200

_Key = tuple[str, bool]


@dataclass(kw_only=True)
class Track:
    """All bars of one row. Compensations have a row of their own.

    ``label`` is what the row above it does not say already; ``count`` is how many paths
    it stands for.
    """

    path: str
    is_undo: bool = False
    bars: list[Bar] = field(default_factory=list)
    label: str = ""
    depth: int = 0
    count: int = 1

    @property
    def starts(self) -> datetime:
        """When the first bar begins."""
        return min(bar.starts for bar in self.bars)


def tracks_of(bars: Iterable[Bar], *, most: int = MOST_ROWS) -> list[Track]:
    """Return the rows, blocks before what is in them, in the order of their beginning.

    Rounds and items share a row per node where there would be more than ``most`` rows.
    """
    tracks: dict[_Key, Track] = {}
    for bar in bars:
        key = bar.path, bar.is_undo
        track = tracks.setdefault(key, Track(path=bar.path, is_undo=bar.is_undo))
        track.bars.append(bar)
    rows = _in_order(_grouped(list(tracks.values()), most))
    _label(rows)
    return rows


def _grouped(tracks: Sequence[Track], most: int) -> list[Track]:
    """Put the rounds and items of a node on one row, the most numerous first."""
    families = Counter((template(track.path), track.is_undo) for track in tracks)
    too_many: set[_Key] = set()
    total = len(tracks)
    for family, count in families.most_common():
        if total <= most or count == 1:
            break
        too_many.add(family)
        total -= count - 1
    kept: list[Track] = []
    groups: dict[_Key, Track] = {}
    for track in tracks:
        family = template(track.path), track.is_undo
        if family not in too_many:
            kept.append(track)
            continue
        group = groups.setdefault(
            family, Track(path=family[0], is_undo=family[1], count=0)
        )
        group.count += 1
        group.bars += track.bars
    for group in groups.values():
        group.bars = _merged(group)
    return [*kept, *groups.values()]


def _merged(group: Track) -> list[Bar]:
    """Return bars that do not overlap, for each kind and status apart."""
    merged: list[Bar] = []
    counts: list[int] = []
    last: dict[tuple[BarKind, str], int] = {}
    for bar in sorted(group.bars, key=lambda bar: bar.starts):
        sort = bar.kind, bar.status
        index = last.get(sort)
        if index is None or not _touches(merged[index], bar):
            last[sort] = len(merged)
            merged.append(replace(bar, path=group.path, step=None))
            counts.append(1)
            continue
        before = merged[index]
        merged[index] = replace(before, ends=_later(before.ends, bar.ends))
        counts[index] += 1
    return [
        replace(bar, text=f"{count:,} at once, {bar.status or bar.kind}")
        if count > 1
        else bar
        for bar, count in zip(merged, counts, strict=True)
    ]


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    """Return the later end; ``None``, it lasts, is later than any."""
    return None if one is None or other is None else max(one, other)


def _touches(before: Bar, bar: Bar) -> bool:
    return before.ends is None or bar.starts <= before.ends


def _in_order(tracks: Sequence[Track]) -> list[Track]:
    firsts: dict[str, datetime] = {}
    for track in tracks:
        for path in () if track.is_undo else _around(track.path):
            firsts[path] = min(firsts.get(path, track.starts), track.starts)

    def order(track: Track) -> list[tuple[datetime, str]]:
        if track.is_undo:
            return [(track.starts, track.path)]
        return [(firsts[path], path) for path in _around(track.path)]

    return sorted(tracks, key=order)


def _around(path: str) -> list[str]:
    """Return the path of each block around, outermost first, and the path itself."""
    found: list[str] = []
    while path:
        found.insert(0, path)
        path = split(path)[0]
    return found


def _label(tracks: Sequence[Track]) -> None:
    depths: dict[str, int] = {}
    for track in tracks:
        *blocks, _ = _around(track.path)
        above = next((one for one in reversed(blocks) if one in depths), None)
        track.label = track.path
        if above is not None and not track.is_undo:
            track.depth = depths[above] + 1
            track.label = track.path[len(above) + 1 :]
        if not track.is_undo:
            depths[track.path] = track.depth
        if track.is_undo:
            track.label += " (undo)"
        if track.count > 1:
            track.label += f" \u00d7 {track.count:,}"
