"""How the workflows of a database fare: counts that never look at more than so many rows.

They go through partial indexes, so that they cost what is open and what has failed
lately, not what is stored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet

from django_durable import clock
from django_durable.models import Execution, Schedule
from django_durable.models.execution import (
    NOT_RUNNING,
    UNSUCCESSFUL,
    ExecutionQuerySet,
)
from django_durable.store.bounded import MOST, Count
from django_durable.types import ExecutionStatus

RECENT = timedelta(days=7)
NEWEST = 20_000
"""Executions among which the newest of one workflow are looked for."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many there are of each workflow; at least that, when it ``is_cut``."""

    counts: Mapping[str, int]
    is_cut: bool = False

    def of(self, workflow: str) -> Count:
        """Return how many there are of one workflow."""
        return Count(self.counts.get(workflow, 0), self.is_cut)


def open_by_workflow(*, using: str) -> Tally:
    """Count what has not ended, by workflow. Lanes are not counted."""
    rows: ExecutionQuerySet = Execution.objects.using(using)
    standing = rows.with_status([one.value for one in NOT_RUNNING])
    running = rows.leased().filter(status=ExecutionStatus.RUNNING)
    return _tally(standing, running)


def failed_by_workflow(*, using: str) -> Tally:
    """Count what has failed in the last days, by workflow.

    Only what no other execution has started: its failure is that of its parent too.
    """
    failed: QuerySet[Any, Any] = Execution.objects.using(using).filter(
        parent=None,
        completed_at__isnull=False,
        status__in=[one.value for one in UNSUCCESSFUL],
        completed_at__gte=clock.now() - RECENT,
    )
    return _tally(failed)


def _tally(*found: QuerySet[Any, Any]) -> Tally:
    names = [
        list(rows.order_by().values_list("workflow", flat=True)[:MOST])
        for rows in found
    ]
    counts = Counter(name for some in names for name in some)
    return Tally(counts, is_cut=any(len(some) == MOST for some in names))


def newest(workflow: str, *, most: int, using: str) -> list[Execution]:
    """Return the newest executions of a workflow, of the newest that there are of all."""
    rows: ExecutionQuerySet = Execution.objects.using(using).order_by("-id")
    oldest = rows.values_list("pk", flat=True)[NEWEST : NEWEST + 1].first()
    if oldest is not None:
        rows = rows.filter(pk__gt=oldest)
    return list(rows.filter(workflow=workflow).defer("input", "data")[:most])


def schedules_of(workflow: str | None = None, *, using: str) -> list[Schedule]:
    """Return the schedules of one workflow, or of all, by name."""
    found = Schedule.objects.using(using).order_by("name")
    if workflow is not None:
        found = found.filter(workflow=workflow)
    return list(found.defer("input")[:MOST])
