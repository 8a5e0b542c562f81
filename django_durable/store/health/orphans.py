"""Every row belongs to an execution that is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db import models

from django_durable.models import Event, Execution, InputRequest, Step, Wait
from django_durable.store.health.finding import Finding, Patient

_NEWEST = 10_000
"""Rows of each table that are looked at: the newest ones."""

_BATCH = 500


def rows_without_an_execution(patient: Patient) -> list[Finding]:
    """Steps, waits, events, inputs, logs, lanes or children whose execution is gone."""
    return [
        finding
        for model, column in _tables()
        for finding in patient.finding(
            "orphan",
            _orphans(model, column, patient),
            f"A row of {model._meta.verbose_name_plural} belongs to an execution that "
            "is gone.",
            "Nothing reads it any more; it may be deleted. Something other than "
            "`durable cleanup` has deleted the execution.",
            about=str(model._meta.verbose_name),
        )
    ]


def _tables() -> Iterator[tuple[type[models.Model], str]]:
    """Yield the models that point to an execution, and by which column."""
    for model in (Step, Wait, Event, InputRequest):
        yield model, "execution_id"
    yield Execution, "parent_id"
    for name in ("Log",):
        if name.lower() in apps.all_models["django_durable"]:
            yield apps.all_models["django_durable"][name.lower()], "execution_id"


def _orphans(model: type[models.Model], column: str, patient: Patient) -> list[UUID]:
    """Return the ids of rows, among the newest, whose execution is gone."""
    rows: models.QuerySet[Any] = model._base_manager.using(patient.using)
    pointing = rows.filter(**{f"{column}__isnull": False}).order_by("-pk")
    newest = list(pointing.values_list("pk", column)[:_NEWEST])
    known = _existing({execution for _, execution in newest}, patient.using)
    orphans = [pk for pk, execution in newest if execution not in known]
    return orphans[: patient.limit + 1]


def _existing(ids: Iterable[UUID], using: str) -> set[UUID]:
    wanted, known = list(ids), set[UUID]()
    for start in range(0, len(wanted), _BATCH):
        rows = Execution.rows.using(using).filter(pk__in=wanted[start : start + _BATCH])
        known.update(rows.values_list("pk", flat=True))
    return known
