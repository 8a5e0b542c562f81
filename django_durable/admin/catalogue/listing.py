"""All workflows: those of this code, and those that only the database knows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.admin.utils import quote, unquote

from django_durable.admin.instances import Place
from django_durable.definition import registry
from django_durable.definition.graph import Graph
from django_durable.models import Schedule
from django_durable.store import catalogue
from django_durable.store.bounded import Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A workflow in the catalogue. ``graph`` is ``None`` where its code is not deployed."""

    name: str
    url: str
    graph: Graph | None
    open: Count
    failed: Count
    schedules: Sequence[Schedule]

    @property
    def segment(self) -> str:
        """The name as it stands in an address."""
        return segment_of(self.name)


def segment_of(name: str) -> str:
    """Return a name as it stands in an address; ``unquote`` takes it back.

    It is quoted only where it has to be.
    """
    is_plain = "/" not in name and unquote(name) == name
    return name if is_plain else str(quote(name))


def url_of(name: str, place: Place) -> str:
    """Return the address of the page of a workflow, whatever it is called."""
    return place.url("workflow_change", segment_of(name))


def listed(place: Place, using: str, *, shows_schedules: bool) -> list[Listed]:
    """Return all workflows by name: a constant number of statements."""
    opened = catalogue.open_by_workflow(using=using)
    failed = catalogue.failed_by_workflow(using=using)
    by_workflow: dict[str, list[Schedule]] = defaultdict(list)
    for schedule in catalogue.schedules_of(using=using):
        by_workflow[schedule.workflow].append(schedule)
    names = {*registry.names(), *opened.counts, *failed.counts, *by_workflow}
    return [
        Listed(
            name=name,
            url=url_of(name, place),
            graph=graph_of(name),
            open=opened.of(name),
            failed=failed.of(name),
            schedules=by_workflow.get(name, ()) if shows_schedules else (),
        )
        for name in sorted(names)
    ]


def graph_of(name: str) -> Graph | None:
    """Return what a workflow is, as far as this code has it."""
    found: Any = registry.find(name)
    return found.definition if found else None
