"""A list in pages that begin after a row, so that no page costs more than the first.

Nothing is counted beyond ``MOST_SELECTED`` rows, which is also the most that an action
takes on at once. Ordered by id, newest first.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest

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
        """Read one page, and one row more to know whether there is another."""
        after = parse_id(request.GET.get(AFTER))
        before = None if after else parse_id(request.GET.get(BEFORE))
        size = self.list_per_page
        rows = self._rows(after, before, size + 1)
        has_more, rows = len(rows) > size, rows[:size]
        if before and not has_more:
            # The first page is always full.
            before, rows = None, self._rows(None, None, size + 1)
            has_more, rows = len(rows) > size, rows[:size]
        if before:
            rows.reverse()
        self._link(rows, has_newer=bool(after or before), has_older=bool(before))
        if has_more and not before:
            self.older_url = self.get_query_string({AFTER: rows[-1].pk})
        self.result_list = rows
        self.result_count = len(rows) if self.is_whole else self._count()
        self.show_full_result_count = False
        self.show_admin_actions = True
        self.full_result_count = None
        self.can_show_all = False
        self.multi_page = not self.is_whole
        self.paginator = None

    @property
    def is_whole(self) -> bool:
        """Whether one page holds all that match."""
        return self.newer_url is None and self.older_url is None

    def _rows(self, after: UUID | None, before: UUID | None, limit: int) -> list[Any]:
        found = self.queryset
        if after:
            found = found.filter(pk__lt=after)
        if before:
            found = found.filter(pk__gt=before).order_by("pk")
        return list(found[:limit])

    def _link(self, rows: list[Any], *, has_newer: bool, has_older: bool) -> None:
        self.is_first_page = not has_newer
        if has_newer:
            first = {BEFORE: rows[0].pk} if rows else {}
            self.newer_url = self.get_query_string(first)
        if has_older:
            self.older_url = self.get_query_string({AFTER: rows[-1].pk})

    def _count(self) -> int:
        """Count what matches, up to what an action takes on."""
        return len(self.queryset.values_list("pk", flat=True)[:MOST_SELECTED])


def parse_id(text: str | None) -> UUID | None:
    """Return the id that a parameter holds, or ``None`` when it holds none."""
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
