"""The list of executions: why each does not move, and what to do with many of them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from django_durable import clock
from django_durable.admin import badges, display, live, moments
from django_durable.admin.base import DurableAdmin
from django_durable.admin.executions import bulk, filters, searching
from django_durable.admin.executions.facts import facts_of_row
from django_durable.admin.instances import Place
from django_durable.admin.keyset import KeysetChangeList
from django_durable.admin.permissions import rights_of
from django_durable.admin.sentences import Name, sentence
from django_durable.console.words import duration
from django_durable.models import Execution

_MOST_TAGS = 4


class ExecutionList(DurableAdmin):
    """What the list shows of each row; it costs one query, however many there are."""

    list_display = (
        "name",
        "state",
        "doing",
        "started",
    )
    list_display_links = None
    list_filter = (
        filters.InstanceFilter,
        filters.StatusFilter,
        filters.WorkflowFilter,
        filters.QueueFilter,
        filters.CreatedFilter,
        filters.FailedStepsFilter,
        filters.TagFilter,
    )
    search_fields = ("id",)
    search_help_text = _(
        "An id or its beginning, a key, a tag, a word of an error. Narrower: "
        'status:failed workflow:order tag:vip error:"timed out" step:ship waiting:finance '
        "since:2h until:2030-03-01"
    )
    sortable_by = ()
    actions = bulk.actions()
    change_list_template = "admin/django_durable/execution/change_list.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Execution]:
        """Return executions without their payloads; lanes are left out."""
        rows: QuerySet[Execution] = super().get_queryset(request)
        unseen = ("input", "data", "parent__input", "parent__data", "parent__error")
        return rows.select_related("parent").defer(*unseen)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list that is turned by id."""
        return KeysetChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[Any, bool]:
        """Narrow the list to what was typed in."""
        return searching.search(queryset, search_term), False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let those in who may see executions."""
        return rights_of(request.user).view

    def has_operate_executions_permission(self, request: HttpRequest) -> bool:
        """Offer what moves executions."""
        return rights_of(request.user).operate

    def has_delete_executions_permission(self, request: HttpRequest) -> bool:
        """Offer to delete."""
        return rights_of(request.user).delete

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list, or only its region."""
        shared = {
            **self.shared_context(request),
            "title": _("Executions"),
            **(extra_context or {}),
        }
        response = super().changelist_view(request, shared)
        if not isinstance(response, TemplateResponse) or request.method == "POST":
            return response
        context: dict[str, Any] = dict(response.context_data or {})
        context["live_state"] = _live_state(context.get("cl"))
        if live.wants_region(request):
            region = "admin/django_durable/execution/list_region.html"
            return live.region_response(request, region, context)
        response.context_data = context
        return response

    # --- Columns ----------------------------------------------------------------------

    @admin.display(description=_("execution"))
    def name(self, row: Execution) -> SafeString:
        """Show workflow and tags, id and parent."""
        place = self.place_of(row)
        return format_html(
            '<a class="durable-workflow" href="{}">{}</a>{}<span class="durable-second">'
            '<span class="durable-id" title="{}">{}</span>{}</span>',
            place.url("execution_change", row.pk),
            row.workflow,
            _tags(row, place),
            row.pk,
            display.short(row.pk),
            _parent(row, place),
        )

    @admin.display(description=_("status"))
    def state(self, row: Execution) -> SafeString:
        """Show the status."""
        return badges.badge(row.status)

    @admin.display(description=_("waiting for"))
    def doing(self, row: Execution) -> SafeString:
        """Show in one sentence why it does not move, or what it does, and where."""
        said = sentence(facts_of_row(row), now=clock.now())
        html = display.said(said, self.place_of(row))
        if not row.current_step or Name(row.current_step) in said:
            return html
        return format_html(
            '{}<span class="durable-second"><code class="durable-path">{}</code></span>',
            html,
            row.current_step,
        )

    @admin.display(description=_("started"))
    def started(self, row: Execution) -> SafeString:
        """Show when it first ran, and how long it took, or takes so far."""
        if row.started_at is None:
            return moments.NOTHING
        took = moments.since(row.started_at)
        return format_html(
            '{}<span class="durable-second">{}</span>',
            moments.ago(row.started_at),
            took if row.duration is None else duration(row.duration),
        )


def _parent(row: Execution, place: Place) -> SafeString | str:
    if row.parent is None:
        return ""
    link = display.execution_link(row.parent.pk, row.parent.workflow, place=place)
    return format_html(" {} {}", _("child of"), link)


def _tags(row: Execution, place: Place) -> SafeString:
    tags = [str(tag) for tag in row.tags[:_MOST_TAGS]]
    return format_html_join(
        "",
        ' <a class="durable-tag" href="{}">{}</a>',
        ((place.url("execution_changelist", tag=tag), tag) for tag in tags),
    )


def _live_state(changelist: Any) -> str:
    """Return ``on`` while something may change, ``slow`` when only new ones may come."""
    if changelist is None:
        return "ended"
    if any(not row.is_final for row in changelist.result_list):
        return "on"
    return "slow" if changelist.is_first_page else "ended"
