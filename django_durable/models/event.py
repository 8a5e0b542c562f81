"""A named message to an execution, kept until a wait takes it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from django_durable.ids import new_id
from django_durable.models.execution import Execution
from django_durable.models.fields import PayloadField
from django_durable.models.wait import Wait


class Event(models.Model):
    """One event that was sent. ``taken_by`` is the wait that got it, at most one.

    The same ``event_id`` sent twice to one execution is one event.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    execution = models.ForeignKey(
        Execution,
        on_delete=models.CASCADE,
        related_name="events",
        db_constraint=False,
        db_index=False,
    )
    name = models.CharField(max_length=500)
    payload = PayloadField(null=True)
    event_id = models.CharField(max_length=255, null=True)  # noqa: DJ001
    taken_by = models.ForeignKey(
        Wait,
        null=True,
        on_delete=models.SET_NULL,
        related_name="events",
        db_constraint=False,
        db_index=False,
    )
    created_at = models.DateTimeField()

    created: ClassVar[bool] = True
    """Whether ``send_event`` made this event; ``False`` when its id was known."""

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        # Seen on the page of its execution, by whoever may see that.
        default_permissions = ()
        ordering = ("id",)
        indexes = (models.Index(fields=["execution", "id"], name="durable_event_idx"),)
        constraints = (
            models.UniqueConstraint(
                fields=["execution", "event_id"],
                name="durable_event_id",
                condition=Q(event_id__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.id}"
