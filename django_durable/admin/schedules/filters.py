"""The filters beside the list of schedules."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from django_durable.models.schedule import ScheduleQuerySet


class StateFilter(SimpleListFilter):
    """Whether it fires, and whether something is wrong."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the states."""
        return [
            ("enabled", _("enabled")),
            ("disabled", _("disabled")),
            ("trouble", _("in trouble")),
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Any]:
        """Narrow the list."""
        rows: ScheduleQuerySet = queryset
        match self.value():
            case "enabled":
                return rows.filter(enabled=True)
            case "disabled":
                return rows.filter(enabled=False)
            case "trouble":
                return rows.in_trouble()
            case _:
                return rows


class OriginFilter(SimpleListFilter):
    """Where it was made."""

    title = _("origin")
    parameter_name = "origin"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the two places."""
        return [("code", _("in the code")), ("database", _("by hand"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Any]:
        """Narrow the list."""
        rows: QuerySet[Any] = queryset
        if self.value() in ("code", "database"):
            return rows.filter(code__isnull=self.value() == "database")
        return rows


class WorkflowFilter(SimpleListFilter):
    """The workflows that have schedules."""

    title = _("workflow")
    parameter_name = "workflow"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return their names."""
        rows = model_admin.get_queryset(request).order_by("workflow")
        names = rows.values_list("workflow", flat=True).distinct()[:100]
        return [(name, name) for name in names]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Any]:
        """Narrow the list."""
        rows: QuerySet[Any] = queryset
        return rows.filter(workflow=self.value()) if self.value() else rows
