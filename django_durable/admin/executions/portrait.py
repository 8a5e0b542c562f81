"""What is known of one execution before any tab of its page is opened."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef, Subquery

from django_durable import clock
from django_durable.admin.executions.facts import (
    facts_of_row,
    failure_of,
    holder,
    open_wait,
)
from django_durable.admin.instances import Place
from django_durable.admin.sentences import Facts, Sentence, sentence
from django_durable.models import (
    Event,
    Execution,
    InputRequest,
    Log,
    Step,
    Wait,
    Worker,
)
from django_durable.store.health.workers import alive, served_queues
from django_durable.types import ExecutionStatus, StepStatus, WaitStatus

_UNSEEN = ("input", "data", "parent__input", "parent__data", "parent__error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrait:
    """An execution, its sentence, and which of its tabs have something in them.

    ``using`` is the database it is in, ``place`` where links lead to.
    """

    row: Execution
    using: str
    place: Place
    facts: Facts
    sentence: Sentence
    worker: Worker | None
    has_relatives: bool
    has_events: bool
    has_logs: bool


def find(id_: UUID, *, using: str) -> Execution | None:
    """Return an execution or a lane, without its payloads."""
    mine = {"execution": OuterRef("pk")}
    open_waits = Wait.objects.using(using).filter(
        execution=OuterRef("pk"), lane=None, status=WaitStatus.OPEN
    )
    family = Execution.rows.using(using).filter(parent=OuterRef("pk"))
    found: Execution | None = (
        Execution.rows.using(using)
        .filter(pk=id_)
        .select_related("parent")
        .defer(*_UNSEEN)
        .annotate(
            has_family=Exists(family),
            has_inputs=Exists(InputRequest.objects.using(using).filter(**mine)),
            has_events=Exists(Event.objects.using(using).filter(**mine)),
            has_waits=Exists(Wait.objects.using(using).filter(**mine)),
            has_logs=Exists(Log.objects.using(using).filter(**mine)),
            awaits=Subquery(open_waits.values("kind")[:1]),
        )
        .first()
    )
    return found


def portray(row: Execution, place: Place, *, using: str) -> Portrait:
    """Return what the head of the page of ``row``, which ``find`` returned, shows."""
    now = clock.now()
    worker = _worker(row, using)
    facts = _facts(row, worker, using, now)
    return Portrait(
        row=row,
        using=using,
        place=place,
        facts=facts,
        sentence=sentence(facts, now=now),
        worker=worker,
        has_relatives=row.parent_id is not None or _flag(row, "has_family"),
        has_events=any(
            _flag(row, name) for name in ("has_events", "has_inputs", "has_waits")
        ),
        has_logs=_flag(row, "has_logs"),
    )


def _flag(row: Execution, name: str) -> bool:
    return bool(getattr(row, name))


def _worker(row: Execution, using: str) -> Worker | None:
    if row.leased_by is None:
        return None
    return Worker.objects.using(using).filter(pk=row.leased_by).first()


def _facts(row: Execution, worker: Worker | None, using: str, now: datetime) -> Facts:
    facts = facts_of_row(row)
    if worker is not None:
        facts = replace(facts, holder=holder(worker, now=now))
    if row.status == ExecutionStatus.WAITING:
        wait = _open_wait(row, using)
        facts = replace(facts, wait=open_wait(wait) if wait else None)
    elif row.attempt > 1 and not row.is_final:
        facts = replace(facts, failure=failure_of(_last_failure(row, using)))
    if _is_overdue(row, now):
        facts = replace(facts, workers=_serving(row.queue, using))
    return facts


def _is_overdue(row: Execution, now: datetime) -> bool:
    due = row.available_at
    return row.leased_by is None and due is not None and due <= now


def _open_wait(row: Execution, using: str) -> Wait | None:
    waits = Wait.objects.using(using).filter(execution=row, lane=None)
    return waits.filter(status=WaitStatus.OPEN).select_related("input").first()


def _last_failure(row: Execution, using: str) -> Step | None:
    attempts = Step.objects.using(using).filter(
        execution=row, lane=None, sequence=row.sequence
    )
    ended_well = (StepStatus.COMPLETED, StepStatus.SNOOZED)
    failed = attempts.exclude(status__in=[one.value for one in ended_well])
    return failed.defer("output").order_by("-attempt", "-id").first()


def _serving(queue: str, using: str) -> int:
    return sum(queue in served_queues([worker]) for worker in alive(using=using))
