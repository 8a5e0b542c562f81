"""Schedules: which fire times are due, what they start, and what a failure leads to.

Cron expressions are not read here. ``following`` returns the first fire time after an
instant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from django_durable.types import CatchUp, Overlap

Following: TypeAlias = Callable[[datetime], datetime]

MAX_CATCH_UP = 100
"""At most so many missed fire times are made up for, the latest; older ones are not."""

MAX_FAILURES = 5
"""A schedule that fails so many times in a row is disabled."""

LATE_AFTER = timedelta(minutes=1)
"""A fire time that is due for longer was missed; the scheduler looks every second."""

RETRY_BROKEN = timedelta(minutes=5)
"""When a schedule comes again whose next fire time cannot be found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one look at a due schedule decides.

    ``fire_times`` are those to fire, oldest first. ``is_cut``: there were more.
    """

    fire_times: tuple[datetime, ...]
    next_fire_at: datetime
    is_cut: bool = False


def plan_round(
    first: datetime,
    *,
    now: datetime,
    catch_up: str,
    following: Following,
    late_after: timedelta = LATE_AFTER,
) -> Round:
    """Decide what to fire of a schedule that is due since ``first``.

    ``"one"`` fires the latest time for all that were missed, ``"all"`` each, up to
    ``MAX_CATCH_UP``, ``"none"`` only one that is not late.
    """
    limit = MAX_CATCH_UP if catch_up == CatchUp.ALL else 1
    times, is_cut = latest_times(first, now=now, following=following, limit=limit)
    if catch_up == CatchUp.NONE:
        times = [time for time in times if now - time <= late_after]
    return Round(
        fire_times=tuple(times),
        next_fire_at=following(now),
        is_cut=is_cut and catch_up == CatchUp.ALL,
    )


def latest_times(
    first: datetime, *, now: datetime, following: Following, limit: int
) -> tuple[list[datetime], bool]:
    """Return the last ``limit`` fire times from ``first`` to ``now``; also if more are.

    The search goes back in growing windows, so that it costs the same after a year.
    """
    window = timedelta(minutes=limit)
    while True:
        since = max(first, now - window)
        times = [first] if since == first else []
        time = following(since)
        while time <= now:
            times.append(time)
            time = following(time)
        if since == first or len(times) >= limit:
            return times[-limit:], since > first or len(times) > limit
        window *= 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Starts:
    """Which fire times start an execution, and if the previous one is cancelled first."""

    fire_times: tuple[datetime, ...]
    cancels: bool = False


def settle_overlap(
    fire_times: tuple[datetime, ...], *, overlap: str, is_open: bool
) -> Starts:
    """Decide what becomes of fire times while the previous execution ``is_open``.

    Of several at once ``"skip"`` starts the first, for that one is then open, and
    ``"cancel"`` the last, which would cancel the others.
    """
    if not fire_times or overlap == Overlap.ALLOW:
        return Starts(fire_times=fire_times)
    if overlap == Overlap.CANCEL:
        return Starts(fire_times=fire_times[-1:], cancels=is_open)
    return Starts(fire_times=() if is_open else fire_times[:1])


def delay_of(jitter: timedelta | None, *, draw: float) -> timedelta:
    """Return how long to delay a start; ``draw`` is in [0, 1), drawn by the caller."""
    return (jitter or timedelta(0)) * draw


def is_worn_out(failure_count: int) -> bool:
    """Say whether a schedule is disabled after so many failures in a row."""
    return failure_count >= MAX_FAILURES


def merge(
    stored: Mapping[str, Any], *, base: Mapping[str, Any], code: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what new code changes in a stored schedule.

    ``base`` is what the code said when it was stored. A value that differs from that
    was changed by a person, and stays; it follows the code again once they are equal.
    """
    return {
        key: value
        for key, value in code.items()
        if value != stored[key] and stored[key] == base.get(key, stored[key])
    }
