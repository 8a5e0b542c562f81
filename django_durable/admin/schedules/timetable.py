"""When a schedule fires, and what it started when it did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from django.db.models import Q

from django_durable import clock, cron
from django_durable.engine.scheduling import latest_times
from django_durable.models import Execution, Schedule
from django_durable.store.firing import fire_key

UPCOMING, PAST = 5, 10


def upcoming(expression: str, timezone: str, count: int = UPCOMING) -> list[datetime]:
    """Return the next fire times; none of an expression that is none."""
    times: list[datetime] = []
    after = clock.now()
    try:
        for _ in range(count):
            after = cron.next_fire(expression, timezone, after)
            times.append(after)
    except ValueError:
        return []
    return times


def past(row: Schedule, count: int = PAST) -> list[datetime]:
    """Return the last fire times by the present expression, the latest first."""

    def following(after: datetime) -> datetime:
        return cron.next_fire(row.cron, row.timezone, after)

    now = clock.now()
    try:
        first = following(row.created_at)
        if first > now:
            return []
        times, _is_cut = latest_times(first, now=now, following=following, limit=count)
    except ValueError:
        return []
    return times[::-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """A fire time, and what it started, if anything. Without one it was triggered."""

    at: datetime | None
    execution: Execution | None


def firings(row: Schedule, *, using: str) -> list[Firing]:
    """Return the last fire times with what they started, the latest first.

    What was started last comes first if it was triggered by hand. All of it is found by
    keys, so it costs the same however many executions there are.
    """
    times = {fire_key(row.name, at): at for at in past(row)}
    started = _started(row, list(times), using)
    by_key = {one.idempotency_key: one for one in started}
    found = [Firing(at=at, execution=by_key.get(key)) for key, at in times.items()]
    triggered = [
        Firing(at=None, execution=one)
        for one in started
        if one.idempotency_key not in times
    ]
    return [*triggered, *found]


def _started(row: Schedule, keys: Sequence[str], using: str) -> list[Execution]:
    by_key = Q(workflow=row.workflow, idempotency_key__in=keys)
    rows = Execution.objects.using(using).filter(by_key | Q(pk=row.last_execution))
    return list(rows.defer("input", "data").order_by("-pk"))


def zone_of(timezone: str) -> ZoneInfo | None:
    """Return a time zone; ``None`` where there is none of that name."""
    problem = cron.validate_timezone(timezone)
    return None if problem else ZoneInfo(timezone)
