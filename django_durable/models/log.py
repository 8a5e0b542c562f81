"""One line that a step has written."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_durable.ids import new_id
from django_durable.models.execution import Execution


class Log(models.Model):
    """A record of ``logging``, or a printed line, of the step at the path ``step``.

    In order of ``id`` the lines of a process are in the order in which they were
    written. ``created_at`` is the clock of the worker.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    execution = models.ForeignKey(
        Execution,
        on_delete=models.CASCADE,
        related_name="logs",
        db_constraint=False,
        db_index=False,
    )
    lane = models.UUIDField(
        null=True, help_text=_("The lane that wrote it, if it was not the execution.")
    )
    step = models.CharField(max_length=500)
    sequence = models.PositiveIntegerField()
    attempt = models.PositiveIntegerField()
    level = models.CharField(max_length=20)
    logger = models.CharField(max_length=200)
    message = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        verbose_name = _("log line")
        verbose_name_plural = _("log lines")
        # Seen on the page of its execution, by whoever may see that.
        default_permissions = ()
        ordering = ("id",)
        indexes = (models.Index(fields=["execution", "id"], name="durable_log_idx"),)

    def __str__(self) -> str:
        return f"{self.level} {self.message}"
