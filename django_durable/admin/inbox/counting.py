"""How many questions wait for the reader, beside the entry in the list of the app."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.http import HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_durable.admin.inbox.questions import MOST_COUNTED
from django_durable.admin.permissions import APP
from django_durable.console.words import up_to


def waiting(count: int) -> str:
    """Say how many questions name the reader, or a group of theirs."""
    if not count:
        return _("Nothing waits for you by name or group")
    said = ngettext(
        "%(count)s question waits for you", "%(count)s questions wait for you", count
    )
    return said % {"count": up_to(count, MOST_COUNTED)}


def badge(count: int) -> SafeString:
    """Return a count for eyes and for ears."""
    return format_html(
        '<span class="durable-count" title="{0}"><span aria-hidden="true">{1}</span>'
        '<span class="visually-hidden">({0})</span></span>',
        waiting(count),
        up_to(count, MOST_COUNTED),
    )


def count_in(response: HttpResponse, count: int) -> None:
    """Put the count behind the name of the inbox, in the list of apps beside a page."""
    context: Any = getattr(response, "context_data", None) or {}
    mark(context.get("available_apps", ()), count)


def mark(apps: Iterable[dict[str, Any]], count: int) -> None:
    """Put the count behind the name of the inbox in a list of apps, as the admin has it."""
    ours = (model for app in apps if app["app_label"] == APP for model in app["models"])
    for model in ours:
        if model["object_name"] == "InputRequest" and count:
            model["name"] = format_html("{} {}", model["name"], badge(count))
