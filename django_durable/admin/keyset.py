"""A list in pages that begin after a row, so that no page costs more than the first.

Nothing is counted beyond ``MOST_SELECTED`` rows, which is also the most that an action
takes on at once. Ordered by id, newest first.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import Http404, HttpRequest

from django_durable.admin import instances, live

AFTER, BEFORE = "after", "before"

MOST_SELECTED = 500
"""Rows that one action takes on at once, when all that match are selected."""


class LiveChangeList(ChangeList):
    """Django's list, in whose address there are parameters that are no filters."""

    others: tuple[str, ...] = (live.PARAMETER,)

    def get_queryset(
        self, request: HttpRequest, exclude_parameters: Any = None
    ) -> QuerySet[Any]:
        """Return all that match, after taking those parameters out."""
        ours = list(self.others)
        if not instances.are_several():
            ours.append(instances.PARAMETER)
        for name in ours:
            self.params.pop(name, None)
            self.filter_params.pop(name, None)
        return super().get_queryset(request, exclude_parameters)


class KeysetChangeList(LiveChangeList):
    """Django's list, turned by ``?after=<id>`` and ``?before=<id>``."""

    others = (AFTER, BEFORE, live.PARAMETER)

    newer_url: str | None = None
    older_url: str | None = None
    is_first_page: bool = True

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """Return the one order there is."""
        return ["-pk"]

    def get_results(self, request: HttpRequest) -> None:
        """Read one page: the ids that match first, for a search may have to look long."""
        after = parse_id(request.GET.get(AFTER))
        before = None if after else parse_id(request.GET.get(BEFORE))
        size = self.list_per_page
        ids = self._ids(after, before)
        if before and len(ids) <= size:
            # The first page is always full.
            before, ids = None, self._ids(None, None)
        has_more, on_page = len(ids) > size, ids[:size]
        rows = self.root_queryset.filter(pk__in=on_page)
        self.result_list = list(rows.order_by("-pk"))
        self.is_first_page = not (after or before)
        self._turn(has_newer=has_more if before else bool(after))
        if self.result_list and (before or has_more):
            self.older_url = self.get_query_string({AFTER: self.result_list[-1].pk})
        # Only from the first page can all that match be selected.
        self.result_count = len(ids) if self.is_first_page else len(on_page)
        self.full_result_count = self.result_count
        self.show_full_result_count = False
        self.show_admin_actions = True
        self.can_show_all = False
        self.multi_page = bool(self.newer_url or self.older_url)
        self.paginator = None

    def _ids(self, after: UUID | None, before: UUID | None) -> list[UUID]:
        """Return what is on a page, and at least one more if there is another page."""
        found = self.queryset.values_list("pk", flat=True)
        if after:
            return list(found.filter(pk__lt=after)[: self.list_per_page + 1])
        if before:
            older_first = found.filter(pk__gt=before).order_by("pk")
            return list(older_first[: self.list_per_page + 1])
        return list(found[:MOST_SELECTED])

    def _turn(self, *, has_newer: bool) -> None:
        if has_newer:
            rows = self.result_list
            first = {BEFORE: rows[0].pk} if rows else {}
            self.newer_url = self.get_query_string(first)


def parse_id(text: str | None) -> UUID | None:
    """Return the id that a parameter holds, or ``None`` when it holds none."""
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def id_in_address(text: str) -> UUID:
    """Return the id that an address holds, or raise ``Http404``."""
    found = parse_id(text)
    if found is None:
        raise Http404(f"{text!r} is no id.")
    return found
