"""Moments counted from now, in Django's current time zone unless told otherwise."""

from __future__ import annotations

from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

from django.utils import timezone

from django_durable import clock
from django_durable.definition import durations


def next_business_day(hour: int = 9, tz: tzinfo | str | None = None) -> datetime:
    """Return the next Monday to Friday, never today, at ``hour`` o'clock."""
    return durations.business_day_after(_local_now(tz), hour=hour)


def next_weekday(
    weekday: str, hour: int = 17, tz: tzinfo | str | None = None
) -> datetime:
    """Return the next such day, never today, at ``hour`` o'clock.

    ``weekday`` is a name (``"friday"``) or its first three letters, in any case.
    """
    return durations.weekday_after(_local_now(tz), weekday, hour=hour)


def end_of_day(tz: tzinfo | str | None = None) -> datetime:
    """Return today's 23:59:59."""
    return durations.end_of_day_after(_local_now(tz))


def _local_now(tz: tzinfo | str | None) -> datetime:
    return clock.now().astimezone(_zone(tz))


def _zone(tz: tzinfo | str | None) -> tzinfo:
    if tz is None:
        return timezone.get_current_timezone()
    if not isinstance(tz, str):
        return tz
    try:
        return ZoneInfo(tz)
    except (KeyError, OSError, ValueError):
        raise ValueError(
            f"tz={tz!r}: there is no such time zone. Use an IANA name, such as "
            "'Europe/Berlin', or a tzinfo."
        ) from None
