"""What is in the list of the app, and in which class it is shown."""

from __future__ import annotations

from django.contrib import admin

from django_durable.admin import pages
from django_durable.admin.catalogue.admin import Catalogue, CatalogueAdmin
from django_durable.admin.executions.admin import ExecutionAdmin
from django_durable.admin.inbox.admin import InputRequestAdmin
from django_durable.admin.overview.page import OverviewAdmin, OverviewPage
from django_durable.admin.schedules.admin import ScheduleAdmin
from django_durable.admin.workers.admin import WorkerAdmin
from django_durable.models import Execution, InputRequest, Schedule, Worker

pages.register(OverviewPage, OverviewAdmin)
admin.site.register(Execution, ExecutionAdmin)
admin.site.register(InputRequest, InputRequestAdmin)
pages.register(Catalogue, CatalogueAdmin)
admin.site.register(Schedule, ScheduleAdmin)
admin.site.register(Worker, WorkerAdmin)
