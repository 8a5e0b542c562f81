"""The drawings of an execution: how its nodes stand, and what it did when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from django_durable import clock
from django_durable.admin.executions.portrait import Portrait
from django_durable.definition import registry
from django_durable.drawing import Bar, graph_svg, outline, timeline_svg
from django_durable.store.standing import standing_of
from django_durable.store.timeline import history_of

ALL_TIME = "all"


def has_graph(portrait: Portrait) -> bool:
    """Say whether the code that runs here has the workflow."""
    return registry.find(portrait.row.workflow) is not None


def graph(portrait: Portrait, _request: HttpRequest) -> Mapping[str, Any]:
    """Return the graph of the workflow, each node of which leads to its steps."""
    row = portrait.row
    workflow = registry.find(row.workflow)
    if workflow is None:
        return {
            "picture": "",
            "note": _("The code that runs here has no such workflow."),
        }

    def href(path: str) -> str:
        return portrait.place.url("execution_change", row.pk, tab="steps", path=path)

    chart = workflow.graph()
    standing = standing_of(row, chart, using=portrait.using)
    return {
        "picture": graph_svg(chart, standing, href=href),
        "outline": outline(chart, standing, href=href),
        "outline_label": _("The same as a list"),
    }


def timeline(portrait: Portrait, request: HttpRequest) -> Mapping[str, Any]:
    """Return a bar for each stretch of time; ``?time=all`` cuts nothing out."""
    row, place = portrait.row, portrait.place
    shows_all = request.GET.get("time") == ALL_TIME

    def href(bar: Bar) -> str:
        return place.url("execution_change", row.pk, tab="steps", path=bar.path)

    history = history_of(row, using=portrait.using)
    other = None if shows_all else ALL_TIME
    return {
        "picture": timeline_svg(
            history, now=clock.now(), href=href, cuts_idle=not shows_all
        ),
        "other_view": place.url("execution_change", row.pk, tab="timeline", time=other),
        "other_label": _("Cut idle time") if shows_all else _("Show idle time in full"),
    }
