"""The tabs of the page of an execution. Each reads only what it shows, and is bounded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Count, Q
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from django_durable.admin.executions import pictures, steps
from django_durable.admin.executions.portrait import Portrait
from django_durable.admin.keyset import parse_id
from django_durable.admin.payloads import payload_of, with_payloads
from django_durable.models import Event, Execution, Log, Wait
from django_durable.store import answering, queries
from django_durable.types import ExecutionStatus, WaitStatus

Context = Mapping[str, Any]

MOST_ROWS = 100
MOST_LINES = 200
MOST_LANES = 20_000
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """One tab. ``build`` returns what its template needs; ``is_there`` may hide it."""

    slug: str
    label: Any
    build: Callable[[Portrait, HttpRequest], Context]
    is_there: Callable[[Portrait], bool] = lambda _portrait: True
    is_picture: bool = False

    @property
    def template(self) -> str:
        """The template of what is in it; pictures share one, and give ``picture``."""
        name = "picture" if self.is_picture else self.slug
        return f"admin/django_durable/execution/tab_{name}.html"


def _logs(portrait: Portrait, request: HttpRequest) -> Context:
    """Return the newest lines, or those before ``?before=``, oldest first."""
    lines = Log.objects.using(portrait.using).filter(execution=portrait.row.pk)
    level, step = request.GET.get("level", ""), request.GET.get("step", "").strip()
    if level in _LEVELS:
        lines = lines.filter(level__in=_LEVELS[_LEVELS.index(level) :])
    if step:
        lines = lines.filter(step__startswith=step)
    before = parse_id(request.GET.get("before"))
    if before:
        lines = lines.filter(pk__lt=before)
    found = list(lines.order_by("-pk")[: MOST_LINES + 1])
    return {
        "lines": found[:MOST_LINES][::-1],
        "older": found[MOST_LINES - 1].pk if len(found) > MOST_LINES else None,
        "level": level,
        "step": step,
        "before": before,
        "levels": _LEVELS,
    }


def _data(portrait: Portrait, request: HttpRequest) -> Context:
    """Return what it started with, and what became of it."""
    rows: Any = Execution.rows.using(portrait.using).filter(pk=portrait.row.pk)
    row = with_payloads(rows.only("pk"), "input", "data").get()
    return {
        "input": payload_of(row, "input"),
        "data": payload_of(row, "data"),
        "is_result": portrait.row.status == ExecutionStatus.COMPLETED,
    }


def _family(portrait: Portrait, request: HttpRequest) -> Context:
    """Return ancestors, children with theirs, and how the lanes fare."""
    row, using = portrait.row, portrait.using
    children = list(
        queries.executions(using=using, parent=row.pk)
        .defer("input", "data")
        .order_by("id")[: MOST_ROWS + 1]
    )
    below = list(
        Execution.objects.using(using)
        .filter(parent__in=[child.pk for child in children])
        .defer("input", "data")
        .order_by("id")[:MOST_ROWS]
    )
    grandchildren: dict[Any, list[Execution]] = {}
    for one in below:
        grandchildren.setdefault(one.parent_id, []).append(one)
    lanes = queries.lanes_of(row.pk, using=using)
    counts = (
        Execution.rows.using(using)
        .filter(pk__in=lanes.values("pk")[:MOST_LANES])
        .order_by("status")
        .values_list("status")
        .annotate(count=Count("pk"))
    )
    unfinished = lanes.exclude(status=ExecutionStatus.COMPLETED).defer("input", "data")
    return {
        "children": [
            (child, grandchildren.get(child.pk, [])) for child in children[:MOST_ROWS]
        ],
        "has_more_children": len(children) > MOST_ROWS,
        "lane_counts": list(counts),
        "lanes": list(unfinished[:MOST_ROWS]),
        "most": MOST_ROWS,
    }


def _events(portrait: Portrait, request: HttpRequest) -> Context:
    """Return what is waited for, what people are asked, and what was sent."""
    row, using = portrait.row, portrait.using
    waits = Wait.objects.using(using).filter(execution=row.pk, status=WaitStatus.OPEN)
    # Who answered is not joined, for users may live in another database.
    asked = queries.inputs_of(row.pk, using=using)
    inputs = list(
        with_payloads(asked, "answer", "metadata").order_by("-id")[: MOST_ROWS + 1]
    )
    sent = Event.objects.using(using).filter(execution=row.pk)
    events = list(with_payloads(sent, "payload").order_by("-id")[: MOST_ROWS + 1])
    return {
        "waits": list(waits.order_by("id")[:MOST_ROWS]),
        "inputs": [
            {
                "row": one,
                "answer": payload_of(one, "answer"),
                "metadata": payload_of(one, "metadata"),
                "whom": answering.who_may_answer(one).removeprefix("it is for "),
            }
            for one in inputs[:MOST_ROWS]
        ],
        "events": [
            {"row": one, "payload": payload_of(one, "payload")}
            for one in events[:MOST_ROWS]
        ],
        "has_more": max(len(inputs), len(events)) > MOST_ROWS,
        "most": MOST_ROWS,
    }


def _history(portrait: Portrait, request: HttpRequest) -> Context:
    """Return who did what through the admin, latest first."""
    kind = ContentType.objects.get_for_model(Execution)
    entries = LogEntry.objects.filter(
        Q(object_id=str(portrait.row.pk)), content_type=kind
    )
    return {
        "entries": entries.select_related("user").order_by("-action_time")[:MOST_ROWS]
    }


TABS: tuple[Tab, ...] = (
    Tab(
        slug="graph",
        label=_("Graph"),
        build=pictures.graph,
        is_there=pictures.has_graph,
        is_picture=True,
    ),
    Tab(
        slug="timeline",
        label=_("Timeline"),
        build=pictures.timeline,
        is_picture=True,
    ),
    Tab(slug="steps", label=_("Steps"), build=steps.context),
    Tab(
        slug="logs", label=_("Logs"), build=_logs, is_there=lambda found: found.has_logs
    ),
    Tab(slug="data", label=_("Data"), build=_data),
    Tab(
        slug="family",
        label=_("Family"),
        build=_family,
        is_there=lambda found: found.has_relatives,
    ),
    Tab(
        slug="events",
        label=_("Events and inputs"),
        build=_events,
        is_there=lambda found: found.has_events,
    ),
    Tab(slug="history", label=_("History"), build=_history),
)


def tab_of(portrait: Portrait, request: HttpRequest) -> tuple[Tab, list[Tab]]:
    """Return the tab that is open, the first one unless told, and all there are."""
    there = [tab for tab in TABS if tab.is_there(portrait)]
    wanted = request.GET.get("tab")
    return next((tab for tab in TABS if tab.slug == wanted), there[0]), there
