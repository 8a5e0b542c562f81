"""What failed lately, those of one kind together: the same workflow, step and error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models.fields.json import KT

from django_durable.definition import paths
from django_durable.models import Execution
from django_durable.models.execution import UNSUCCESSFUL, ExecutionQuerySet
from django_durable.store.bounded import first_of_each

MOST_READ = 1000
"""Failures of each status that are looked at, the newest."""

MOST_KINDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureKind:
    """Failures of one kind. ``execution`` is the newest, which failed ``at``.

    ``step`` is a path without indices: all items of a block fail at the same step.
    """

    workflow: str
    type: str
    step: str
    count: int
    execution: UUID
    at: datetime
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """Kinds of failures, the most frequent first.

    ``is_cut``: there were more failures than were looked at, older ones.
    """

    kinds: tuple[FailureKind, ...]
    is_cut: bool = False
    has_more_kinds: bool = False


def failures(since: datetime, *, using: str) -> Failures:
    """Return what failed at ``since`` or later, children left out."""
    found = _read(since, using)
    kinds = sorted(_kinds(found), key=lambda kind: (kind.count, kind.at), reverse=True)
    by_status = Counter(row.status for row in found)
    return Failures(
        kinds=_with_messages(kinds[:MOST_KINDS], using),
        is_cut=max(by_status.values(), default=0) >= MOST_READ,
        has_more_kinds=len(kinds) > MOST_KINDS,
    )


@dataclass(frozen=True, slots=True)
class _Failure:
    id: UUID
    status: str
    workflow: str
    at: datetime
    type: Any
    step: Any

    @property
    def kind(self) -> tuple[str, str, str]:
        return self.workflow, str(self.type or ""), paths.template(str(self.step or ""))


def _read(since: datetime, using: str) -> list[_Failure]:
    rows: ExecutionQuerySet = Execution.rows.using(using)
    columns = ("pk", "status", "workflow", "completed_at")
    parts = [
        rows.ended(status, since=since)
        .order_by("-completed_at")
        .values_list(*columns, KT("error__type"), KT("error__step"))
        for status in UNSUCCESSFUL
    ]
    found = (_Failure(*row) for row in first_of_each(parts, MOST_READ, using=using))
    # Who was cancelled and then undone has not failed.
    return [row for row in found if row.type != "cancelled"]


def _kinds(found: Iterable[_Failure]) -> Iterator[FailureKind]:
    alike: dict[tuple[str, str, str], list[_Failure]] = {}
    for row in found:
        alike.setdefault(row.kind, []).append(row)
    for (workflow, type_, step), rows in alike.items():
        newest = max(rows, key=lambda row: (row.at, row.id))
        yield FailureKind(
            workflow=workflow,
            type=type_,
            step=step,
            count=len(rows),
            execution=newest.id,
            at=newest.at,
        )


def _with_messages(kinds: Sequence[FailureKind], using: str) -> tuple[FailureKind, ...]:
    """Return kinds with the message of their newest failure."""
    newest = Execution.rows.using(using).filter(pk__in=[one.execution for one in kinds])
    messages = dict(newest.values_list("pk", KT("error__message")))
    return tuple(
        replace(one, message=str(messages.get(one.execution) or "")) for one in kinds
    )
