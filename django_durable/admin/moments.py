"""Instants and durations as HTML: near in words, exact when pointed at.

``live.js`` keeps the words up to date; the rules are those of ``sentences.about``.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from django_durable import clock
from django_durable.admin.sentences import about

NOTHING = format_html('<span class="durable-none">{}</span>', "\N{EN DASH}")


def exact(at: datetime) -> str:
    """Return an instant in the current time zone, to the second."""
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M:%S %Z}"


def ago(at: datetime | None) -> SafeString:
    """Return how long ago an instant was, or until it comes: ``3 h ago``, ``in 3 h``."""
    if at is None:
        return NOTHING
    span = clock.now() - at
    words = f"{about(span)} ago" if span >= timedelta(0) else f"in {about(-span)}"
    return _time(at, "ago", words)


def since(at: datetime) -> SafeString:
    """Return the time since an instant: ``3 h``."""
    return _time(at, "since", about(clock.now() - at))


def until(at: datetime) -> SafeString:
    """Return the time until an instant: ``in 3 h``, and ``now`` once it has come."""
    left = at - clock.now()
    return _time(at, "until", f"in {about(left)}" if left > timedelta(0) else "now")


def instant(at: datetime | None) -> SafeString:
    """Return an instant, exactly."""
    return NOTHING if at is None else _time(at, "", exact(at))


def _time(at: datetime, mode: str, words: str) -> SafeString:
    return format_html(
        '<time datetime="{}" title="{}"{}>{}</time>',
        at.isoformat(),
        exact(at),
        format_html(' data-relative="{}"', mode) if mode else "",
        words,
    )
