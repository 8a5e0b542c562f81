"""How much there is to do, who does it, and what came of it lately: a few counts.

Each goes through an index and stops at ``bounded.MOST``, so they cost little whatever
is stored, and their number follows that of the queues alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connections
from django.db.models import Count, Subquery

from django_durable import clock
from django_durable.models import Execution, Worker
from django_durable.models.execution import (
    FINAL,
    NOT_RUNNING,
    UNSUCCESSFUL,
    ExecutionQuerySet,
)
from django_durable.store import leases, schedules
from django_durable.store.bounded import MOST, CountUpTo, EarliestOf, evaluate
from django_durable.store.health.workers import alive, served_queues
from django_durable.types import ExecutionStatus

MOST_QUEUES = 50
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueCounts:
    """One queue: rows that are due, that run, and executions that wait.

    ``oldest`` is since when the first of the due ones is due, among so many as are
    counted, in the order of claims. ``waiting`` are those that wait for somebody or
    something, and those that are due later.
    """

    name: str
    claimable: int = 0
    running: int = 0
    waiting: int = 0
    oldest: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """One database at the instant ``at``, by its own clock.

    No count goes beyond ``bounded.MOST``. ``running`` counts by worker, ``open`` by
    status, ``ended`` by status what ended in the day before ``at``. ``ended`` and
    ``failures``, of the hour before, leave out children: the parent tells of them.
    """

    at: datetime
    queues: tuple[QueueCounts, ...]
    workers: tuple[Worker, ...]
    running: Mapping[UUID, int]
    open: Mapping[str, int]
    ended: Mapping[str, int]
    schedules_due: int
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """How many rows of one kind a worker has claimed."""

    queue: str
    worker: UUID
    status: str
    is_lane: bool
    count: int


def overview(*, queues: Iterable[str] = (), using: str) -> Overview:
    """Return how things stand on a database; ``queues`` are told of in any case."""
    at = leases.now_in(using)
    workers, held = tuple(alive(using=using)), _held(using)
    names = sorted(
        {
            *queues,
            *served_queues(workers),
            *(one.queue for one in held),
            *_queues_with_work(using),
        }
    )
    found = evaluate(dict(_questions(names, at, using)), using=using)
    return Overview(
        at=at,
        queues=tuple(_queue(name, held, found) for name in names),
        workers=workers,
        running=_sums((one.worker, one.count) for one in held),
        open=_open(held, found),
        ended={status.value: found["ended", status] for status in FINAL},
        schedules_due=schedules.rows(using).due().count(),
        failures=sum(found["failed", status] for status in UNSUCCESSFUL),
    )


def _questions(
    names: Iterable[str], at: datetime, using: str
) -> Iterator[tuple[tuple[str, str], Subquery]]:
    rows: ExecutionQuerySet = Execution.rows.using(using)
    executions: ExecutionQuerySet = Execution.objects.using(using)
    waiting = executions.filter(status=ExecutionStatus.WAITING)
    later = executions.filter(
        status=ExecutionStatus.PENDING, available_at__gt=clock.db_now()
    )
    for name in names:
        due = rows.claimable(queue=name)
        yield ("claimable", name), CountUpTo(due)
        yield ("oldest", name), EarliestOf(due.in_claim_order(), "available_at")
        yield ("waiting", name), CountUpTo(waiting.filter(queue=name))
        yield ("later", name), CountUpTo(later.filter(queue=name))
    for status in NOT_RUNNING:
        yield ("open", status), CountUpTo(executions.filter(status=status))
    for status in FINAL:
        yield ("ended", status), CountUpTo(rows.ended(status, since=at - DAY))
    for status in UNSUCCESSFUL:
        yield ("failed", status), CountUpTo(rows.ended(status, since=at - HOUR))


def _queue(
    name: str, held: Iterable[_Held], found: Mapping[tuple[str, str], Any]
) -> QueueCounts:
    return QueueCounts(
        name=name,
        claimable=found["claimable", name],
        running=sum(one.count for one in held if one.queue == name),
        waiting=min(found["waiting", name] + found["later", name], MOST),
        oldest=found["oldest", name],
    )


def _open(
    held: Iterable[_Held], found: Mapping[tuple[str, str], Any]
) -> dict[str, int]:
    running = sum(
        one.count
        for one in held
        if one.status == ExecutionStatus.RUNNING and not one.is_lane
    )
    pending, *others = NOT_RUNNING
    return {
        pending.value: found["open", pending],
        ExecutionStatus.RUNNING.value: running,
        **{status.value: found["open", status] for status in others},
    }


def _sums(counts: Iterable[tuple[UUID, int]]) -> dict[UUID, int]:
    sums: Counter[UUID] = Counter()
    for key, count in counts:
        sums[key] += count
    return dict(sums)


def _held(using: str) -> list[_Held]:
    """Return what is claimed; that is never more than the workers have slots."""
    columns = ("queue", "leased_by", "status", "is_lane")
    rows = Execution.rows.using(using).leased().order_by(*columns)
    counted = rows.values_list(*columns).annotate(count=Count("pk"))
    return [
        _Held(queue=q, worker=w, status=s, is_lane=i, count=c)
        for q, w, s, i, c in counted
    ]


# From one name to the next by the index of claims, whatever is between them.
_NAMES = """
WITH RECURSIVE names (name) AS (
    SELECT MIN(queue) FROM {table} WHERE available_at IS NOT NULL
    UNION ALL
    SELECT (
        SELECT MIN(queue) FROM {table}
        WHERE available_at IS NOT NULL AND queue > names.name
    )
    FROM names WHERE names.name IS NOT NULL
)
SELECT name FROM names WHERE name IS NOT NULL LIMIT {most}
"""


def _queues_with_work(using: str) -> list[str]:
    """Return queues that hold what is due, or will be."""
    table = connections[using].ops.quote_name(Execution._meta.db_table)
    with connections[using].cursor() as cursor:
        cursor.execute(_NAMES.format(table=table, most=MOST_QUEUES))
        return [name for (name,) in cursor.fetchall()]
