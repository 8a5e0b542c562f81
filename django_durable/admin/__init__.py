"""The models in the admin, to look at. Nothing is changed by hand."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from django_durable.models import (
    Event,
    Execution,
    InputRequest,
    Schedule,
    Step,
    Wait,
    Worker,
)


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Shows rows; what changes them are the functions of ``django_durable``."""

    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        """Nothing is added by hand."""
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        """Nothing is changed by hand."""
        return False

    def has_delete_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        """Nothing is deleted by hand."""
        return False


@admin.register(Execution)
class ExecutionAdmin(ReadOnlyAdmin):
    """Executions, newest first."""

    list_display = (
        "id",
        "workflow",
        "status",
        "current_step",
        "waiting_for",
        "started_at",
    )
    list_filter = ("status", "queue")
    search_fields = ("=id", "=idempotency_key")


@admin.register(Step)
class StepAdmin(ReadOnlyAdmin):
    """Attempts of steps."""

    list_display = ("path", "kind", "attempt", "status", "started_at", "execution")
    list_select_related = ("execution",)
    list_filter = ("status",)
    ordering = ("-id",)


@admin.register(Wait)
class WaitAdmin(ReadOnlyAdmin):
    """What executions wait for, and waited for."""

    list_display = ("kind", "name", "status", "until", "execution")
    list_select_related = ("execution",)
    list_filter = ("status", "kind")
    ordering = ("-id",)


@admin.register(InputRequest)
class InputRequestAdmin(ReadOnlyAdmin):
    """What people are asked, and were asked."""

    list_display = ("name", "type", "status", "until", "answered_by", "execution")
    list_select_related = ("execution", "answered_by")
    list_filter = ("status", "type")
    ordering = ("-id",)


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """Events that were sent."""

    list_display = ("name", "created_at", "taken_by", "execution")
    list_select_related = ("execution", "taken_by")
    ordering = ("-id",)


@admin.register(Schedule)
class ScheduleAdmin(ReadOnlyAdmin):
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
    search_fields = ("name", "workflow")


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    """Worker processes."""

    list_display = ("__str__", "started_at", "beat_at", "expires_at", "is_dead")
