"""The list of questions: mine first, of them what times out soonest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.admin.views.main import PAGE_VAR, ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _

from django_durable import clock
from django_durable.admin import live
from django_durable.admin.base import DurableAdmin
from django_durable.admin.executions.filters import InstanceFilter
from django_durable.admin.inbox import filters, questions
from django_durable.admin.inbox.counting import count_in
from django_durable.admin.keyset import KeysetChangeList
from django_durable.admin.payloads import payload_of
from django_durable.admin.readable import Entry, briefly
from django_durable.models import InputRequest
from django_durable.store import answering, inputs

REGION = "admin/django_durable/inbox/list_region.html"

LAST_PAGE = 200
_SOON, _TODAY = timedelta(hours=1), timedelta(hours=24)
_MOST_METADATA = 4_000
_MOST_PROMPT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A question as the list shows it. ``urgency`` is ``soon``, ``today`` or empty."""

    row: InputRequest
    text: str
    kind: str
    whom: SafeString
    entries: list[Entry]
    urgency: str
    answerer: str
    access: questions.Access


def card_of(row: InputRequest, user: Any, now: datetime) -> Card:
    """Return what a user sees of a question in the list."""
    access = questions.access_of(user, row)
    metadata = payload_of(row, "metadata").tree if access.sees_metadata else None
    return Card(
        row=row,
        text=Truncator(row.prompt.strip() or row.name).chars(_MOST_PROMPT),
        kind=questions.kind_of(row),
        whom=questions.whom(row),
        entries=list(briefly(metadata)),
        urgency=_urgency(row.until, now),
        answerer=inputs.who_answered(row),
        access=access,
    )


def _urgency(until: datetime | None, now: datetime) -> str:
    if until is None or until - now > _TODAY:
        return ""
    return "soon" if until - now <= _SOON else "today"


class QuestionList(KeysetChangeList):
    """A list in the order of urgency, which no id follows: it is turned by number."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """Return the order to answer in, or for what is closed that of asking."""
        if filters.is_of_closed(request):
            return ["-pk"]
        return list(answering.soonest())

    def get_results(self, request: HttpRequest) -> None:
        """Read one page: ids first, so that no more rows than these are read."""
        size, page = self.list_per_page, min(max(self.page_num, 1), LAST_PAGE)
        start = (page - 1) * size
        # One more, to know whether there is another page.
        found = list(
            self.queryset.values_list("pk", flat=True)[start : start + size + 1]
        )
        rows = self.root_queryset.filter(pk__in=found[:size])
        self.result_list = sorted(rows, key=lambda row: found.index(row.pk))
        self.is_first_page = page == 1
        if page > 1:
            self.newer_url = self.get_query_string({PAGE_VAR: page - 1})
        if len(found) > size and page < LAST_PAGE:
            self.older_url = self.get_query_string({PAGE_VAR: page + 1})
        self.result_count = self.full_result_count = len(self.result_list)
        self.show_full_result_count = self.show_admin_actions = False
        self.can_show_all = False
        self.multi_page = bool(self.newer_url or self.older_url)
        self.paginator = None


class QuestionsAdmin(DurableAdmin):
    """The list of questions."""

    list_display = ("name",)
    list_display_links = None
    list_filter = (
        InstanceFilter,
        filters.ShowFilter,
        filters.TypeFilter,
        filters.WorkflowFilter,
    )
    search_fields = ("name", "prompt")
    search_help_text = _("Words of the question, or its name.")
    sortable_by = ()
    actions = None
    change_list_template = "admin/django_durable/inbox/change_list.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the questions that the user may see."""
        return questions.with_execution(questions.visible(request), _MOST_METADATA)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list that is turned by number."""
        return QuestionList

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list, or only its region."""
        shared = {
            **self.shared_context(request),
            "title": _("Inputs"),
            **(extra_context or {}),
        }
        response = super().changelist_view(request, shared)
        if not isinstance(response, TemplateResponse):
            return response
        context: dict[str, Any] = dict(response.context_data or {})
        context |= _contents(context["cl"], request)
        if live.wants_region(request):
            return live.region_response(request, REGION, context)
        response.context_data = context
        count_in(response, context["count_of_mine"])
        return response

    def render(
        self, request: HttpRequest, template: str, context: Mapping[str, Any]
    ) -> HttpResponse:
        """Return a page, with the count in the list of apps beside it."""
        response = super().render(request, template, context)
        count_in(response, questions.count_of_mine(request))
        return response


def _contents(changelist: Any, request: HttpRequest) -> dict[str, Any]:
    now, rows = clock.now(), changelist.result_list
    is_of_closed = filters.is_of_closed(request)
    return {
        "cards": [card_of(row, request.user, now) for row in rows],
        "count_of_mine": questions.count_of_mine(request),
        "is_of_closed": is_of_closed,
        "shown": filters.shown(request),
        "live_state": live.SLOW if is_of_closed or not rows else live.ON,
    }
