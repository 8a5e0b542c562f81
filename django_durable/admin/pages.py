"""Pages in the list of the app that show no table of their own.

The admin builds that list from models. A page brings one that no migration knows,
because it is kept out of the registry of models, as that of ``MigrationRecorder`` is.
"""

from __future__ import annotations

from typing import Any

from django.apps.registry import Apps
from django.contrib import admin
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.functional import Promise
from django.utils.text import format_lazy

from django_durable.admin.base import DurableAdmin
from django_durable.admin.permissions import APP, rights_of


def page(
    name: str, label: str | Promise, *, comes_first: bool = False
) -> type[models.Model]:
    """Return what stands for a page in the list: register a ``PageAdmin`` for it.

    Its address is ``…/django_durable/<name>/``, its view is named
    ``admin:django_durable_<name>_changelist``.
    """
    # The admin sorts the list by these names. A blank sorts before every letter, in any
    # language, and HTML does not show it.
    shown = format_lazy(" {}", label) if comes_first else label
    options = {
        "app_label": APP,
        "apps": Apps(),
        "managed": False,
        "default_permissions": (),
        "verbose_name": label,
        "verbose_name_plural": shown,
    }
    return type(
        name.title(),
        (models.Model,),
        {"__module__": __name__, "Meta": type("Meta", (), options)},
    )


class PageAdmin(DurableAdmin):
    """A page for those who may see executions, unless it says otherwise.

    Give it a ``template`` and ``get_page_context``, and override ``may_view``.
    """

    template: str

    def may_view(self, request: HttpRequest) -> bool:
        """Say whether the page is there for this user."""
        return rights_of(request.user).view

    def get_page_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return what the template needs besides what every page has."""
        raise NotImplementedError

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Let the page be in the list of the app."""
        return self.may_view(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let the page be opened."""
        return self.may_view(request)

    def get_urls(self) -> list[URLPattern]:
        """Return the one address of the page; it is where a list would be."""
        view = self.admin_site.admin_view(self.page_view)
        return [path("", view, name=f"{APP}_{self.opts.model_name}_changelist")]

    def page_view(self, request: HttpRequest) -> HttpResponse:
        """Show the page."""
        self.require(self.may_view(request))
        return self.render(
            request,
            self.template,
            {"title": self.opts.verbose_name, **self.get_page_context(request)},
        )


def register(stand_in: type[models.Model], page_admin: type[PageAdmin]) -> None:
    """Put a page on the site that everything else is on."""
    admin.site.register(stand_in, page_admin)
