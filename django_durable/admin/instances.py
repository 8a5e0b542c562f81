"""Which instance a page is about: that of ``?durable=``, or the default one."""

from __future__ import annotations

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


def url(durable: str, view: str, *args: Any, **query: Any) -> str:
    """Return the address of a view of the admin, ``execution_changelist`` for example.

    ``query`` may hold what is ``None``, which is left out.
    """
    given = {key: value for key, value in query.items() if value is not None}
    if durable != DEFAULT_INSTANCE:
        given[PARAMETER] = durable
    found = reverse(f"admin:django_durable_{view}", args=args)
    return f"{found}?{urlencode(given, doseq=True)}" if given else found
