"""What is in the list of the app, and in which class it is shown."""

from __future__ import annotations

from django.contrib import admin

from django_durable.admin import pages
from django_durable.admin.base import DurableAdmin
from django_durable.admin.catalogue.admin import Catalogue, CatalogueAdmin
from django_durable.admin.executions.admin import ExecutionAdmin
from django_durable.admin.inbox.admin import InputRequestAdmin
from django_durable.models import Execution, InputRequest, Schedule, Worker

admin.site.register(Execution, ExecutionAdmin)
admin.site.register(InputRequest, InputRequestAdmin)
pages.register(Catalogue, CatalogueAdmin)


@admin.register(Schedule)
class ScheduleAdmin(DurableAdmin):
    """Schedules, and how they fare."""

    list_display = (
        "name",
        "workflow",
        "description",
        "enabled",
        "next_fire_at",
        "last_fire_at",
        "failure_count",
    )
    list_filter = ("enabled",)
    payload_fields = ("input", "code")
    search_fields = ("name", "workflow")


@admin.register(Worker)
class WorkerAdmin(DurableAdmin):
    """Worker processes."""

    list_display = ("__str__", "started_at", "beat_at", "expires_at", "is_dead")
