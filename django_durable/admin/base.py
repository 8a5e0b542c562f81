"""What all pages of the admin share: nothing is changed by hand, one frame around."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import Model, QuerySet
from django.forms import Script
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from django_durable.admin import live
from django_durable.admin.instances import Place, alias_of, are_several, instance_of
from django_durable.admin.keyset import parse_id
from django_durable.admin.permissions import rights_of

STYLE = "django_durable/admin.css"
SCRIPTS = ("django_durable/htmx-4.0.1.min.js", "django_durable/live.js")


class DurableAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Shows rows of an instance; what changes them are the functions of the package."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50

    class Media:
        css = {"all": (STYLE,)}
        js = tuple(Script(name, defer=True) for name in SCRIPTS)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows of the instance that the request is about."""
        rows: QuerySet[Any] = self.model._default_manager.using(
            instance_of(request).database
        )
        return rows

    def has_add_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        """Nothing is added by hand."""
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        """Nothing is changed by hand."""
        return False

    def has_delete_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        """Nothing is deleted by hand."""
        return False

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[Any], *where: Any, **options: Any
    ) -> HttpResponse | None:
        """Act on the rows that are marked; what is no id is refused, not looked for."""
        for marked in request.POST.getlist(ACTION_CHECKBOX_NAME):
            if parse_id(marked) is None:
                raise BadRequest(f"{marked!r} is no id of a row.")
        return super().response_action(request, queryset, *where, **options)

    def place(self, request: HttpRequest) -> Place:
        """Return where the links of a page lead to."""
        return Place(instance_of(request).alias, self.admin_site.name)

    def place_of(self, row: Model) -> Place:
        """Return where links about a row lead to."""
        return Place(alias_of(row), self.admin_site.name)

    def lookup_allowed(
        self, lookup: str, value: Any, request: HttpRequest | None = None
    ) -> bool:
        """Let a list be narrowed by its filters alone.

        Any column could be asked for in the address otherwise, payloads that the user
        may not see among them.
        """
        offered = self.get_list_filter(request) if request else self.list_filter
        names = {str(getattr(one, "parameter_name", one)) for one in offered}
        return lookup in names or lookup.partition("__")[0] in names

    @staticmethod
    def require(is_allowed: bool) -> None:
        """Raise ``PermissionDenied`` unless it is allowed."""
        if not is_allowed:
            raise PermissionDenied

    def shared_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return what every template of these pages may use, regions included."""
        if "%00" in request.META.get("QUERY_STRING", ""):
            # No database takes this character, and nobody means it.
            raise BadRequest("NUL in the query string")
        place = self.place(request)
        return {
            "opts": self.opts,
            "rights": rights_of(request.user),
            "place": place,
            "durable": place.durable,
            "has_instances": are_several(),
            "live_url": live.region_url(request),
        }

    def render(
        self, request: HttpRequest, template: str, context: Mapping[str, Any]
    ) -> HttpResponse:
        """Return a page in the frame of the admin."""
        request.current_app = self.admin_site.name
        shared = self.admin_site.each_context(request) | self.shared_context(request)
        return TemplateResponse(request, template, {**shared, **context})

    def respond(
        self,
        request: HttpRequest,
        template: str,
        region: str,
        context: Mapping[str, Any],
    ) -> HttpResponse:
        """Return a page, or only its region if that is what is asked for."""
        if live.wants_region(request):
            whole = {**self.shared_context(request), **context}
            return live.region_response(request, region, whole)
        return self.render(request, template, context)
