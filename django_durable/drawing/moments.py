"""Moments as drawings show them: in the zone of the project, no longer than need be."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format


def clock_or_day(moment: datetime, now: datetime) -> str:
    """Return the time, with the day unless it is that of ``now``."""
    there, here = timezone.localtime(moment), timezone.localtime(now)
    if there.date() == here.date():
        return clock(moment)
    pattern = "j M H:i" if there.year == here.year else "j M Y H:i"
    return date_format(there, pattern)


def clock(moment: datetime) -> str:
    """Return the time of the day, with seconds where there are some."""
    there = timezone.localtime(moment)
    return date_format(there, "H:i:s" if there.second else "H:i")


def day_and_clock(moment: datetime) -> str:
    """Return the day and the time."""
    return f"{date_format(timezone.localtime(moment), 'j M')} {clock(moment)}"


def exact(moment: datetime) -> str:
    """Return the date and the time, to the millisecond."""
    there = timezone.localtime(moment)
    return f"{there:%Y-%m-%d %H:%M:%S}.{there.microsecond // 1000:03} {there:%Z}"
