"""What a person is asked, who may answer, and who did."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from django_durable.ids import new_id
from django_durable.models.execution import Execution
from django_durable.models.fields import PayloadField, UserField
from django_durable.models.wait import Wait
from django_durable.types import InputType, WaitStatus


class InputRequest(models.Model):
    """A wait for a person. ``username``, ``group`` and ``permission`` say who may answer.

    Any one of those that are set is enough; when none is, everyone with the permission
    ``django_durable.provide_input`` may. ``status`` follows the wait's.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    execution = models.ForeignKey(
        Execution,
        on_delete=models.CASCADE,
        related_name="inputs",
        db_constraint=False,
        db_index=False,
    )
    wait = models.OneToOneField(
        Wait, on_delete=models.CASCADE, related_name="input", db_constraint=False
    )
    name = models.CharField(max_length=500)
    path = models.CharField(max_length=500)
    type = models.CharField(
        max_length=20, choices=[(type_.value, type_.value) for type_ in InputType]
    )
    prompt = models.TextField(blank=True)
    choices = models.JSONField(null=True)
    fields = models.JSONField(null=True)
    form = models.CharField(max_length=500, blank=True)
    metadata = PayloadField(null=True)
    username = models.CharField(max_length=255, blank=True)
    group = models.CharField(max_length=150, blank=True)
    permission = models.CharField(max_length=255, blank=True)
    status = models.CharField(
        max_length=20, choices=[(status.value, status.value) for status in WaitStatus]
    )
    until = models.DateTimeField(null=True)
    answer = PayloadField(null=True)
    comment = models.TextField(
        default="", blank=True, help_text=_("What who answered has added.")
    )
    # Users may live in another database than what they have answered, so that deleting
    # one leaves this alone.
    answered_by = UserField(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.DO_NOTHING,
        related_name="+",
        db_constraint=False,
    )
    created_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("input request")
        verbose_name_plural = _("inputs")
        default_permissions = ("view",)
        ordering = ("created_at", "id")
        indexes = (
            models.Index(fields=["execution"], name="durable_input_execution_idx"),
            models.Index(
                fields=["until", "id"],
                name="durable_open_input_idx",
                condition=Q(status="open"),
            ),
        )

    def __str__(self) -> str:
        return f"{self.type} {self.name} {self.status}"
