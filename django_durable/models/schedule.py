"""A rule that starts executions at fire times."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar, Self

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from django_durable import clock, cron
from django_durable.ids import new_id
from django_durable.models.fields import PayloadField
from django_durable.types import CatchUp, Overlap

GONE_FROM_CODE = "It is no longer in the code."

LATE = timedelta(minutes=1)
"""For so long an enabled schedule may be due before something is wrong."""


class ScheduleQuerySet(models.QuerySet["Schedule"]):
    """The questions that are asked about schedules."""

    def due(self) -> Self:
        """Return enabled schedules whose next fire time has come, by the database."""
        return self.filter(enabled=True, next_fire_at__lte=clock.db_now())

    def in_trouble(self) -> Self:
        """Return those that fail, were disabled by it, or are fired by nobody."""
        late = Q(enabled=True, next_fire_at__lt=clock.due(-LATE))
        # What a person has disabled has no reason written down.
        is_worn_out = Q(enabled=False) & ~Q(disabled_reason__in=["", GONE_FROM_CODE])
        fails = Q(failure_count__gt=0)
        return self.filter(fails & (Q(enabled=True) | is_worn_out) | late)

    def with_now(self) -> Self:
        """Return each with ``database_now``, the database's clock when it was read."""
        return self.annotate(database_now=clock.db_now())


class Schedule(models.Model):
    """When executions of a workflow start. Change it by ``update_schedule``.

    ``next_fire_at`` is kept while it is disabled. ``last_fire_at`` is the last fire time
    that started something, ``last_execution`` the id of what it started. ``code`` is
    what the code said last, for a schedule that is written there. ``revision`` grows
    with every change: who fires it does so only if it is as it was when it was read.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=200, unique=True)
    workflow = models.CharField(max_length=200)
    cron = models.CharField(max_length=200)
    timezone = models.CharField(max_length=100, default="UTC")
    input = PayloadField(default=dict)
    queue = models.CharField(  # noqa: DJ001
        max_length=100, null=True, help_text=_("Empty: the workflow's own.")
    )
    enabled = models.BooleanField(default=True)
    overlap = models.CharField(
        max_length=10, choices=[(one.value, one.value) for one in Overlap]
    )
    catch_up = models.CharField(
        max_length=10, choices=[(one.value, one.value) for one in CatchUp]
    )
    jitter = models.DurationField(null=True)
    next_fire_at = models.DateTimeField(null=True)
    last_fire_at = models.DateTimeField(null=True)
    last_execution = models.UUIDField(null=True)
    failure_count = models.PositiveIntegerField(
        default=0, help_text=_("Fire times in a row that could start nothing.")
    )
    last_error = models.TextField(default="", blank=True)
    disabled_reason = models.TextField(default="", blank=True)
    code = models.JSONField(null=True)
    revision = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField()

    database_now: datetime

    objects: ClassVar[models.Manager[Schedule]] = ScheduleQuerySet.as_manager()

    class Meta:
        verbose_name = _("schedule")
        verbose_name_plural = _("schedules")
        ordering = ("name",)
        indexes = (
            models.Index(
                fields=["next_fire_at"],
                name="durable_due_schedule_idx",
                condition=Q(enabled=True),
            ),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def description(self) -> str:
        """When it fires, in plain English."""
        return f"{cron.describe(self.cron)} ({self.timezone})"

    @property
    def is_late(self) -> bool:
        """Whether it should have fired, and nobody did it."""
        due = self.next_fire_at
        return self.enabled and due is not None and clock.now() - due > LATE

    @property
    def is_well(self) -> bool:
        """Whether it fires, and what it fires could be started."""
        return self.enabled and not (self.is_late or self.failure_count)

    @property
    def is_code(self) -> bool:
        """Whether it is written in the code (``@schedule``)."""
        return self.code is not None
