"""What a durable call waits for, and the answer it got."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from django_durable.ids import new_id
from django_durable.models.execution import Execution
from django_durable.types import WaitKind, WaitStatus


class Wait(models.Model):
    """One durable call of one step visit: while open it holds its execution.

    Found again by ``kind``, ``name`` and ``ordinal`` within ``sequence``. ``names``
    are the events that may answer it, ``received`` what came so far. ``answer`` and
    ``timeout_value`` are encoded trees.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    execution = models.ForeignKey(
        Execution,
        on_delete=models.CASCADE,
        related_name="waits",
        db_constraint=False,
        db_index=False,
    )
    lane = models.UUIDField(
        null=True, help_text=_("The lane that waits, if it is not the execution.")
    )
    child = models.UUIDField(null=True, help_text=_("The child that it waits for."))
    path = models.CharField(max_length=500)
    sequence = models.PositiveIntegerField()
    attempt = models.PositiveIntegerField()
    kind = models.CharField(
        max_length=20, choices=[(kind.value, kind.value) for kind in WaitKind]
    )
    name = models.CharField(max_length=500, blank=True)
    ordinal = models.PositiveIntegerField()
    status = models.CharField(
        max_length=20, choices=[(status.value, status.value) for status in WaitStatus]
    )
    sentence = models.TextField(default="", blank=True)
    names = models.JSONField(default=list)
    received = models.JSONField(default=dict)
    until = models.DateTimeField(null=True)
    has_timeout_value = models.BooleanField(default=False)
    timeout_value = models.JSONField(null=True)
    fails_step = models.BooleanField(default=False)
    answer = models.JSONField(null=True)
    created_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("wait")
        verbose_name_plural = _("waits")
        # Seen on the page of its execution, by whoever may see that.
        default_permissions = ()
        ordering = ("created_at", "id")
        indexes = (
            models.Index(
                fields=["execution", "lane", "sequence"], name="durable_wait_idx"
            ),
            models.Index(
                fields=["execution", "id"],
                name="durable_open_wait_idx",
                condition=Q(status="open"),
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.name} {self.status}"
