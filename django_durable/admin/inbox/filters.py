"""The filters beside the list of questions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib.admin import SimpleListFilter
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from django_durable.admin.inbox import questions
from django_durable.types import InputType, WaitStatus

SHOW = "show"
MINE, ALL, ANSWERED, CLOSED = "mine", "all", "answered", "closed"

_OF_ALL = (ALL, CLOSED)
_MOST_READ = 500


class ShowFilter(SimpleListFilter):
    """Whose questions, and whether they are open; none chosen: open ones one may answer."""

    title = _("whose")
    parameter_name = SHOW

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the choices; what is for others takes a permission."""
        choices = [
            (MINE, _("for me, or a group of mine")),
            (ALL, _("all that are open")),
            (ANSWERED, _("answered by me")),
            (CLOSED, _("closed")),
        ]
        if questions.sees_all(request.user):
            return choices
        return [choice for choice in choices if choice[0] not in _OF_ALL]

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """Return the choices, the first one by what it is."""
        for number, choice in enumerate(super().choices(changelist)):
            yield choice if number else {**choice, "display": _("I may answer")}

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Any]:
        """Narrow the list."""
        rows: QuerySet[Any] = queryset
        match shown(request):
            case "mine":
                return rows.filter(status=WaitStatus.OPEN, is_mine=True)
            case "answered":
                return rows.filter(answered_by=request.user.pk)
            case "all":
                return rows.filter(status=WaitStatus.OPEN)
            case "closed":
                return rows.exclude(status=WaitStatus.OPEN)
            case _:
                return rows.filter(status=WaitStatus.OPEN, is_answerable=True)


def shown(request: HttpRequest) -> str:
    """Return which questions a list shows: what was chosen, if the user may see it."""
    chosen = request.GET.get(SHOW, "")
    if chosen in _OF_ALL and not questions.sees_all(request.user):
        return ""
    return chosen


def is_of_closed(request: HttpRequest) -> bool:
    """Say whether a list shows questions that take no answer any more."""
    return shown(request) in (ANSWERED, CLOSED)


class TypeFilter(SimpleListFilter):
    """What is asked for."""

    title = _("type")
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the types."""
        return [(one.value, one.value.replace("_", " ")) for one in InputType]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Any]:
        """Narrow the list."""
        rows: QuerySet[Any] = queryset
        return rows.filter(type=self.value()) if self.value() else rows


class WorkflowFilter(SimpleListFilter):
    """The workflows of what is most urgent for the user."""

    title = _("workflow")
    parameter_name = "workflow"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return their names, and the one that is chosen."""
        asking = questions.to_answer(request).order_by("until", "id")
        names = asking.values_list("execution__workflow", flat=True)[:_MOST_READ]
        chosen = request.GET.get(self.parameter_name)
        found = {*names, *([chosen] if chosen else [])}
        return [(name, name) for name in sorted(found)]

    def has_output(self) -> bool:
        """Be there when there is a choice, or one was made."""
        return len(self.lookup_choices) > 1 or self.value() is not None

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Any]:
        """Narrow the list."""
        rows: QuerySet[Any] = queryset
        return rows.filter(execution__workflow=self.value()) if self.value() else rows
