"""The page on which one question is answered, or which says why it no longer can be."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_durable import api
from django_durable.admin import history, live
from django_durable.admin.base import DurableAdmin
from django_durable.admin.dressing import dress, focus, show_errors
from django_durable.admin.inbox import questions
from django_durable.admin.inbox.questions import Access
from django_durable.admin.instances import Place, instance_of
from django_durable.admin.payloads import payload_of
from django_durable.admin.readable import Reader
from django_durable.exceptions import DurableError, InvalidInput, NotStorable
from django_durable.forms import VALUE, form_class_for, posted_answer
from django_durable.models import InputRequest
from django_durable.store import inputs
from django_durable.store.answering import why_not
from django_durable.types import InputType, WaitStatus

TEMPLATE = "admin/django_durable/inbox/page.html"
REGION = "admin/django_durable/inbox/page_region.html"
REFUSED = "admin/django_durable/inbox/refused.html"

MOST_FETCHED = 10
_MOST_TITLE = 100
_FROM_EXECUTION = "execution"


class CommentForm(forms.Form):
    """What goes with an answer. Its name is one that no form of a workflow has."""

    durable_comment = forms.CharField(
        label=gettext_lazy("Comment"),
        required=False,
        max_length=5_000,
        widget=forms.Textarea({"rows": 3, "class": "vLargeTextField"}),
        help_text=gettext_lazy("Optional; is kept with your answer."),
    )


def view(model_admin: DurableAdmin, request: HttpRequest, id_: UUID) -> HttpResponse:
    """Show a question, or take its answer."""
    row = questions.find(id_, request)
    if row is None:
        messages.warning(request, _("This question is gone, with its execution."))
        inbox = model_admin.place(request).url("inputrequest_changelist")
        return HttpResponseRedirect(inbox)
    access = questions.access_of(request.user, row)
    if not access.may_see or (request.method == "POST" and not access.may_answer):
        return _refuse(model_admin, request, why_not(request.user, row))
    if request.method == "POST":
        return _take(model_admin, request, row, access)
    return _show(model_admin, request, row, access, _form(row), CommentForm())


def _form(row: InputRequest, post: Any = None) -> forms.BaseForm | str:
    """Return the form to answer with, or why there is none."""
    try:
        form_class = form_class_for(inputs.describe(row))
    except ValueError as error:
        return str(error)
    form = form_class(data=post)
    if row.type == InputType.FORM:
        return dress(form)
    # The question is the heading of the page.
    form.fields[VALUE].label = _("Your answer")
    return dress(form, opens=VALUE)


def _take(
    model_admin: DurableAdmin, request: HttpRequest, row: InputRequest, access: Access
) -> HttpResponse:
    """Answer; or show the form again, with what is wrong with it."""
    form, comment = _form(row, request.POST), CommentForm(request.POST)
    if isinstance(form, str) or not comment.is_valid():
        return _show(model_admin, request, row, access, form, comment)
    durable = instance_of(request).alias
    try:
        api.provide_input(
            row.execution_id,
            row.name,
            posted_answer(inputs.describe(row), request.POST),
            user=request.user,
            comment=comment.cleaned_data["durable_comment"],
            input_id=row.pk,
            durable=durable,
        )
    except (InvalidInput, NotStorable) as error:
        show_errors(form, error)
        return _show(model_admin, request, row, access, form, comment)
    except PermissionDenied as error:
        return _refuse(model_admin, request, str(error))
    except DurableError:
        _say_too_late(request, row)
        return HttpResponseRedirect(request.get_full_path())
    history.note(request, [row.execution], f"Answered {row.name}")
    place = model_admin.place(request)
    messages.success(request, _thanks(row, access, place))
    return HttpResponseRedirect(_next(request, row, access, place))


def _say_too_late(request: HttpRequest, row: InputRequest) -> None:
    """Say that it was closed in the meantime. The page that follows says how and when."""
    now = questions.find(row.pk, request)
    if now is not None and now.answered_by_id == request.user.pk:
        messages.info(request, _("You have answered this already; that answer stays."))
    else:
        messages.warning(request, _("It was closed before your answer came."))


def _thanks(row: InputRequest, access: Access, place: Place) -> str:
    said = _("Answered: %(question)s") % {"question": _title(row)}
    if not access.sees_execution:
        return said
    return format_html(
        '{} <a href="{}">{}</a>',
        said,
        place.url("execution_change", row.execution_id),
        _("See the execution"),
    )


def _next(request: HttpRequest, row: InputRequest, access: Access, place: Place) -> str:
    """Return where one goes on: to the execution if one came from there."""
    if request.GET.get("back") == _FROM_EXECUTION and access.sees_execution:
        return place.url("execution_change", row.execution_id)
    return place.url("inputrequest_changelist")


def _title(row: InputRequest) -> str:
    return Truncator(" ".join(row.prompt.split()) or row.name).chars(_MOST_TITLE)


def _show(
    model_admin: DurableAdmin,
    request: HttpRequest,
    row: InputRequest,
    access: Access,
    form: forms.BaseForm | str,
    comment: CommentForm,
) -> HttpResponse:
    context = {**model_admin.shared_context(request), **_standing(row, access)}
    if live.wants_region(request):
        return live.region_response(request, REGION, context)
    if isinstance(form, forms.BaseForm) and form.is_bound:
        focus(form, comment)
    context |= {
        "title": _title(row),
        "form": form if isinstance(form, forms.BaseForm) else None,
        "why_no_form": form if isinstance(form, str) else "",
        # A comment on a text is more of the text.
        "comment": comment if row.type != InputType.TEXT else None,
        "is_approval": row.type == InputType.APPROVAL,
        **_matter(row, access, request.user),
    }
    return model_admin.render(request, TEMPLATE, context)


def _standing(row: InputRequest, access: Access) -> dict[str, Any]:
    """Return what changes by itself: whether it is open, and if not, what closed it."""
    is_open = row.status == WaitStatus.OPEN
    return {
        "row": row,
        "access": access,
        "kind": questions.kind_of(row),
        "whom": questions.whom(row),
        "is_open": is_open,
        "is_answerable": is_open and access.may_answer,
        "answerer": inputs.who_answered(row),
        "announced": "" if is_open else _("This question is closed."),
        "live_state": live.ON if is_open else live.ENDED,
    }


def _matter(row: InputRequest, access: Access, user: Any) -> dict[str, Any]:
    """Return what the question is about, and what was answered, as far as it is seen."""
    reader = Reader(user, fetches=MOST_FETCHED)
    metadata, answer = payload_of(row, "metadata"), payload_of(row, "answer")
    return {
        "metadata": metadata,
        "entries": reader.entries(metadata.tree) if access.sees_metadata else [],
        "answer": answer,
        "answers": reader.entries(questions.in_words(row, answer.tree))
        if access.sees_answer
        else [],
    }


def _refuse(model_admin: DurableAdmin, request: HttpRequest, why: str) -> HttpResponse:
    """Say who may answer, and nothing of what is asked."""
    response = model_admin.render(
        request, REFUSED, {"title": _("This is for somebody else"), "why": why}
    )
    response.status_code = 403
    return response
