"""Log lines: written in batches, whoever holds the execution by now.

A line says what a step did, not what becomes of its execution. So it needs no lease:
what an attempt wrote that was lost is kept too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import transaction

from django_durable.ids import new_id
from django_durable.models import Execution, Log, Step

_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSource:
    """Which attempt writes; ``execution_id`` is the workflow's, ``lane`` its lane."""

    execution_id: UUID
    lane: UUID | None
    step: str
    sequence: int
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line, as it is stored. It has its id from the start, so that it is so once."""

    source: LogSource
    level: str
    logger: str
    message: str
    created_at: datetime
    id: UUID = field(default_factory=new_id)


def insert(lines: Iterable[LogLine], *, using: str) -> None:
    """Store lines, in one transaction. Those that are stored already stay as they are."""
    rows = [_row(line) for line in lines]
    with transaction.atomic(using=using):
        Log.objects.using(using).bulk_create(
            rows, batch_size=_BATCH, ignore_conflicts=True
        )


def _row(line: LogLine) -> Log:
    source = line.source
    return Log(
        id=line.id,
        execution_id=source.execution_id,
        lane=source.lane,
        step=source.step,
        sequence=source.sequence,
        attempt=source.attempt,
        level=line.level,
        logger=line.logger,
        message=line.message,
        created_at=line.created_at,
    )


def share_out(execution: Execution) -> None:
    """Give each of the loaded steps of an execution its share of the loaded logs.

    An operator's retry counts the attempts of a visit anew, so that two attempts may
    have one number: a line is of the first one that ended after it was written.
    """
    attempts: dict[object, list[Step]] = defaultdict(list)
    for step in execution.steps.all():
        step.logs = []
        attempts[_key(step.path, step)].append(step)
    for steps in attempts.values():
        steps.sort(key=lambda step: step.pk)
    for line in execution.logs.all():
        if steps := attempts.get(_key(line.step, line), []):
            _owner(steps, line).logs.append(line)


def _key(path: str, row: Step | Log) -> object:
    return row.lane, path, row.sequence, row.attempt


def _owner(steps: Sequence[Step], line: Log) -> Step:
    # The id of an attempt is made when it ends, in the process that wrote the lines.
    return next((step for step in steps if step.pk > line.pk), steps[-1])
