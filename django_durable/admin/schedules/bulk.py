"""Actions on many schedules: done at once, or, where executions start, asked before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import ngettext

from django_durable.admin import history
from django_durable.admin.base import DurableAdmin
from django_durable.admin.instances import instance_of
from django_durable.admin.permissions import schedule_rights_of
from django_durable.admin.schedules.forms import ReasonForm
from django_durable.admin.schedules.operations import BULK, Operation
from django_durable.exceptions import DurableError
from django_durable.models import Execution, Schedule

TEMPLATE = "admin/django_durable/schedule/confirm_selected.html"
CONFIRMED = "confirmed"
MOST = 200

Action = Callable[[Any, HttpRequest, "QuerySet[Schedule]"], "HttpResponse | None"]


def actions() -> list[Action]:
    """Return what the list offers."""
    return [_action(operation) for operation in BULK]


def _action(operation: Operation) -> Action:
    @admin.action(
        description=operation.bulk_label, permissions=[f"{operation.right}_schedules"]
    )
    def act(
        model_admin: DurableAdmin, request: HttpRequest, queryset: QuerySet[Schedule]
    ) -> HttpResponse | None:
        return handle(model_admin, request, queryset, operation)

    act.__name__ = f"{operation.name}_selected"
    return act


def handle(
    model_admin: DurableAdmin,
    request: HttpRequest,
    queryset: QuerySet[Schedule],
    operation: Operation,
) -> HttpResponse | None:
    """Act on those that the operation suits, once it is confirmed where it has to be."""
    model_admin.require(operation.is_allowed(schedule_rights_of(request.user)))
    marked = list(queryset.order_by("name")[:MOST])
    rows = [row for row in marked if operation.suits(row)]
    is_confirmed = operation.is_direct or CONFIRMED in request.POST
    settings = instance_of(request)
    form = ReasonForm(request.POST if is_confirmed else None, settings=settings)
    if is_confirmed and form.is_valid():
        _perform(request, operation, rows, form)
        _say_left_out(request, len(marked) - len(rows))
        return None
    context = {
        "title": operation.bulk_label,
        "operation": operation,
        "rows": rows,
        "form": form,
        "checkbox": ACTION_CHECKBOX_NAME,
    }
    return model_admin.render(request, TEMPLATE, context)


def _perform(
    request: HttpRequest,
    operation: Operation,
    rows: Sequence[Schedule],
    form: ReasonForm,
) -> None:
    done = 0
    for row in rows:
        try:
            result = operation.act(row, form, form.settings.alias)
        except DurableError as error:
            messages.error(request, f"Schedule {row.name}: {error}")
            continue
        started = f" ({result.pk})" if isinstance(result, Execution) else ""
        history.note(request, [row], f"{operation.entry(form)}{started}")
        done += 1
    if done:
        said = ngettext(
            "%(past)s %(count)d schedule.", "%(past)s %(count)d schedules.", done
        )
        messages.success(request, said % {"past": operation.past, "count": done})


def _say_left_out(request: HttpRequest, count: int) -> None:
    if count:
        said = ngettext(
            "%(count)d schedule was left out: it is so already.",
            "%(count)d schedules were left out: they are so already.",
            count,
        )
        messages.warning(request, said % {"count": count})
