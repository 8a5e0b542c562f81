"""A status as text, icon and colour, so that no reader depends on one of them."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.html import format_html
from django.utils.safestring import SafeString

_RING = "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 0 0 0-11z"
ICONS: Mapping[str, str] = {
    "alert": "M8 2.5L1.9 13.3h12.2zM8 6.6v3M8 11.4v.2",
    "check": "M3 8.6l3.4 3.4L13 4.6",
    "clock": f"{_RING}M8 5.2v3l2 1.4",
    "cross": "M4.2 4.2l7.6 7.6M11.8 4.2l-7.6 7.6",
    "dot": "M8 6.4a1.6 1.6 0 1 0 0 3.2a1.6 1.6 0 0 0 0-3.2z",
    "pause": "M5.6 3.6v8.8M10.4 3.6v8.8",
    "play": "M5 3.4v9.2l7.4-4.6z",
    "ring": _RING,
    "slash": f"{_RING}M4.3 11.7l7.4-7.4",
    "undo": "M6.2 3.4L3 6.6l3.2 3.2M3 6.6h6.4a3.4 3.4 0 0 1 0 6.8H6.6",
}
"""Paths on a field of 16 by 16, drawn with a pen."""

_LOOKS: Mapping[str, tuple[str, str]] = {
    "pending": ("ring", "idle"),
    "running": ("play", "busy"),
    "waiting": ("clock", "waiting"),
    "paused": ("pause", "waiting"),
    "completed": ("check", "good"),
    "failed": ("cross", "bad"),
    "cancelled": ("slash", "idle"),
    "compensating": ("undo", "busy"),
    "compensated": ("undo", "idle"),
    "compensation_failed": ("alert", "bad"),
    # Attempts of steps.
    "timed_out": ("clock", "bad"),
    "snoozed": ("clock", "idle"),
    "lost": ("alert", "bad"),
    # Waits and inputs.
    "open": ("clock", "waiting"),
    "satisfied": ("check", "good"),
    # Levels of log lines.
    "debug": ("dot", "idle"),
    "info": ("dot", "idle"),
    "warning": ("alert", "waiting"),
    "error": ("cross", "bad"),
    "critical": ("cross", "bad"),
    # Workers, schedules and queues.
    "alive": ("check", "good"),
    "dead": ("cross", "bad"),
    "enabled": ("check", "good"),
    "disabled": ("pause", "idle"),
}
_PLAIN = ("dot", "idle")


def icon(name: str) -> SafeString:
    """Return an icon that says nothing to those who do not see it."""
    return format_html(
        '<svg class="durable-icon" viewBox="0 0 16 16" aria-hidden="true" '
        'focusable="false"><path d="{}"/></svg>',
        ICONS[name],
    )


def badge(status: str, label: str = "") -> SafeString:
    """Return a status as users see it; one that is unknown is shown plainly."""
    shape, tone = _LOOKS.get(status.lower(), _PLAIN)
    return format_html(
        '<span class="durable-badge durable-{}" data-status="{}">{}{}</span>',
        tone,
        status,
        icon(shape),
        label or status.replace("_", " "),
    )
