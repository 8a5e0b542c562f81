"""Do something to a schedule, or make one: a page that asks, and a POST that acts."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.admin.models import ADDITION
from django.core.exceptions import NON_FIELD_ERRORS
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.translation import gettext as _

from django_durable import cron
from django_durable.admin import history
from django_durable.admin.base import DurableAdmin
from django_durable.admin.dressing import show_errors, show_refused_input
from django_durable.admin.instances import Place, instance_of
from django_durable.admin.permissions import rights_of, schedule_rights_of
from django_durable.admin.schedules import operations
from django_durable.admin.schedules.forms import NewForm, OptionsForm, ScheduleForm
from django_durable.admin.schedules.operations import Operation
from django_durable.admin.schedules.timetable import upcoming, zone_of
from django_durable.api.schedules import schedule
from django_durable.exceptions import DurableError, InvalidSchedule
from django_durable.models import Execution, Schedule
from django_durable.store import schedules

CONFIRM = "admin/django_durable/schedule/confirm.html"
NEW = "admin/django_durable/schedule/new.html"
PREVIEW = "preview"
BACK = "back"


def view(
    model_admin: DurableAdmin, request: HttpRequest, id_: UUID, name: str
) -> HttpResponse:
    """Ask for what an operation needs, or do it once that is given."""
    operation = operations.named(name)
    if operation is None:
        raise Http404(f"There is nothing called {name!r} to be done.")
    rights = schedule_rights_of(request.user)
    model_admin.require(operation.is_allowed(rights))
    settings = instance_of(request)
    row = find(id_, settings.database)
    sent = request.POST if request.method == "POST" else None
    form = operation.form(sent, settings=settings, row=row, rights=rights)
    is_suited = operation.suits(row)
    is_preview = PREVIEW in request.POST
    if request.method == "POST" and is_suited and not is_preview and form.is_valid():
        answer = _act(request, operation, row, form, model_admin.place(request))
        if answer is not None:
            return answer
    context = {
        "title": operation.label,
        "operation": operation,
        "schedule": row,
        "form": form,
        "is_suited": is_suited,
        "preview": _preview(form) if is_preview else None,
        "here": timezone.get_current_timezone_name(),
    }
    return model_admin.render(request, CONFIRM, context)


def find(id_: UUID, using: str) -> Schedule:
    """Return a schedule without its input, or raise ``Http404``."""
    row = schedules.rows(using).filter(pk=id_).first()
    if row is None:
        raise Http404(f"There is no schedule {id_}.")
    return row


def _act(
    request: HttpRequest,
    operation: Operation,
    row: Schedule,
    form: ScheduleForm,
    place: Place,
) -> HttpResponse | None:
    """Do it, and go on to where one sees what came of it; ``None``: show the form again."""
    try:
        result = operation.act(row, form, place.durable)
    except DurableError as error:
        _show(form, error)
        return None
    entry = operation.entry(form)
    if isinstance(result, Execution):
        entry = f"{entry} ({result.pk})"
    history.note(request, [row], entry, flag=operation.flag)
    messages.success(request, f"{operation.past}: {row.name}.")
    if isinstance(result, Execution) and rights_of(request.user).view:
        return HttpResponseRedirect(place.url("execution_change", result.pk))
    if operation.is_deletion or request.POST.get(BACK) == "list":
        return HttpResponseRedirect(place.url("schedule_changelist"))
    return HttpResponseRedirect(place.url("schedule_change", row.pk))


def add_view(model_admin: DurableAdmin, request: HttpRequest) -> HttpResponse:
    """Ask for a new schedule, or make it."""
    rights = schedule_rights_of(request.user)
    model_admin.require(rights.add)
    settings = instance_of(request)
    sent = request.POST if request.method == "POST" else None
    form = NewForm(sent, settings=settings, rights=rights)
    is_preview = PREVIEW in request.POST
    if request.method == "POST" and not is_preview and form.is_valid():
        row = _make(form)
        if row is not None:
            history.note(request, [row], "Added.", flag=ADDITION)
            messages.success(request, _("Added: %(name)s.") % {"name": row.name})
            place = model_admin.place(request)
            return HttpResponseRedirect(place.url("schedule_change", row.pk))
    context = {
        "title": _("Add schedule"),
        "form": form,
        "preview": _preview(form) if is_preview else None,
        "here": timezone.get_current_timezone_name(),
    }
    return model_admin.render(request, NEW, context)


def _make(form: NewForm) -> Schedule | None:
    """Store a schedule; ``None``: it was refused, and the form says why."""
    given = dict(form.cleaned_data)
    try:
        return schedule(
            given.pop("workflow"),
            given.pop("cron"),
            name=given.pop("name") or None,
            durable=form.settings.alias,
            **given,
        )
    except DurableError as error:
        _show(form, error)
        return None


def _show(form: ScheduleForm, error: DurableError) -> None:
    """Say what was refused: an option, or the input of what was to be started."""
    here = {*form.fields, NON_FIELD_ERRORS}
    if isinstance(error, InvalidSchedule) and error.errors.keys() <= here:
        show_errors(form, error)
    else:
        show_refused_input(form, error)


def _preview(form: ScheduleForm) -> dict[str, Any] | None:
    """Return what an expression means and when it would fire, if it is one."""
    form.full_clean()
    given = form.cleaned_data
    if not isinstance(form, OptionsForm) or not {"cron", "timezone"} <= given.keys():
        return None
    return {
        "words": cron.describe(given["cron"]),
        "timezone": given["timezone"],
        "zone": zone_of(given["timezone"]),
        "times": upcoming(given["cron"], given["timezone"]),
    }
