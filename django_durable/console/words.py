"""Durations and moments, as people write them and as they read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from django_durable.console.answers import UsageError
from django_durable.store.bounded import MOST, Count

NOTHING = "—"

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGE = re.compile(r"(\d+)\s*([smhdw])", re.IGNORECASE)


def parse_age(text: str) -> timedelta:
    """Return the timedelta that ``30d``, ``24h``, ``60m``, ``90s`` or ``2w`` stands for."""
    found = _AGE.fullmatch(text.strip())
    if not found:
        raise UsageError(
            f"{text!r} is no age. Give a number and a unit: 90s, 60m, 24h, 30d, 2w."
        )
    try:
        return timedelta(**{_UNITS[found[2].lower()]: int(found[1])})
    except OverflowError:
        raise UsageError(f"{text!r} is longer than a calendar.") from None


def parse_since(text: str, now: datetime) -> datetime:
    """Return the instant that an age, a date or a date with a time stands for."""
    if _AGE.fullmatch(text.strip()):
        return now - parse_age(text)
    try:
        moment = parse_datetime(text)
        date = parse_date(text)
    except ValueError:
        moment = date = None
    if date is not None:
        moment = datetime(date.year, date.month, date.day)  # noqa: DTZ001
    if moment is None:
        raise UsageError(
            f"{text!r} is no moment. Give an age (2h, 7d), a date (2030-03-01) or a date "
            "with a time (2030-03-01T12:00)."
        )
    return timezone.make_aware(moment) if timezone.is_naive(moment) else moment


def moment(value: datetime | None) -> str:
    """Return an instant in the time zone of the project, to the second."""
    if value is None:
        return NOTHING
    return f"{timezone.localtime(value):%Y-%m-%d %H:%M:%S}"


def iso(value: datetime | None) -> str | None:
    """Return an instant for programs: ISO 8601, in UTC."""
    return None if value is None else value.astimezone(UTC).isoformat()


def duration(value: timedelta | None) -> str:
    """Return a duration with its two largest units: ``350ms``, ``2m 5s``, ``1h 3m``."""
    if value is None:
        return NOTHING
    seconds = max(value.total_seconds(), 0.0)
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 60:
        return f"{seconds:.1f}s".replace(".0s", "s")
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if hours < 1:
        return (
            f"{minutes:.0f}m {seconds % 60:.0f}s"
            if seconds % 60 >= 1
            else f"{minutes:.0f}m"
        )
    if days < 1:
        return f"{hours:.0f}h {minutes % 60:.0f}m"
    return f"{days:.0f}d {hours % 24:.0f}h"


def relative(value: datetime | None, now: datetime) -> str:
    """Return when something is due: ``in 2h 0m``, ``overdue 5m``."""
    if value is None:
        return NOTHING
    if value >= now:
        return f"in {duration(value - now)}"
    return f"overdue {duration(now - value)}"


def count(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: ``1 execution``, ``2,000 executions``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def up_to(number: int, most: int = MOST) -> str:
    """Return a count that went no further than ``most``: ``12``, ``10,000+``."""
    return str(Count(number, is_cut=number >= most))
