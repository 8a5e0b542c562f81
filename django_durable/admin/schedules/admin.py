"""Schedules: the list, and the addresses of their pages."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import OuterRef, QuerySet, Subquery, Value
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from django_durable import cron
from django_durable.admin import badges, live, moments
from django_durable.admin.base import DurableAdmin
from django_durable.admin.executions import filters as execution_filters
from django_durable.admin.keyset import LiveChangeList, id_in_address
from django_durable.admin.permissions import APP, schedule_rights_of
from django_durable.admin.schedules import acting, bulk, filters, page
from django_durable.models import Execution, Schedule

_REGION = "admin/django_durable/schedule/list_region.html"


class ScheduleAdmin(DurableAdmin):
    """When executions start by themselves, whether they do, and what came of it."""

    list_display = ("title", "switch", "when", "next", "last")
    list_display_links = None
    list_filter = (
        execution_filters.InstanceFilter,
        filters.StateFilter,
        filters.OriginFilter,
        filters.WorkflowFilter,
    )
    search_fields = ("name", "workflow", "cron", "last_error")
    ordering = ("name",)
    sortable_by = ("title", "next", "last")
    actions = bulk.actions()
    change_list_template = "admin/django_durable/schedule/change_list.html"

    class Media:
        css = {"all": ("django_durable/watching.css",)}

    # --- Who may ----------------------------------------------------------------------

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let those in who may see schedules."""
        return schedule_rights_of(request.user).view

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Offer to add one."""
        return schedule_rights_of(request.user).add

    def has_change_schedules_permission(self, request: HttpRequest) -> bool:
        """Offer what changes many."""
        return schedule_rights_of(request.user).change

    # --- Pages ------------------------------------------------------------------------

    def shared_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return what every template may use; the rights are those about schedules."""
        rights = schedule_rights_of(request.user)
        return super().shared_context(request) | {"rights": rights}

    def get_urls(self) -> list[URLPattern]:
        """Return the addresses, ours before those of every model."""
        wrap = self.admin_site.admin_view
        ours = [
            path(
                "<uuid:id_>/do/<slug:name>/",
                wrap(self.act_view),
                name=f"{APP}_schedule_act",
            ),
            path(
                "<uuid:id_>/stored/",
                wrap(self.stored_view),
                name=f"{APP}_schedule_stored",
            ),
        ]
        return [*ours, *super().get_urls()]

    def act_view(self, request: HttpRequest, id_: UUID, name: str) -> HttpResponse:
        """Do something to a schedule."""
        return acting.view(self, request, id_, name)

    def stored_view(self, request: HttpRequest, id_: UUID) -> HttpResponse:
        """Show all of the input of a schedule."""
        return page.stored_view(self, request, id_)

    def add_view(
        self,
        request: HttpRequest,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Make a schedule."""
        return acting.add_view(self, request)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the page of a schedule."""
        return page.view(self, request, id_in_address(object_id))

    def delete_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Delete a schedule."""
        return acting.view(self, request, id_in_address(object_id), "delete")

    def history_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the page, which holds the history."""
        place = self.place(request)
        return HttpResponseRedirect(
            place.url("schedule_change", id_in_address(object_id))
        )

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list, or only its region."""
        shared = {
            **self.shared_context(request),
            "title": _("Schedules"),
            "live_state": live.SLOW,
        }
        response = super().changelist_view(request, {**shared, **(extra_context or {})})
        if live.wants_region(request) and isinstance(response, TemplateResponse):
            return live.region_response(request, _REGION, response.context_data or {})
        return response

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list whose region may be asked for."""
        return LiveChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Schedule]:
        """Return schedules without inputs, each with what its row shows besides."""
        rows: QuerySet[Schedule] = super().get_queryset(request)
        last = Execution.objects.using(rows.db).filter(pk=OuterRef("last_execution"))
        return rows.defer("input").annotate(
            last_status=Subquery(last.values("status")[:1]),
            # A column does not know who looks at it.
            may_change=Value(schedule_rights_of(request.user).change),
        )

    # --- Columns ----------------------------------------------------------------------

    @admin.display(description=_("schedule"), ordering="name")
    def title(self, row: Schedule) -> SafeString:
        """Show the name, what it starts, and what is wrong with it."""
        return format_html(
            '<a class="durable-workflow" href="{}">{}</a>'
            '<span class="durable-second">{}{}</span>{}',
            self.place_of(row).url("schedule_change", row.pk),
            row.name,
            _("starts %(workflow)s") % {"workflow": row.workflow},
            format_html(", {}", _("in the code")) if row.is_code else "",
            _rendered("trouble", row),
        )

    @admin.display(description=_("enabled"))
    def switch(self, row: Schedule) -> SafeString:
        """Show whether it fires, with a button to change that for those who may."""
        return _rendered("switch", row, place=self.place_of(row))

    @admin.display(description=_("fires"))
    def when(self, row: Schedule) -> SafeString:
        """Show when it fires, in words and as it is written."""
        return format_html(
            '{}<span class="durable-second"><code class="durable-path">{}</code> {}</span>',
            cron.describe(row.cron),
            row.cron,
            row.timezone,
        )

    @admin.display(description=_("next"), ordering="next_fire_at")
    def next(self, row: Schedule) -> SafeString:
        """Show when it fires next."""
        return moments.ago(row.next_fire_at) if row.enabled else moments.NOTHING

    @admin.display(description=_("last"), ordering="last_fire_at")
    def last(self, row: Schedule) -> SafeString:
        """Show how the last execution fared, and when it was due."""
        status: str | None = getattr(row, "last_status", None)
        if status is None:
            return moments.ago(row.last_fire_at)
        is_fired = row.last_fire_at is not None
        at = moments.ago(row.last_fire_at) if is_fired else _("triggered")
        return format_html("{} {}", badges.badge(status), at)


def _rendered(name: str, row: Schedule, **context: Any) -> SafeString:
    template = f"admin/django_durable/schedule/{name}.html"
    return render_to_string(template, {"schedule": row, **context})
