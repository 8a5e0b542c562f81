"""What steps leave behind in the database."""

from __future__ import annotations

from django.db import models


class Effect(models.Model):
    """What an atomic step did: there must be one per step, however often it ran."""

    execution_id = models.UUIDField()
    step = models.CharField(max_length=100)

    def __str__(self) -> str:
        return f"{self.step} of {self.execution_id}"
