"""The page behind a link: it shows the question, and takes the answer.

To look never answers, for mail scanners open every link. An answer is a POST.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django import forms as django_forms
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_deny
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from django_durable import codec, forms
from django_durable.api.operating import answer_input
from django_durable.conf import Settings, get_instances, get_settings
from django_durable.doors import links
from django_durable.exceptions import (
    ExecutionNotFound,
    InputNotFound,
    InvalidInput,
    NotStorable,
)
from django_durable.models import InputRequest
from django_durable.store import inputs
from django_durable.types import InputType, WaitStatus

logger = logging.getLogger("django_durable.doors")

COMMENT = "durable_comment"
"""The field of the comment, named so that no form of a project has it too."""

_REFUSALS: Mapping[str, tuple[int, Any, Any]] = {
    "invalid": (
        404,
        _("This link is not valid"),
        _("Perhaps only a part of it was opened. Please copy the whole link."),
    ),
    "expired": (
        410,
        _("This link has expired"),
        _("Please ask whoever sent it to you for a new one."),
    ),
    "inactive": (
        403,
        _("This link cannot be used any more"),
        _("The account that it was made for is not active."),
    ),
    "broken": (
        503,
        _("This question cannot be shown at the moment"),
        _("Please open the link again later. Whoever runs this site can see why."),
    ),
    WaitStatus.SATISFIED: (
        409,
        _("This question has been answered already"),
        _("Somebody was faster. Your answer was not taken."),
    ),
    WaitStatus.TIMED_OUT: (
        410,
        _("It is too late for an answer"),
        _("The time in which this question could be answered has passed."),
    ),
    WaitStatus.CANCELLED: (
        410,
        _("An answer is not needed any more"),
        _("The question was withdrawn."),
    ),
}


class Refused(Exception):
    """Nothing can be answered with this link; ``reason`` is a key of ``_REFUSALS``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What a valid link leads to."""

    asked: InputRequest
    user: Any
    settings: Settings


View = Callable[[HttpRequest], HttpResponse]


def _kept_private(view: View) -> View:
    """Let nobody else learn the address of a page, which is a permission."""

    @wraps(view)
    def wrapped(request: HttpRequest) -> HttpResponse:
        response = view(request)
        # Stricter, and the browser would not say either where a POST comes from.
        response["Referrer-Policy"] = "same-origin"
        response["X-Robots-Tag"] = "noindex, nofollow"
        return response

    return wrapped


@never_cache
@_kept_private
@xframe_options_deny
@csrf_protect
@require_http_methods(["GET", "HEAD", "POST"])
def answer(request: HttpRequest) -> HttpResponse:
    """Show the question of a link, or take its answer."""
    try:
        opened = _open(request.GET.get(links.TOKEN, ""))
        if request.method == "POST":
            return _take(request, opened)
        return _look(request, opened)
    except Refused as refused:
        status, title, text = _REFUSALS[refused.reason]
        told = {"reason": refused.reason, "title": title, "text": text}
        return render(request, "django_durable/refused.html", told, status=status)


def _open(token: str) -> Opened:
    """Return what a token leads to, or raise ``Refused``."""
    names = get_instances()
    if not any(get_settings(name).answer_links for name in names):
        raise Http404
    link = links.read(token)
    if link is None or link.durable not in names:
        raise Refused("invalid")
    settings = get_settings(link.durable)
    if settings.answer_links is None:
        raise Http404
    if link.is_expired(settings.answer_links):
        raise Refused("expired")
    asked = inputs.find(link.input_id, using=settings.database)
    if asked is None:
        raise Refused("invalid")
    user = None
    if link.user is not None and (user := links.find_user(link.user)) is None:
        raise Refused("inactive")
    return Opened(asked=asked, user=user, settings=settings)


def _look(request: HttpRequest, opened: Opened) -> HttpResponse:
    asked = opened.asked
    if asked.status == WaitStatus.SATISFIED:
        told = {"asked": asked, "is_new": "done" in request.GET}
        return render(request, "django_durable/answered.html", told)
    if asked.status != WaitStatus.OPEN:
        raise Refused(asked.status)
    return _page(request, asked, _form_class(asked)())


def _take(request: HttpRequest, opened: Opened) -> HttpResponse:
    asked = opened.asked
    form_class = _form_class(asked)
    try:
        answer_input(
            asked.execution_id,
            asked.name,
            forms.posted_answer(inputs.describe(asked), request.POST),
            user=opened.user,
            comment=request.POST.get(COMMENT, ""),
            input_id=asked.pk,
            # Whoever made the link has permitted it.
            is_permitted=True,
            durable=opened.settings.alias,
        )
    except (InvalidInput, NotStorable) as error:
        form = form_class(data=request.POST)
        return _page(request, asked, _with_errors(form, error))
    except InputNotFound:
        asked.refresh_from_db()
        raise Refused(asked.status) from None
    except ExecutionNotFound:
        raise Refused("invalid") from None
    query = urlencode({links.TOKEN: request.GET[links.TOKEN], "done": "1"})
    return HttpResponseRedirect(f"{request.path}?{query}")


def _form_class(asked: InputRequest) -> type[django_forms.BaseForm]:
    try:
        return forms.form_class_for(inputs.describe(asked))
    except ValueError as error:
        # The class was moved or renamed by a deploy.
        logger.exception("Input %r of %s", asked.name, asked.execution_id)
        raise Refused("broken") from error


def _with_errors(
    form: django_forms.BaseForm, error: InvalidInput | NotStorable
) -> django_forms.BaseForm:
    """Add to a form what was refused and what it does not refuse by itself."""
    told = error.errors if isinstance(error, InvalidInput) else {"": [str(error)]}
    if form.is_valid():
        for name, texts in told.items():
            form.add_error(name if name in form.fields else None, texts)
    return form


def _page(
    request: HttpRequest, asked: InputRequest, form: django_forms.BaseForm
) -> HttpResponse:
    title = asked.prompt or asked.name.replace("_", " ")
    if asked.type != InputType.FORM:
        form.fields[forms.VALUE].label = title
    told = {
        "title": title,
        "asked": asked,
        "form": form,
        "facts": list(_facts(asked.metadata)),
        "is_approval": asked.type == InputType.APPROVAL,
        "is_single": asked.type != InputType.FORM,
        "comment": COMMENT,
        "comment_value": request.POST.get(COMMENT, ""),
    }
    return render(request, "django_durable/answer.html", told)


def _facts(metadata: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a person should see beside the question, as label and value."""
    if metadata is None:
        return
    if not isinstance(metadata, Mapping):
        metadata = {"": metadata}
    for label, value in metadata.items():
        is_nested = isinstance(value, Mapping | list | tuple | set)
        yield label, _as_text(value) if is_nested else value


def _as_text(value: Any) -> str:
    tree = codec.encode(value, name="metadata")
    return json.dumps(tree, ensure_ascii=False, indent=2)
