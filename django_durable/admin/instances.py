"""Which instance a page is about (``?durable=``), and on which site it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Model
from django.http import Http404, HttpRequest
from django.urls import reverse
from django.utils.http import urlencode

from django_durable.conf import DEFAULT_INSTANCE, Settings, get_instances, get_settings

PARAMETER = "durable"


def instance_of(request: HttpRequest) -> Settings:
    """Return the settings of the instance that a request is about."""
    alias = request.GET.get(PARAMETER) or DEFAULT_INSTANCE
    if alias not in get_instances():
        raise Http404(f"settings.DURABLE has no instance {alias!r}.")
    return get_settings(alias)


def alias_of(row: Model) -> str:
    """Return the instance that a row was read from."""
    found = (
        alias
        for alias in get_instances()
        if get_settings(alias).database == row._state.db
    )
    return next(found, DEFAULT_INSTANCE)


def are_several() -> bool:
    """Say whether there is a choice."""
    return len(get_instances()) > 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where links lead to: pages about the instance ``durable``, on one admin site."""

    durable: str
    site: str

    def url(self, view: str, *args: Any, **query: Any) -> str:
        """Return the address of a view, ``execution_changelist`` for example.

        ``query`` may hold what is ``None``, which is left out.
        """
        given = {key: value for key, value in query.items() if value is not None}
        if self.durable != DEFAULT_INSTANCE:
            given[PARAMETER] = self.durable
        name = f"admin:django_durable_{view}"
        found = reverse(name, args=args, current_app=self.site)
        return f"{found}?{urlencode(given, doseq=True)}" if given else found
