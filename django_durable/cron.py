"""Cron expressions: the only reader of them. ``next_fire`` says when one comes next.

The rule for the two nights of the year on which clocks change is ours. An expression
that names hours means times on the clock on the wall: each comes once, the first time
the clock shows it, and one that the clock skips comes at the first moment after the gap.
An expression for every hour means an interval, and goes on at each real one.

croniter only ever sees a clock that never changes.
"""

from __future__ import annotations

import difflib
import re
import zoneinfo
from datetime import UTC, datetime, timedelta, tzinfo

from cron_descriptor import (
    FormatException,
    MissingFieldException,
    Options,
    WrongArgumentException,
    get_description,
)
from croniter import CroniterBadCronError, CroniterBadDateError, croniter

ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

# name, largest number, what may stand there
_FIELDS = (
    ("minute", 59, "0 to 59, *, or a step such as */5"),
    ("hour", 23, "0 to 23, *, or a step such as */2"),
    (
        "day of month",
        31,
        "1 to 31, *, L (the last day) or 15W (the weekday next to it)",
    ),
    ("month", 12, "1 to 12, JAN to DEC, or *"),
    (
        "day of week",
        7,
        "0 to 7 (both Sunday), SUN to SAT, *, FRI#2 or L5 (last Friday)",
    ),
)
_HOUR = 1
_SECOND = timedelta(seconds=1)

# Clocks were never set back by more than this, but for moves of the date line.
_LONGEST_OVERLAP = timedelta(hours=3)

# croniter would take these for a time drawn at random, another one in each process.
_DRAWN = re.compile(r"[hr](\(.*\))?(/\d+)?", re.IGNORECASE)


def next_fire(expression: str, timezone: str, after: datetime) -> datetime:
    """Return the first fire time after an aware datetime, in UTC.

    Raises ``ValueError`` for what ``validate`` or ``validate_timezone`` refuses.
    """
    zone = _zone(timezone)
    fields = _expand(expression)
    after = after.astimezone(UTC)
    if croniter.expand(fields)[0][_HOUR] == ["*"]:
        return _next_interval(fields, zone, after)
    return _next_wall_time(fields, zone, after)


def validate(expression: str) -> str | None:
    """Return what is wrong with an expression, naming the field; ``None`` if nothing."""
    fields = ALIASES.get(expression.strip().lower(), expression).split()
    if len(fields) != len(_FIELDS):
        names = ", ".join(name for name, _, _ in _FIELDS)
        return (
            f"cron={expression!r} has {len(fields)} fields. Give five: {names}; or one of "
            f"{', '.join(ALIASES)}."
        )
    for number, field in enumerate(fields):
        fault = _fault(number, field)
        if fault is not None:
            name, _, allowed = _FIELDS[number]
            return (
                f"cron={expression!r}: the {name} (field {number + 1}) is {field!r}"
                f"{fault}. Give {allowed}."
            )
    if fields[2] not in ("*", "?") and re.search("[#Ll]", fields[4]):
        return (
            f"cron={expression!r}: beside the day of week (field 5) {fields[4]!r} the day "
            f"of month (field 3) cannot be {fields[2]!r}. Give * there."
        )
    try:
        _following(" ".join(fields), datetime(2024, 1, 1))  # noqa: DTZ001
    except CroniterBadDateError:
        return (
            f"cron={expression!r} never comes: no {_FIELDS[3][0]} {fields[3]} has a "
            f"{_FIELDS[2][0]} {fields[2]}. Change field 3 or 4."
        )
    return None


def validate_timezone(timezone: str) -> str | None:
    """Return what is wrong with the name of a time zone; ``None`` if nothing."""
    try:
        _zone(timezone)
    except ValueError:
        near = difflib.get_close_matches(timezone, zoneinfo.available_timezones(), n=1)
        hint = f"Did you mean {near[0]!r}?" if near else "Give one, as 'Europe/Berlin'."
        return f"timezone={timezone!r} is no IANA time zone. {hint}"
    return None


