"""The page of a schedule: when it fires, what it started, and what went wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from django_durable.admin import history, instances, live
from django_durable.admin.base import DurableAdmin
from django_durable.admin.catalogue.listing import url_of
from django_durable.admin.executions.stored import as_json
from django_durable.admin.payloads import Payload, payload_of, whole, with_payloads
from django_durable.admin.permissions import rights_of, schedule_rights_of
from django_durable.admin.schedules import operations
from django_durable.admin.schedules.acting import find
from django_durable.admin.schedules.forms import CATCH_UPS, OVERLAPS
from django_durable.admin.schedules.timetable import Firing, firings, upcoming, zone_of
from django_durable.models import Schedule
from django_durable.store import schedules
from django_durable.store.schedules import changed_by_hand

TEMPLATE = "admin/django_durable/schedule/page.html"
REGION = "admin/django_durable/schedule/page_region.html"

MOST_ENTRIES = 20


def view(model_admin: DurableAdmin, request: HttpRequest, id_: UUID) -> HttpResponse:
    """Show a schedule, or only its region."""
    rights = schedule_rights_of(request.user)
    model_admin.require(rights.view)
    settings = instances.instance_of(request)
    row = find(id_, settings.database)
    found = firings(row, using=settings.database)
    context = {
        "title": row.name,
        "schedule": row,
        "operations": operations.offered(row, rights),
        "sees_executions": rights_of(request.user).view,
        "overlap": dict(OVERLAPS).get(row.overlap, row.overlap),
        "catch_up": dict(CATCH_UPS).get(row.catch_up, row.catch_up),
        "upcoming": upcoming(row.cron, row.timezone),
        "zone": zone_of(row.timezone),
        "workflow_url": url_of(row.workflow, model_admin.place(request)),
        "tag": f"schedule:{row.name}",
        "here": timezone.get_current_timezone_name(),
        "firings": found,
        "input": _input(row, settings.database),
        "changes": [
            Change(option, *pair) for option, pair in changed_by_hand(row).items()
        ],
        "entries": history.entries_of(row)[:MOST_ENTRIES],
        "live_state": live.ON if _moves(row, found) else live.SLOW,
    }
    return model_admin.respond(request, TEMPLATE, REGION, context)


def stored_view(
    model_admin: DurableAdmin, request: HttpRequest, id_: UUID
) -> HttpResponse:
    """Answer with all of the input of a schedule."""
    model_admin.require(schedule_rights_of(request.user).see_payloads)
    using = instances.instance_of(request).database
    return as_json(whole(schedules.rows(using).filter(pk=find(id_, using).pk), "input"))


@dataclass(frozen=True, slots=True)
class Change:
    """An option that a person has changed: what is stored, what the code says."""

    option: str
    stored: Any
    code: Any

    @property
    def is_payload(self) -> bool:
        """Whether it is only for those who may see payloads."""
        return self.option == "input"


def _moves(row: Schedule, found: list[Firing]) -> bool:
    """Say whether the reader may soon see something else."""
    is_open = any(one.execution and not one.execution.is_final for one in found)
    return is_open or row.is_late


def _input(row: Schedule, using: str) -> Payload:
    rows = schedules.rows(using).filter(pk=row.pk).only("pk")
    return payload_of(with_payloads(rows, "input").get(), "input")
