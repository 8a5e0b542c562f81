"""The page of one workflow: its graph, who stands where, its nodes, what is new."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse

from django_durable.admin import instances, live
from django_durable.admin.base import DurableAdmin
from django_durable.admin.catalogue.listing import segment_of
from django_durable.admin.catalogue.nodes import ANCHOR, is_place, rows_of
from django_durable.admin.permissions import APP
from django_durable.conf import Settings
from django_durable.definition import registry
from django_durable.definition.charts import Chart
from django_durable.drawing import graph_svg
from django_durable.store import catalogue, standing

TEMPLATE = "admin/django_durable/catalogue/page.html"
REGION = "admin/django_durable/catalogue/page_region.html"

MOST_RECENT = 10
MOST_LIVE = 1_000
"""Open executions up to which the page keeps up with every one of their steps."""


def view(model_admin: DurableAdmin, request: HttpRequest, name: str) -> HttpResponse:
    """Show a workflow."""
    settings = instances.instance_of(request)
    using, workflow = settings.database, registry.find(name)
    opened = catalogue.open_by_workflow(using=using).of(name)
    failed = catalogue.failed_by_workflow(using=using).of(name)
    recent = catalogue.newest(name, most=MOST_RECENT, using=using)
    schedules = catalogue.schedules_of(name, using=using)
    if workflow is None and not (recent or schedules or opened.number or failed.number):
        raise Http404(f"There is no workflow {name!r}.")
    context = {
        "title": name,
        "workflow": name,
        "segment": segment_of(name),
        "is_deployed": workflow is not None,
        "open": opened,
        "failed": failed,
        "recent": recent,
        "newest": f"{catalogue.NEWEST:,}",
        "schedules": schedules if _sees_schedules(request) else [],
        "live_state": live.ON if 0 < opened.number <= MOST_LIVE else live.SLOW,
        **(_described(workflow, settings) if workflow else {}),
    }
    return model_admin.respond(request, TEMPLATE, REGION, context)


def _sees_schedules(request: HttpRequest) -> bool:
    return request.user.has_perm(f"{APP}.view_schedule")


def _described(workflow: Any, settings: Settings) -> dict[str, Any]:
    """Return what the code says of a workflow, and who stands where in it."""
    graph, chart = workflow.definition, workflow.graph()
    standing_of_all = standing.standing_of_open(chart, using=settings.database)
    return {
        "graph": graph,
        "form_name": getattr(graph.input_form, "__name__", ""),
        "about": inspect.cleandoc(workflow.__doc__ or ""),
        "module": f"{workflow.__module__}.{workflow.__qualname__}",
        "drawing": graph_svg(chart, standing_of_all, href=_leads_to(chart)),
        "nodes": rows_of(graph, chart, standing_of_all),
        "gone": standing_of_all.gone,
        "is_served": graph.queue in settings.queues,
    }


def _leads_to(chart: Chart) -> Callable[[str], str]:
    places = {node.path for node in chart.nodes if is_place(node)}
    return lambda path: f"#{ANCHOR}{path}" if path in places else ""
