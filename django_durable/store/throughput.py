"""How much was completed in each minute of the past hour, and how quickly."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connections
from django.db.models import DurationField, ExpressionWrapper, F, QuerySet, Value
from django.db.models.functions import Coalesce, Greatest

from django_durable.models import Execution
from django_durable.models.execution import ExecutionQuerySet
from django_durable.store.bounded import MOST
from django_durable.types import ExecutionStatus

MINUTE = timedelta(minutes=1)
MINUTES = 60

SAMPLE = 50
"""Executions of each minute that medians are taken of, the last to complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """What completed in the minute from ``starts``, children left out.

    ``completed`` is counted up to ``bounded.MOST``. ``queued`` is the median of the
    times from when executions could begin until they did, ``took`` that from there to
    their end, waits included; ``None`` where nothing was completed.
    """

    starts: datetime
    completed: int
    queued: timedelta | None = None
    took: timedelta | None = None


def past_hour(now: datetime, *, using: str) -> tuple[Minute, ...]:
    """Return the minutes of the past hour; the last one, of ``now``, is not over yet."""
    this = now.replace(second=0, microsecond=0)
    starts = [this - MINUTE * before for before in range(MINUTES - 1, -1, -1)]
    completed = _completed(using)
    # A column, or an order, would make it look up every row that the index has found.
    all_of_it = completed.order_by().values(one=Value(1))[:MOST]
    counted = _in_each(starts, all_of_it, "COUNT(*)", using)
    counts: dict[int, int] = dict(counted)
    samples: dict[int, list[tuple[Any, Any]]] = {}
    newest = completed.order_by("-completed_at").values(queued=_QUEUED, took=_TOOK)
    for number, *spans in _in_each(starts, newest[:SAMPLE], "queued, took", using):
        samples.setdefault(number, []).append(tuple(spans))
    return tuple(
        _minute(start, counts[number], samples.get(number, []))
        for number, start in enumerate(starts)
    )


# The clock of the process that started it may be ahead of the database's.
_READY = Greatest("created_at", Coalesce("scheduled_at", "created_at"))
_QUEUED = ExpressionWrapper(F("started_at") - _READY, output_field=DurationField())
_TOOK = ExpressionWrapper(
    F("completed_at") - F("started_at"), output_field=DurationField()
)

# Two instants that stand for the bounds of a minute.
_SINCE, _UNTIL = (datetime(2000, 1, 1, microsecond=n, tzinfo=UTC) for n in (1, 2))


def _completed(using: str) -> ExecutionQuerySet:
    rows: ExecutionQuerySet = Execution.rows.using(using)
    ended = rows.ended(ExecutionStatus.COMPLETED, since=_SINCE)
    return ended.filter(completed_at__lt=_UNTIL)


def _in_each(
    starts: Sequence[datetime], rows: QuerySet[Any, Any], what: str, using: str
) -> list[tuple[Any, ...]]:
    """Return ``what`` of the rows of each minute, and its number, in one statement.

    The ORM writes the query of one minute. To write all of them would take it longer
    than the database takes to answer.
    """
    connection = connections[using]
    query, params = rows.query.get_compiler(using).as_sql()
    adapted = connection.ops.adapt_datetimefield_value
    bounds = {adapted(_SINCE): timedelta(0), adapted(_UNTIL): MINUTE}
    statement = " UNION ALL ".join(
        f"SELECT {number} AS number, {what} FROM ({query}) AS found"  # noqa: S608
        for number in range(len(starts))
    )
    given = [
        adapted(start + bounds[param]) if param in bounds else param
        for start in starts
        for param in params
    ]
    with connection.cursor() as cursor:
        cursor.execute(statement, given)
        return list(cursor.fetchall())


def _minute(start: datetime, count: int, sample: Sequence[tuple[Any, Any]]) -> Minute:
    return Minute(
        starts=start,
        completed=count,
        queued=_median(queued for queued, _took in sample),
        took=_median(took for _queued, took in sample),
    )


def _median(spans: Iterable[Any]) -> timedelta | None:
    """Return the median of durations as the database gives them."""
    known = [
        span.total_seconds() if isinstance(span, timedelta) else span / 1e6
        for span in spans
        if span is not None
    ]
    return timedelta(seconds=max(statistics.median(known), 0)) if known else None