def describe(expression: str) -> str:
    """Return an expression in plain English, or itself where there are no words."""
    options = Options()
    # Its other languages come out half translated.
    options.locale_code = "en_US"
    options.use_24hour_time_format = True
    fields = ALIASES.get(expression.strip().lower(), expression)
    try:
        return str(get_description(fields, options))
    except (FormatException, MissingFieldException, WrongArgumentException):
        return expression


def _fault(number: int, field: str) -> str | None:
    """Return what is wrong with one field, to be read after it; ``None`` if nothing."""
    _, largest, _ = _FIELDS[number]
    parts = field.split(",")
    if any(_DRAWN.fullmatch(part) for part in parts):
        return ", drawn at random, which is not supported here"
    steps = [int(step) for step in re.findall(r"/(\d{1,9})", field)]
    if any(step > largest for step in steps):
        return f", a step of more than {largest}"
    alone = ["*"] * len(_FIELDS)
    alone[number] = field
    try:
        croniter.expand(" ".join(alone))
    except CroniterBadCronError:
        return ""
    return None


def _expand(expression: str) -> str:
    if problem := validate(expression):
        raise ValueError(problem)
    return " ".join(ALIASES.get(expression.strip().lower(), expression).split())


def _zone(timezone: str) -> tzinfo:
    try:
        return zoneinfo.ZoneInfo(timezone)
    except (KeyError, OSError, ValueError):
        raise ValueError(f"There is no time zone {timezone!r}.") from None


def _following(fields: str, wall: datetime) -> datetime:
    """Return the next time on a clock that never changes; both are naive."""
    following: datetime = croniter(fields, wall.replace(tzinfo=UTC)).get_next(datetime)
    return following.replace(tzinfo=None)


def _next_wall_time(fields: str, zone: tzinfo, after: datetime) -> datetime:
    """Return the next fire time of an expression that names hours."""
    wall = _wall(after, zone)
    while True:
        wall = _following(fields, wall)
        instant = _first_instant(wall, zone)
        # Not so for times that the clock shows a second time now.
        if instant > after:
            return instant


def _first_instant(wall: datetime, zone: tzinfo) -> datetime:
    """Return when the clock first shows ``wall``, or else has gone past it."""
    instant = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if _wall(instant, zone) == wall:
        return instant
    # In a gap the two folds stand on its two sides (PEP 495), the other way round.
    before = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return _change(zone, before, instant)


def _next_interval(fields: str, zone: tzinfo, after: datetime) -> datetime:
    """Return the next instant at which the clock shows a time of the expression."""
    since = after.replace(microsecond=0)
    wall = _wall(since, zone)
    while True:
        offset = _offset(since, zone)
        found = (_following(fields, wall) - offset).replace(tzinfo=UTC)
        # Up to the next change of the clock this is right. After one, it goes on from
        # what the clock shows then, which may be a time that it has shown before.
        looks = (min(found, since + _LONGEST_OVERLAP), found)
        later = [look for look in looks if _offset(look, zone) != offset]
        if not later:
            return found
        since = _change(zone, since, later[0])
        wall = _wall(since, zone) - _SECOND


def _change(zone: tzinfo, before: datetime, after: datetime) -> datetime:
    """Return the instant between the two, to the second, at which the clock changes."""
    offset = _offset(before, zone)
    while after - before > _SECOND:
        middle = before + timedelta(seconds=(after - before) // _SECOND // 2)
        if _offset(middle, zone) == offset:
            before = middle
        else:
            after = middle
    return after


def _offset(instant: datetime, zone: tzinfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta(0)


def _wall(instant: datetime, zone: tzinfo) -> datetime:
    """Return what the clock shows, naive, to the second."""
    return instant.astimezone(zone).replace(tzinfo=None, microsecond=0, fold=0)
