"""Which questions there are for a person, and what of one they may see and do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from django_durable import codec
from django_durable.admin.instances import instance_of
from django_durable.admin.payloads import with_payloads
from django_durable.admin.permissions import APP, rights_of
from django_durable.conf import get_instances, get_settings
from django_durable.exceptions import NotStorable
from django_durable.forms.fields import split_choices
from django_durable.models import Execution, InputRequest
from django_durable.store import answering
from django_durable.types import InputType, WaitStatus

MOST_COUNTED = 99
MOST_OFFERED = 3

_UNSEEN = ("execution__input", "execution__data", "execution__error")
_CACHE = "_durable_questions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a user may see of one question; ``may_answer`` as long as it is open.

    Prompt and metadata are made for those who may answer. The execution and the answers
    of others are not.
    """

    may_see: bool
    may_answer: bool
    sees_metadata: bool
    sees_answer: bool
    sees_execution: bool


def access_of(user: Any, row: InputRequest) -> Access:
    """Return what ``user`` may see of a question that was read with ``asked``."""
    rights = rights_of(user)
    may_answer = bool(getattr(row, "is_answerable", False))
    is_answerer = row.answered_by_id is not None and row.answered_by_id == user.pk
    is_asked = may_answer or is_answerer
    return Access(
        may_see=is_asked or rights.view or sees_all(user),
        may_answer=may_answer,
        sees_metadata=is_asked or rights.see_payloads,
        sees_answer=is_answerer or rights.see_payloads,
        sees_execution=rights.view,
    )


def sees_all(user: Any) -> bool:
    """Say whether a user may see questions that are not for them."""
    return bool(user.has_perm(f"{APP}.view_inputrequest"))


def asked(request: HttpRequest) -> QuerySet[Any, Any]:
    """Return all questions of the instance, judged by the user of a request."""
    found = getattr(request, _CACHE, None)
    if found is None:
        rows = InputRequest.objects.using(instance_of(request).database)
        found = answering.judged(rows, request.user)
        setattr(request, _CACHE, found)
    return cast("QuerySet[Any, Any]", found)


def visible(request: HttpRequest) -> QuerySet[Any, Any]:
    """Return the questions that a list may hold: all, or mine to answer and answered."""
    found = asked(request)
    if sees_all(request.user):
        return found
    return found.filter(Q(is_answerable=True) | Q(answered_by=request.user.pk))


def still_open(request: HttpRequest) -> QuerySet[Any, Any]:
    """Return all questions that take an answer."""
    return asked(request).filter(status=WaitStatus.OPEN)


def to_answer(request: HttpRequest) -> QuerySet[Any, Any]:
    """Return what is open, and the user of a request may answer."""
    return still_open(request).filter(is_answerable=True)


def mine(request: HttpRequest) -> QuerySet[Any, Any]:
    """Return open questions that name the user of a request or a group of theirs."""
    return to_answer(request).filter(is_mine=True)


def count_of_mine(request: HttpRequest) -> int:
    """Return how many open questions name the user or a group of theirs.

    No further than ``MOST_COUNTED`` is counted.
    """
    return answering.count_up_to(MOST_COUNTED, mine(request))


def is_anything_for(user: Any) -> bool:
    """Say whether a user has to do with questions at all."""
    if user.has_perm(answering.PERMISSION) or sees_all(user):
        return True
    for alias in get_instances():
        rows = InputRequest.objects.using(get_settings(alias).database)
        found = answering.answerable_by(rows.filter(status=WaitStatus.OPEN), user)
        if answering.count_up_to(1, found):
            return True
    return False


def find(id_: UUID, request: HttpRequest) -> InputRequest | None:
    """Return one question with its execution, payloads as they are stored."""
    rows = asked(request).filter(pk=id_).select_related("execution").defer(*_UNSEEN)
    found: InputRequest | None = with_payloads(rows, "metadata", "answer").first()
    return found


def with_execution(rows: QuerySet[Any, Any], most: int) -> QuerySet[Any, Any]:
    """Read questions as a list shows them: small metadata, and no other payload."""
    rows = rows.select_related("execution").defer(*_UNSEEN, "answer")
    # Not joined, for users may live in another database.
    rows = rows.prefetch_related("answered_by")
    return with_payloads(rows, "metadata", most=most)


def kind_of(row: InputRequest) -> str:
    """Return what is asked for, in words."""
    return {
        InputType.APPROVAL: _("approval"),
        InputType.CHOICE: _("choice"),
        InputType.MULTI_CHOICE: _("several choices"),
        InputType.TEXT: _("text"),
        InputType.FORM: _("form"),
    }.get(InputType(row.type), row.type)


def in_words(row: InputRequest, answer: Any) -> Any:
    """Return a stored answer with the labels of what was chosen, as one has read them."""
    match row.type:
        case InputType.APPROVAL:
            return {"approved": _("Approved"), "rejected": _("Rejected")}.get(
                str(answer), answer
            )
        case InputType.CHOICE:
            return _label_of(row).get(_key(answer), answer)
        case InputType.MULTI_CHOICE:
            labels = _label_of(row)
            return [labels.get(_key(one), one) for one in answer or ()]
        case _:
            return answer


def _label_of(row: InputRequest) -> dict[str, str]:
    try:
        choices = split_choices(codec.decode(row.choices) or ())
    except NotStorable:
        # What could be chosen is no longer part of this code.
        return {}
    return {_key(codec.encode(value)): label for _text, value, label in choices}


def _key(tree: Any) -> str:
    return json.dumps(tree, sort_keys=True)


def whom(row: InputRequest) -> SafeString:
    """Return who may answer, in few words."""
    named = [
        format_html("<strong>{}</strong>", row.username) if row.username else "",
        format_html("{} <strong>{}</strong>", _("group"), row.group)
        if row.group
        else "",
        format_html('<code class="durable-path">{}</code>', row.permission)
        if row.permission
        else "",
    ]
    names = [(name,) for name in named if name]
    if not names:
        return format_html("{}", _("everyone who may answer inputs"))
    return format_html_join(_(" or "), "{}", names)


def of_execution(execution: Execution, request: HttpRequest) -> list[InputRequest]:
    """Return what an execution asks that the user of a request may answer now."""
    if execution.is_final:
        return []
    found = to_answer(request).filter(execution=execution.pk).order_by("id")
    return list(found.only("id", "name")[:MOST_OFFERED])
