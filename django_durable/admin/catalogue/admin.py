"""Workflows: the addresses of their pages."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _

from django_durable.admin import instances, live
from django_durable.admin.catalogue import page, starting
from django_durable.admin.catalogue.listing import listed
from django_durable.admin.pages import PageAdmin
from django_durable.admin.pages import page as stand_in
from django_durable.admin.permissions import APP

Catalogue = stand_in("workflow", _("workflows"))


class CatalogueAdmin(PageAdmin):
    """The catalogue, a page for each workflow, and one on which it is started."""

    template = "admin/django_durable/catalogue/list.html"
    region = "admin/django_durable/catalogue/list_region.html"

    def get_urls(self) -> list[URLPattern]:
        """Return the addresses. A name is quoted, for it may hold anything."""
        wrap = self.admin_site.admin_view
        return [
            *super().get_urls(),
            path(
                "<str:segment>/",
                wrap(self.workflow_view),
                name=f"{APP}_workflow_change",
            ),
            path(
                "<str:segment>/start/",
                wrap(self.start_view),
                name=f"{APP}_workflow_start",
            ),
        ]

    def page_view(self, request: HttpRequest) -> HttpResponse:
        """Show the catalogue, or only its region."""
        self.require(self.may_view(request))
        return self.respond(
            request, self.template, self.region, self.get_page_context(request)
        )

    def get_page_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return the workflows."""
        settings = instances.instance_of(request)
        workflows = listed(
            self.place(request),
            settings.database,
            shows_schedules=request.user.has_perm(f"{APP}.view_schedule"),
        )
        return {
            "title": _("Workflows"),
            "deployed": [one for one in workflows if one.graph],
            "missing": [one for one in workflows if not one.graph],
            "live_state": live.SLOW,
        }

    def workflow_view(self, request: HttpRequest, segment: str) -> HttpResponse:
        """Show a workflow."""
        self.require(self.may_view(request))
        return page.view(self, request, unquote(segment))

    def start_view(self, request: HttpRequest, segment: str) -> HttpResponse:
        """Start a workflow."""
        return starting.view(self, request, unquote(segment))
