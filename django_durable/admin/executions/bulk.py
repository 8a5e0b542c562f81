"""Actions on many executions: a page that says how many, then one after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import ngettext

from django_durable.admin.base import DurableAdmin
from django_durable.admin.executions.operations import BULK, Operation, suited
from django_durable.admin.history import note
from django_durable.admin.instances import instance_of
from django_durable.admin.keyset import MOST_SELECTED
from django_durable.admin.permissions import rights_of
from django_durable.exceptions import DurableError
from django_durable.models import Execution

TEMPLATE = "admin/django_durable/execution/confirm_selected.html"
CONFIRMED = "confirmed"

Action = Callable[[Any, HttpRequest, "QuerySet[Execution]"], "HttpResponse | None"]


def actions() -> list[Action]:
    """Return what the list offers."""
    return [_action(operation) for operation in BULK]


def _action(operation: Operation) -> Action:
    @admin.action(
        description=operation.bulk_label, permissions=[f"{operation.right}_executions"]
    )
    def act(
        model_admin: DurableAdmin, request: HttpRequest, queryset: QuerySet[Execution]
    ) -> HttpResponse | None:
        return handle(model_admin, request, queryset, operation)

    act.__name__ = f"{operation.name}_selected"
    return act


def handle(
    model_admin: DurableAdmin,
    request: HttpRequest,
    queryset: QuerySet[Execution],
    operation: Operation,
) -> HttpResponse | None:
    """Ask for confirmation, or act once it is given."""
    model_admin.require(operation.is_allowed(rights_of(request.user)))
    rows = list(queryset.order_by("-pk")[: MOST_SELECTED + 1])
    has_more, rows = len(rows) > MOST_SELECTED, rows[:MOST_SELECTED]
    fit, others = suited(operation, rows)
    form = operation.form(request.POST if CONFIRMED in request.POST else None)
    if form.is_bound and form.is_valid():
        _perform(request, operation, fit, form.cleaned_data)
        _say_left_out(request, others)
        return None
    return model_admin.render(
        request,
        TEMPLATE,
        {
            "title": operation.bulk_label,
            "operation": operation,
            "form": form,
            "fit": fit,
            "left_out": Counter(row.status for row in others).most_common(),
            "left_out_count": len(others),
            "has_more": has_more,
            "most": MOST_SELECTED,
            "checkbox": ACTION_CHECKBOX_NAME,
        },
    )


def _perform(
    request: HttpRequest,
    operation: Operation,
    rows: Sequence[Execution],
    given: dict[str, Any],
) -> None:
    durable = instance_of(request).alias
    done: list[Execution] = []
    refusals: list[str] = []
    for row in rows:
        try:
            operation.act(row, given, durable)
        except DurableError as error:
            refusals.append(str(error))
        else:
            done.append(row)
    note(request, done, operation.entry(given), flag=operation.flag)
    if done:
        said = ngettext(
            "%(past)s %(count)d execution.", "%(past)s %(count)d executions.", len(done)
        )
        messages.success(request, said % {"past": operation.past, "count": len(done)})
    if refusals:
        said = ngettext(
            "%(count)d came too late: %(reason)s",
            "%(count)d came too late. The first: %(reason)s",
            len(refusals),
        )
        messages.warning(
            request, said % {"count": len(refusals), "reason": refusals[0]}
        )


def _say_left_out(request: HttpRequest, others: Sequence[Execution]) -> None:
    if others:
        said = ngettext(
            "%(count)d execution was left out: its status does not allow it.",
            "%(count)d executions were left out: their status does not allow it.",
            len(others),
        )
        messages.warning(request, said % {"count": len(others)})
