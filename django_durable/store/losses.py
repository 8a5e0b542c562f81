"""What workers hold now, and what was lost with those that died."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from django_durable import clock
from django_durable.models import Execution, Step, Worker
from django_durable.models.execution import ExecutionQuerySet
from django_durable.types import StepStatus

MOST_RUNS = 1000
MOST_DEAD = 50
MOST_LOSSES = 500


def runs_of(workers: Iterable[UUID], *, using: str) -> list[Execution]:
    """Return what these workers hold, lanes too, without payloads, the longest first."""
    rows: ExecutionQuerySet = Execution.rows.using(using).leased()
    found = rows.filter(leased_by__in=list(workers)).defer("input", "data", "error")
    return list(found.order_by("step_started_at", "pk")[:MOST_RUNS])


def dead_since(moment: datetime, *, using: str) -> list[Worker]:
    """Return workers that are dead, and were heard of at ``moment`` or later."""
    is_dead = Q(is_dead=True) | Q(expires_at__lt=clock.db_now())
    found = Worker.objects.using(using).filter(is_dead, beat_at__gte=moment)
    return list(found.order_by("-beat_at", "pk")[:MOST_DEAD])


def lost_since(moment: datetime, *, using: str) -> list[Step]:
    """Return attempts that were lost with their worker, the latest first.

    Each has its execution, without payloads: what became of it is told there.
    """
    found = Step.objects.using(using).filter(
        status=StepStatus.LOST.value, completed_at__gte=moment
    )
    unseen = ("output", "execution__input", "execution__data", "execution__error")
    found = found.select_related("execution").defer(*unseen)
    return list(found.order_by("-completed_at")[:MOST_LOSSES])


def is_lost_with(step: Step, worker: Worker) -> bool:
    """Say whether a lost attempt was that of a worker, as far as its record tells.

    It names host and process, which may be another worker's later.
    """
    message = str((step.error or {}).get("message"))
    is_named = message.startswith(f"The worker {worker} died")
    return is_named and worker.started_at <= step.completed_at
