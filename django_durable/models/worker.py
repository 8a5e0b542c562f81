"""A worker process: its registration and its heartbeat."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_durable.ids import new_id


class Worker(models.Model):
    """One worker process. It owns what it claimed until ``expires_at``.

    ``lock_key`` is the advisory lock that its PostgreSQL session holds while it lives,
    taken at ``locked_at``; without one only ``expires_at`` tells that it is dead.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    hostname = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    queues = models.JSONField(default=dict)
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    is_dead = models.BooleanField(default=False)
    lock_key = models.IntegerField(null=True)
    locked_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")
        default_permissions = ("view",)
        ordering = ("started_at",)

    def __str__(self) -> str:
        return f"{self.hostname}:{self.pid}"
