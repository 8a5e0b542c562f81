"""Executions: the addresses of their pages."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path

from django_durable.admin.executions import acting, page, stored
from django_durable.admin.executions.listing import ExecutionList
from django_durable.admin.keyset import id_in_address
from django_durable.admin.permissions import APP


class ExecutionAdmin(ExecutionList):
    """The list, the page of each, and what can be done."""

    def get_urls(self) -> list[URLPattern]:
        """Return the addresses, ours before those of every model."""
        wrap = self.admin_site.admin_view
        ours = [
            path(
                "<uuid:id_>/do/<slug:name>/",
                wrap(self.act_view),
                name=f"{APP}_execution_act",
            ),
            path(
                "<uuid:id_>/stored/<slug:part>/",
                wrap(self.stored_view),
                name=f"{APP}_execution_stored",
            ),
            path(
                "<uuid:id_>/stored/<slug:part>/<uuid:of>/",
                wrap(self.stored_view),
                name=f"{APP}_execution_stored",
            ),
        ]
        return [*ours, *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the page of an execution."""
        return page.view(self, request, id_in_address(object_id))

    def history_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the tab that holds the history."""
        place = self.place(request)
        return HttpResponseRedirect(
            place.url("execution_change", id_in_address(object_id), tab="history")
        )

    def act_view(self, request: HttpRequest, id_: UUID, name: str) -> HttpResponse:
        """Do something to an execution."""
        return acting.view(self, request, id_, name)

    def stored_view(
        self, request: HttpRequest, id_: UUID, part: str, of: UUID | None = None
    ) -> HttpResponse:
        """Show all of a payload."""
        return stored.view(self, request, id_, part, of)
