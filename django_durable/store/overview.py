"""How much there is to do, who does it, and what went wrong lately: a few counts.

All of them go through partial indexes, so they cost what is open, not what is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, QuerySet
from django.db.models.functions import Coalesce

from django_durable import clock
from django_durable.models import Execution, Wait, Worker
from django_durable.store import leases, schedules
from django_durable.store.health.workers import alive
from django_durable.types import ExecutionStatus, WaitStatus

_MOST_FAILURES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueCounts:
    """One queue: rows that are due, that run, and that wait for time or for others.

    ``oldest`` is since when the first of the due ones is due.
    """

    name: str
    claimable: int = 0
    running: int = 0
    waiting: int = 0
    oldest: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """One database at the instant ``at``, by its own clock.

    ``running`` counts by worker; ``failures`` what failed since an hour before ``at``.
    """

    at: datetime
    queues: tuple[QueueCounts, ...]
    workers: tuple[Worker, ...]
    running: Mapping[Any, int]
    schedules_due: int
    failures: int


def overview(*, using: str) -> Overview:
    """Return how things stand on a database."""
    at = leases.now_in(using)
    held = Execution.rows.using(using).leased()
    return Overview(
        at=at,
        queues=_queues(using),
        workers=tuple(alive(using=using)),
        running=_by("leased_by", held),
        schedules_due=schedules.rows(using).due().count(),
        failures=_failures(at - timedelta(hours=1), using),
    )


def _queues(using: str) -> tuple[QueueCounts, ...]:
    rows = Execution.rows.using(using)
    due = rows.filter(available_at__lte=clock.db_now())
    claimable, running = _by("queue", due), _by("queue", rows.leased())
    later = _by("queue", rows.filter(available_at__gt=clock.db_now()))
    waiting = _by("queue", _untimed(using))
    oldest = dict(
        due.order_by("queue")
        .values("queue")
        .annotate(first=Min("available_at"))
        .values_list("queue", "first")
    )
    return tuple(
        QueueCounts(
            name=name,
            claimable=claimable.get(name, 0),
            running=running.get(name, 0),
            waiting=later.get(name, 0) + waiting.get(name, 0),
            oldest=oldest.get(name),
        )
        for name in sorted({*claimable, *running, *later, *waiting})
    )


def _untimed(using: str) -> QuerySet[Any, Any]:
    """Return the rows that wait for something, however long it takes."""
    waits: QuerySet[Any, Any] = Wait.objects.using(using)
    opened = waits.filter(status=WaitStatus.OPEN).annotate(
        row=Coalesce("lane", "execution_id")
    )
    rows = Execution.rows.using(using).filter(pk__in=opened.values("row"))
    found: QuerySet[Any, Any] = rows.filter(available_at=None, leased_by=None)
    return found.exclude(status=ExecutionStatus.PAUSED)


def _by(column: str, rows: QuerySet[Any, Any]) -> dict[Any, int]:
    counted = rows.order_by(column).values(column).annotate(count=Count("pk"))
    return dict(counted.values_list(column, "count"))


def _failures(since: datetime, using: str) -> int:
    failed = Execution.objects.using(using).with_status(
        [
            ExecutionStatus.FAILED,
            ExecutionStatus.COMPENSATED,
            ExecutionStatus.COMPENSATION_FAILED,
        ]
    )
    ids = failed.filter(completed_at__gte=since).order_by().values_list("pk", flat=True)
    return len(ids[:_MOST_FAILURES])
