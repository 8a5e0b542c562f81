"""One attempt of one step, written when it ends."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_durable.ids import new_id
from django_durable.models.execution import Execution
from django_durable.models.fields import PayloadField
from django_durable.models.log import Log
from django_durable.types import StepKind, StepStatus


class Step(models.Model):
    """How one attempt at ``path`` ended.

    ``sequence`` numbers the visits of steps in an execution from 0; the attempts of
    one visit share it. ``output`` holds the keys that the attempt added or changed.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    execution = models.ForeignKey(
        Execution,
        on_delete=models.CASCADE,
        related_name="steps",
        db_constraint=False,
        db_index=False,
    )
    lane = models.UUIDField(
        null=True, help_text=_("The lane that ran it, if it was not the execution.")
    )
    undoes = models.UUIDField(
        null=True, help_text=_("The step that this compensation undoes.")
    )
    path = models.CharField(max_length=500)
    kind = models.CharField(
        max_length=20, choices=[(kind.value, kind.value) for kind in StepKind]
    )
    sequence = models.PositiveIntegerField()
    attempt = models.PositiveIntegerField()
    status = models.CharField(
        max_length=20, choices=[(status.value, status.value) for status in StepStatus]
    )
    output = PayloadField(null=True)
    error = models.JSONField(null=True)
    started_at = models.DateTimeField()
    completed_at = models.DateTimeField()

    class Meta:
        verbose_name = _("step")
        verbose_name_plural = _("steps")
        # Seen on the page of its execution, by whoever may see that.
        default_permissions = ()
        ordering = ("started_at", "sequence", "attempt")
        indexes = (
            models.Index(fields=["execution", "sequence"], name="durable_step_idx"),
        )

    def __str__(self) -> str:
        return f"{self.path} #{self.attempt} {self.status}"

    @cached_property
    def logs(self) -> list[Log]:
        """What the attempt wrote, in order; loaded by ``get_execution`` if asked to."""
        lines = Log.objects.using(self._state.db).filter(
            execution=self.execution_id,
            lane=self.lane,
            step=self.path,
            sequence=self.sequence,
            attempt=self.attempt,
        )
        return list(lines)

    @property
    def duration(self) -> timedelta:
        """How long the attempt took, waits inside the body included."""
        return self.completed_at - self.started_at
