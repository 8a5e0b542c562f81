"""The attempts of an execution and its lanes, in the order in which they began.

The newest are shown, as of a log, with a way to earlier ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.http import HttpRequest

from django_durable.admin.display import MOST_JSON
from django_durable.admin.executions.portrait import Portrait
from django_durable.admin.payloads import Payload, payload_of, with_payloads
from django_durable.definition import registry
from django_durable.definition.graph import Graph
from django_durable.definition.nodes import StepNode
from django_durable.models import Step
from django_durable.runtime.parameters import parameters_of
from django_durable.store import queries
from django_durable.store.paths import Template
from django_durable.types import StepKind, StepStatus

PER_PAGE = 50
LAST_PAGE = 10_000

_NO_KEYS = {"data", "ctx", "results", "item", "index", "error"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt as it is shown; ``reads`` are keys of the data that it asks for."""

    row: Step
    output: Payload
    reads: tuple[str, ...]
    is_undo: bool


def context(portrait: Portrait, request: HttpRequest) -> Mapping[str, Any]:
    """Return one page of attempts: ``?path=`` and ``?only=failed`` narrow them.

    Pages are counted from 1, the newest.
    """
    path, only = request.GET.get("path", "").strip(), request.GET.get("only", "")
    rows = queries.steps_of(portrait.row.pk, using=portrait.using)
    if path:
        # A node of a graph has no indices, so it leads to all rounds and items.
        places = rows.annotate(place=Template("path"))
        rows = places.filter(Q(path__startswith=path) | Q(place__startswith=path))
    if only == "failed":
        rows = rows.exclude(status__in=[StepStatus.COMPLETED, StepStatus.SNOOZED])
    number = _number(request.GET.get("page"))
    start = (number - 1) * PER_PAGE
    # The ids first: otherwise the outputs of all would be measured to sort them.
    newest_first = rows.order_by("-started_at", "-sequence", "-attempt")
    ids = list(newest_first.values_list("pk", flat=True)[start : start + PER_PAGE + 1])
    page = rows.filter(pk__in=ids[:PER_PAGE])
    workflow = registry.find(portrait.row.workflow)
    graph = workflow.definition if workflow else None
    return {
        "attempts": [
            _attempt(row, graph)
            for row in with_payloads(page, "output", most=MOST_JSON)
        ],
        "path": path,
        "only": only,
        "later": number - 1 if number > 1 else None,
        "earlier": number + 1 if len(ids) > PER_PAGE else None,
    }


def _number(text: str | None) -> int:
    is_number = text is not None and text.isascii() and text.isdigit()
    return min(max(int(text or 1), 1), LAST_PAGE) if is_number else 1


def _attempt(row: Step, graph: Graph | None) -> Attempt:
    return Attempt(
        row=row,
        output=payload_of(row, "output"),
        reads=_reads(row, graph),
        is_undo=row.kind == StepKind.COMPENSATION,
    )


def _reads(row: Step, graph: Graph | None) -> tuple[str, ...]:
    node = graph.find(row.path) if graph else None
    if not isinstance(node, StepNode):
        return ()
    is_undo = row.kind == StepKind.COMPENSATION
    function = node.undo.function if is_undo and node.undo else node.function
    if function is None:
        return ()
    return tuple(name for name in parameters_of(function).names if name not in _NO_KEYS)
