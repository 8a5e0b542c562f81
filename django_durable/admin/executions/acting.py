"""Do something to one execution: a page that asks, and a POST that acts."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect

from django_durable.admin.base import DurableAdmin
from django_durable.admin.dressing import show_refused_input
from django_durable.admin.executions.forms import OperationForm
from django_durable.admin.executions.operations import OPERATIONS, Operation
from django_durable.admin.executions.portrait import find
from django_durable.admin.history import note
from django_durable.admin.instances import Place, instance_of
from django_durable.admin.permissions import Rights, rights_of
from django_durable.exceptions import DurableError, InvalidInput, NotStorable
from django_durable.models import Execution

TEMPLATE = "admin/django_durable/execution/confirm.html"


def offered(row: Execution, rights: Rights) -> list[Operation]:
    """Return what its status and the rights of a person allow."""
    return [
        operation
        for operation in OPERATIONS
        if operation.is_allowed(rights) and operation.suits(row)
    ]


def view(
    model_admin: DurableAdmin, request: HttpRequest, id_: UUID, name: str
) -> HttpResponse:
    """Ask for what the operation needs, or do it once that is given."""
    operation = next((one for one in OPERATIONS if one.name == name), None)
    if operation is None:
        raise Http404(f"There is nothing called {name!r} to be done.")
    rights = rights_of(request.user)
    model_admin.require(operation.is_allowed(rights))
    row = find(id_, using=instance_of(request).database)
    if row is None or row.is_lane:
        raise Http404(f"There is no execution {id_}.")
    form = operation.form(request.POST or None, row=row, rights=rights)
    is_suited = operation.suits(row)
    if request.method == "POST" and is_suited and form.is_valid():
        answer = _act(request, operation, row, form, model_admin.place(request))
        if answer is not None:
            return answer
    context = {
        "title": operation.label,
        "operation": operation,
        "execution": row,
        "form": form,
        "is_suited": is_suited,
    }
    return model_admin.render(request, TEMPLATE, context)


def _act(
    request: HttpRequest,
    operation: Operation,
    row: Execution,
    form: OperationForm,
    place: Place,
) -> HttpResponse | None:
    """Do it, and go on to where one sees what came of it; ``None``: show the form again."""
    given: dict[str, Any] = form.cleaned_data
    try:
        result = operation.act(row, given, place.durable)
    except (InvalidInput, NotStorable) as error:
        show_refused_input(form, error)
        return None
    except DurableError as error:
        messages.error(request, str(error))
        return HttpResponseRedirect(place.url("execution_change", row.pk))
    message = operation.entry(given, result)
    note(request, [row], message, flag=operation.flag)
    messages.success(request, f"{operation.past}: {row.workflow}.")
    if operation.is_deletion:
        return HttpResponseRedirect(place.url("execution_changelist"))
    if isinstance(result, Execution):
        note(request, [result], f"Started again from {row.pk}")
        row = result
    return HttpResponseRedirect(place.url("execution_change", row.pk))
