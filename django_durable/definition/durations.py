"""Delays by name, and the moments that follow from a given now.

Pure: what reads the clock and Django's time zone stands in ``django_durable.moments``.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

WEEKDAYS = (
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
)
_SATURDAY = 5


def seconds(count: float) -> timedelta:
    """Return that many seconds; all of these take fractions too."""
    return timedelta(seconds=count)


def minutes(count: float) -> timedelta:
    """Return that many minutes."""
    return timedelta(minutes=count)


def hours(count: float) -> timedelta:
    """Return that many hours."""
    return timedelta(hours=count)


def days(count: float) -> timedelta:
    """Return that many days of 24 hours."""
    return timedelta(days=count)


def weeks(count: float) -> timedelta:
    """Return that many weeks."""
    return timedelta(weeks=count)


_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def spelled(delay: timedelta) -> str:
    """Return a delay in words, its two largest units: ``1 hour 30 minutes``."""
    return " ".join(
        f"{count} {unit if count == '1' or unit == 'ms' else unit + 's'}"
        for count, unit in _largest(delay)
    )


def brief(delay: timedelta) -> str:
    """Return a delay in letters, its two largest units: ``1h 30m``, ``350ms``."""
    return " ".join(
        f"{count}{unit if unit == 'ms' else unit[0]}" for count, unit in _largest(delay)
    )


def _largest(delay: timedelta) -> list[tuple[str, str]]:
    """Return the two largest units of a delay, with how many there are of each."""
    seconds = max(delay.total_seconds(), 0.0)
    if seconds < 1:
        return [(f"{seconds * 1000:.0f}", "ms")]
    if seconds < 10:
        return [(f"{seconds:.1f}".removesuffix(".0"), "second")]
    left, parts = round(seconds), []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append((str(count), unit))
        elif parts:
            break
    return parts[:2]


def business_day_after(now: datetime, *, hour: int = 9) -> datetime:
    """Return the next Monday to Friday after today at ``hour``, in the zone of now."""
    day = now.date() + timedelta(days=1)
    while day.weekday() >= _SATURDAY:
        day += timedelta(days=1)
    return _at(now, day, time(hour))


def weekday_after(now: datetime, weekday: str, *, hour: int = 17) -> datetime:
    """Return the next such day after today at ``hour``: in 7 days if today is one.

    ``weekday`` is a name or its first three letters, in any case.
    """
    ahead = (_number_of(weekday) - now.weekday() - 1) % 7 + 1
    return _at(now, now.date() + timedelta(days=ahead), time(hour))


def end_of_day_after(now: datetime) -> datetime:
    """Return today's 23:59:59, in the zone of now; the later one if there are two."""
    last = time(23, 59, 59)
    ends = (_at(now, now.date(), last.replace(fold=fold)) for fold in (0, 1))
    # Of one zone, they would be compared by what the clocks show: that is the same.
    return max(ends, key=lambda end: end.astimezone(UTC))


def _number_of(weekday: str) -> int:
    name = weekday.lower() if isinstance(weekday, str) else ""
    for number, full in enumerate(WEEKDAYS):
        if name in (full, full[:3]):
            return number
    raise ValueError(
        f"weekday={weekday!r}: use one of {', '.join(WEEKDAYS)}, or its first three "
        "letters."
    )


def _at(now: datetime, day: date, wall_time: time) -> datetime:
    """Return the instant of a wall time in the zone of ``now``.

    By way of UTC, which moves a time that the clocks skip forward by what they skip.
    """
    if now.tzinfo is None:
        raise ValueError(f"now={now!r}: give an aware datetime.")
    return (
        datetime.combine(day, wall_time, now.tzinfo)
        .astimezone(UTC)
        .astimezone(now.tzinfo)
    )
