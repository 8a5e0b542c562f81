"""Schedules that were disabled by their failures, or that nobody fires."""

from __future__ import annotations

from datetime import timedelta

from django_durable import clock
from django_durable.models import Schedule
from django_durable.store.health.finding import Finding, Patient

_GRACE = timedelta(minutes=1)


def failing(patient: Patient) -> list[Finding]:
    """A schedule was disabled after its executions could not be started."""
    found = Schedule.objects.using(patient.using).order_by("pk")
    names = found.filter(enabled=False, failure_count__gt=0)
    return patient.finding(
        "schedule_disabled",
        names.values_list("name", flat=True)[: patient.limit + 1],
        "It was disabled because it could not start its workflow several times in a "
        "row.",
        "`durable schedules` shows its last error. Mend that, then "
        "`durable enable-schedule NAME`.",
        about="schedule",
    )


def overdue(patient: Patient) -> list[Finding]:
    """An enabled schedule should have fired, and did not."""
    found = Schedule.objects.using(patient.using).order_by("pk")
    late = found.filter(enabled=True, next_fire_at__lt=clock.due(-_GRACE))
    return patient.finding(
        "schedule_stuck",
        late.values_list("name", flat=True)[: patient.limit + 1],
        "It is enabled and should have fired, but no worker does it.",
        "Start a worker without --no-scheduler.",
        about="schedule",
    )
