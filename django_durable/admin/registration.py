"""What is in the list of the app, and in which class it is shown."""

from __future__ import annotations

from django.contrib import admin

from django_durable.admin.base import DurableAdmin
from django_durable.admin.executions.admin import ExecutionAdmin
from django_durable.admin.overview.page import OverviewAdmin, OverviewPage
from django_durable.admin.schedules.admin import ScheduleAdmin
from django_durable.admin.workers.admin import WorkerAdmin
from django_durable.models import Execution, InputRequest, Schedule, Worker

admin.site.register(OverviewPage, OverviewAdmin)
admin.site.register(Execution, ExecutionAdmin)
admin.site.register(Schedule, ScheduleAdmin)


@admin.register(InputRequest)
class InputRequestAdmin(DurableAdmin):
    """What people are asked, and were asked."""

    list_display = ("name", "type", "status", "until", "answered_by", "execution")
    list_select_related = ("execution", "answered_by")
    list_filter = ("status", "type")
    ordering = ("-id",)


admin.site.register(Worker, WorkerAdmin)
