"""The minutes of the past hour as pictures, with the same in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from django_durable.console.words import duration, up_to
from django_durable.drawing.sparkline import Figure, bars_svg, line_svg
from django_durable.store.throughput import SAMPLE, Minute

NOTHING = "\N{EN DASH}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """One picture. ``now`` is the figure of the last minute that is over."""

    label: str
    now: str
    most: str
    svg: SafeString
    note: str = ""


def rates(minutes: Sequence[Minute]) -> list[Rate]:
    """Return the pictures: how many were completed, how long they queued and took."""
    sample = _("Median of the last %(count)s of each minute.") % {"count": SAMPLE}
    completed = [
        _figure(one, float(one.completed), up_to(one.completed), is_last=not left)
        for one, left in zip(minutes, range(len(minutes) - 1, -1, -1), strict=True)
    ]
    return [
        _rate(_("Completed per minute"), completed, bars_svg),
        _rate(_("Time in the queue"), _spans(minutes, "queued"), line_svg, sample),
        _rate(_("Duration, waits included"), _spans(minutes, "took"), line_svg, sample),
    ]


def rows(minutes: Sequence[Minute]) -> list[tuple[str, str, str, str]]:
    """Return the same as a table, the newest minute first; minutes without are left out."""
    return [
        (_clock(one), up_to(one.completed), _words(one.queued), _words(one.took))
        for one in reversed(minutes)
        if one.completed
    ]


def _rate(
    label: str,
    figures: Sequence[Figure],
    draw: Callable[[Sequence[Figure], str], SafeString],
    note: str = "",
) -> Rate:
    over = figures[:-1]
    known = [one for one in figures if one.value is not None]
    most = max(known, key=lambda one: one.value or 0, default=None)
    now = _value(over[-1]) if over else NOTHING
    description = _("%(label)s: %(now)s in the last minute, at most %(most)s.") % {
        "label": label,
        "now": now,
        "most": most.text if most else NOTHING,
    }
    most_text = _value(most) if most else NOTHING
    svg = draw(figures, description)
    return Rate(label=label, now=now, most=most_text, svg=svg, note=note)


def _spans(minutes: Sequence[Minute], name: str) -> list[Figure]:
    spans: list[tuple[Minute, Any]] = [(one, getattr(one, name)) for one in minutes]
    return [
        _figure(one, None if span is None else span.total_seconds(), _words(span))
        for one, span in spans
    ]


def _figure(
    minute: Minute, value: float | None, words: str, *, is_last: bool = False
) -> Figure:
    text = f"{_clock(minute)}: {words}"
    return Figure(
        value=value,
        text=_("%s, so far") % text if is_last else text,
        is_partial=is_last,
    )


def _value(figure: Figure) -> str:
    return figure.text.partition(": ")[2]


def _clock(minute: Minute) -> str:
    return f"{timezone.localtime(minute.starts):%H:%M}"


def _words(span: timedelta | None) -> str:
    return NOTHING if span is None else duration(span)
