"""What an execution has done and when: read in a few statements, up to a limit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.db.models import Count, Max, Min, Q, QuerySet
from django.db.models.fields.json import KT

from django_durable.drawing.history import Attempt, Bulk, History, Pause, Runner
from django_durable.models import Execution, Step, Wait
from django_durable.store.paths import Template
from django_durable.types import StepStatus, WaitKind

_MOST = 1000
"""Attempts of the execution itself, and waits, that are read: the latest ones."""
_MOST_IN_LANES = 1000
"""Lanes that are told one by one, and attempts in them; more are gathered by node."""

_REMEMBERED = (WaitKind.CHECKPOINT, WaitKind.STARTED)


def history_of(execution: Execution, *, using: str) -> History:
    """Return what an execution and its lanes have done, the latest part of it."""
    steps: QuerySet[Any, Any] = Step.objects.using(using).filter(execution=execution.pk)
    own = _attempts(steps.filter(lane=None), _MOST + 1)
    pauses = list(_pauses(execution.pk, using))
    inside = _attempts(steps.filter(lane__isnull=False), _MOST_IN_LANES + 1)
    lanes = list(_lanes(execution.pk, using))
    bulks: list[Bulk] = []
    if max(len(inside), len(lanes)) > _MOST_IN_LANES:
        bulks = list(_bulks(steps))
        inside, lanes = [], []
        pauses = [pause for pause in pauses if pause.lane is None]
    return History(
        execution=_runner(execution),
        lanes=lanes,
        attempts=[*own[:_MOST], *inside],
        pauses=pauses[:_MOST],
        bulks=bulks,
        is_cut=max(len(own), len(pauses)) > _MOST,
    )


def _attempts(steps: QuerySet[Any, Any], limit: int) -> list[Attempt]:
    latest = steps.order_by("-sequence", "-attempt").annotate(what=KT("error__type"))
    rows = latest.values_list(
        "pk",
        "lane",
        "path",
        "kind",
        "sequence",
        "attempt",
        "status",
        "what",
        "started_at",
        "completed_at",
    )
    return [
        Attempt(
            step=step,
            lane=lane,
            path=path,
            kind=kind,
            sequence=sequence,
            attempt=attempt,
            status=status,
            error=what or "",
            started_at=started_at,
            completed_at=completed_at,
        )
        for (
            step,
            lane,
            path,
            kind,
            sequence,
            attempt,
            status,
            what,
            started_at,
            completed_at,
        ) in rows[:limit]
    ]


def _pauses(id_: UUID, using: str) -> Iterator[Pause]:
    waits: QuerySet[Any, Any] = Wait.objects.using(using).filter(execution=id_)
    rows = (
        waits.exclude(kind__in=_REMEMBERED)
        .order_by("-id")
        .values(
            "lane", "path", "kind", "sequence", "sentence", "created_at", "closed_at"
        )
    )
    for row in rows[: _MOST + 1]:
        opened_at = row.pop("created_at")
        yield Pause(opened_at=opened_at, **row)


def _lanes(id_: UUID, using: str) -> Iterator[Runner]:
    rows = Execution.rows.using(using).filter(parent=id_, is_lane=True)
    for lane in rows.order_by("id").only(*_COLUMNS)[: _MOST_IN_LANES + 1]:
        yield _runner(lane)


_COLUMNS = (
    "scope",
    "status",
    "scheduled_at",
    "created_at",
    "started_at",
    "completed_at",
    "current_step",
    "sequence",
    "attempt",
    "step_started_at",
    "waiting_for",
    "is_lane",
)


def _runner(row: Execution) -> Runner:
    return Runner(
        lane=row.pk if row.is_lane else None,
        scope=row.scope,
        status=row.status,
        queued_at=max(row.created_at, row.scheduled_at or row.created_at),
        started_at=row.started_at,
        completed_at=row.completed_at,
        path=row.current_step,
        sequence=row.sequence,
        attempt=row.attempt,
        step_started_at=row.step_started_at,
        is_told=bool(row.waiting_for),
    )


def _bulks(steps: QuerySet[Any, Any]) -> Iterator[Bulk]:
    counted = (
        steps.filter(lane__isnull=False)
        .order_by()
        .annotate(place=Template("path"))
        .values("place")
        .annotate(
            count=Count("pk"),
            failed=Count("pk", filter=~Q(status=StepStatus.COMPLETED)),
            first=Min("started_at"),
            last=Max("completed_at"),
        )
    )
    for row in counted:
        yield Bulk(
            path=row["place"],
            count=row["count"],
            failed=row["failed"],
            started_at=row["first"],
            completed_at=row["last"],
        )
