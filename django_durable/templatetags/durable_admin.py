"""What the templates of the admin say more than once: ``{% load durable_admin %}``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import django
from django import template
from django.template import Context
from django.utils.html import format_html
from django.utils.safestring import SafeString

from django_durable.admin import badges, display, moments
from django_durable.admin.instances import Place
from django_durable.admin.payloads import Payload
from django_durable.admin.sentences import Sentence
from django_durable.console import words
from django_durable.definition.durations import spelled

register = template.Library()

register.filter("ago", moments.ago)
register.filter("since", moments.since)
register.filter("until", moments.until)
register.filter("instant", moments.instant)
register.filter("icon", badges.icon)
register.filter("spelled", spelled)


@register.filter
def badge(status: str, label: str = "") -> SafeString:
    """Return a status as icon and word; ``label`` is another word for it."""
    return badges.badge(status, label)


@register.filter
def took(duration: timedelta | None) -> SafeString | str:
    """Return a duration in its two largest units."""
    return moments.NOTHING if duration is None else words.duration(duration)


@register.simple_tag(takes_context=True)
def said(context: Context, sentence: Sentence) -> SafeString:
    """Return a sentence as HTML."""
    return display.said(sentence, context["place"])


@register.simple_tag(takes_context=True)
def durable_url(context: Context, view: str, *args: Any, **query: Any) -> str:
    """Return the address of a page about the same instance."""
    place: Place = context["place"]
    return place.url(view, *args, **query)


@register.simple_tag(takes_context=True)
def execution(context: Context, id_: UUID, text: str = "") -> SafeString:
    """Return a link to an execution."""
    return display.execution_link(id_, text, place=context["place"])


@register.simple_tag(takes_context=True)
def live_region(context: Context, state: str, announce: str = "") -> SafeString:
    """Return the attributes that make an element a region (see ``admin.live``).

    Give the element an id of its own. ``state`` is ``on``, ``slow`` or ``ended``.
    ``announce`` is read to those who cannot see the page, whenever it changes.
    """
    return format_html(
        'data-live="{}" data-announce="{}" data-hx-get="{}" '
        'data-hx-trigger="durable:refresh" data-hx-swap="outerMorph"',
        state,
        announce,
        context["live_url"],
    )


@register.inclusion_tag("admin/django_durable/parts/payload.html", takes_context=True)
def payload(
    context: Context,
    stored: Payload,
    label: str,
    url: str = "",
    *,
    is_open: bool = True,
) -> Mapping[str, Any]:
    """Show a payload of a user, or a note to those who may not see it.

    ``url`` leads to all of it, where only the beginning is shown.
    """
    if not context["rights"].see_payloads:
        return {"label": label, "is_hidden": True}
    return {
        "label": label,
        "stored": stored,
        "shown": None if stored.is_large else display.shown(stored.tree),
        "url": url,
        "is_open": is_open,
    }


@register.inclusion_tag("admin/django_durable/parts/error.html", takes_context=True)
def error(
    context: Context,
    value: Mapping[str, Any] | None,
    *,
    is_open: bool = False,
    is_compact: bool = False,
) -> Mapping[str, Any]:
    """Show an error: type, message, the source that failed, and the trace.

    ``is_compact``: in one line, and the rest when it is opened.
    """
    traceback = str((value or {}).get("traceback") or "")
    return {
        "error": value,
        "source": display.failing_source(traceback),
        "lines": display.trace_lines(traceback) if traceback else [],
        "is_open": is_open,
        "is_compact": is_compact,
        "rights": context["rights"],
        "details": _details(value),
    }


def _details(value: Mapping[str, Any] | None) -> Payload | None:
    found = (value or {}).get("details")
    return Payload(found, len(display.pretty(found))) if found else None


@register.inclusion_tag(
    "admin/django_durable/parts/breadcrumbs.html", takes_context=True
)
def breadcrumbs(context: Context, *crumbs: Any) -> Mapping[str, Any]:
    """Show the way to a page from that of the app on: pairs of address and text.

    The last text is the page itself.
    """
    pairs: Sequence[Any] = crumbs[:-1]
    return {
        "request": context.get("request"),
        "crumbs": list(zip(pairs[::2], pairs[1::2], strict=True)),
        "here": crumbs[-1],
        "is_list": django.VERSION >= (6, 1),
    }


@register.filter
def passed(at: datetime | None) -> SafeString | str:
    """Return the time since an instant, or a dash."""
    return moments.NOTHING if at is None else moments.since(at)
