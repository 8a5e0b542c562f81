"""One run of a workflow with one input: the row that is claimed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self
from uuid import UUID

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from django_durable import clock
from django_durable.ids import least_id_at, new_id
from django_durable.models.fields import PayloadField, has_member
from django_durable.types import ExecutionStatus

FINAL = (
    ExecutionStatus.COMPLETED,
    ExecutionStatus.FAILED,
    ExecutionStatus.CANCELLED,
    ExecutionStatus.COMPENSATED,
    ExecutionStatus.COMPENSATION_FAILED,
)
"""Statuses that nothing but an operator's ``retry`` leaves."""

UNSUCCESSFUL = (
    ExecutionStatus.FAILED,
    ExecutionStatus.COMPENSATED,
    ExecutionStatus.COMPENSATION_FAILED,
)
"""Statuses in which an execution ends that has failed."""

NOT_RUNNING = (
    ExecutionStatus.PENDING,
    ExecutionStatus.WAITING,
    ExecutionStatus.PAUSED,
    ExecutionStatus.COMPENSATING,
)
"""Open statuses but the one in which a worker holds every execution."""


class ExecutionQuerySet(models.QuerySet["Execution"]):
    """The questions that are asked about executions."""

    def open(self) -> Self:
        """Executions that have not ended."""
        return self.exclude(status__in=[status.value for status in FINAL])

    def claimable(self, *, queue: str, within: timedelta = timedelta(0)) -> Self:
        """Rows of ``queue`` that a worker may take now, or ``within`` that delay."""
        return self.filter(queue=queue, available_at__lte=clock.due(within))

    def in_claim_order(self) -> Self:
        """Larger priority first, then what became available first, then as it was made."""
        return self.order_by("-priority", "available_at", "id")

    def leased(self) -> Self:
        """Executions that a worker holds."""
        return self.filter(leased_by__isnull=False)

    def tagged(self, tag: str) -> Self:
        """Executions that carry ``tag``."""
        return self.filter(self.has_tag(tag))

    def has_tag(self, tag: str) -> Q:
        """Return the condition of ``tagged``, to be combined with others."""
        return Q(has_member("tags", tag, using=self.db))

    def created_since(self, moment: datetime) -> Self:
        """Executions that were made at ``moment`` or later."""
        found = self.filter(created_at__gte=moment)
        if clock.frozen_instant() is not None:
            return found
        # Ids are ordered by time too, and have an index. The minute is for clocks that
        # were set back between the two.
        return found.filter(pk__gte=least_id_at(moment - timedelta(minutes=1)))

    def ended(self, status: str, *, since: datetime) -> Self:
        """Executions that ended so at ``since`` or later, and are nobody's children."""
        return self.filter(status=status, parent=None, completed_at__gte=since)

    def with_status(self, status: str | Iterable[str]) -> Self:
        """Executions in one status, or in one of several."""
        wanted = [status] if isinstance(status, str) else list(status)
        return self.filter(status__in=[str(one) for one in wanted])


class WorkflowExecutions(models.Manager.from_queryset(ExecutionQuerySet)):  # type: ignore[misc]
    """What a user calls executions: lanes, which are the engine's, are left out."""

    def get_queryset(self) -> ExecutionQuerySet:
        """Return all but the lanes."""
        found: ExecutionQuerySet = super().get_queryset()
        return found.filter(is_lane=False)


class Execution(models.Model):
    """One run of a workflow. Start it with ``django_durable.start``, never by hand.

    ``available_at`` is when a worker may claim it: now, later (retry, sleep, timeout
    of a wait, the workflow's own timeout) or, ``NULL``, not before something wakes it.
    ``lease_token`` grows with every claim; a write with an older one changes nothing.

    A member of a ``Parallel`` and an item of an ``Each`` is a row too, a *lane*: it is
    claimed, retried and waits like any other. ``Execution.objects`` leaves lanes out;
    ``Execution.rows`` has them. The ``data`` of a lane is what it changed.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workflow = models.CharField(max_length=200)
    home_queue = models.CharField(max_length=100, help_text=_("Where it was started."))
    priority = models.IntegerField(default=0)
    input = PayloadField(default=dict)
    tags = models.JSONField(default=list)
    idempotency_key = models.CharField(max_length=255, null=True)  # noqa: DJ001
    parent = models.ForeignKey(
        "self",
        null=True,
        on_delete=models.CASCADE,
        related_name="family",
        db_constraint=False,
        db_index=False,
        help_text=_("The execution of a workflow that this one belongs to."),
    )
    is_lane = models.BooleanField(
        default=False, help_text=_("A member or an item of a block, not a workflow.")
    )
    scope = models.CharField(
        max_length=500, default="", blank=True, help_text=_("The path a lane runs.")
    )
    awaited_by = models.UUIDField(
        null=True,
        help_text=_("The execution or lane that goes on when this has ended."),
    )
    awaited_visit = models.PositiveIntegerField(
        null=True, help_text=_("The step visit in it that waits.")
    )
    timeout = models.DurationField(null=True)
    scheduled_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=clock.now)

    # What changes stands last, and what changes with each step behind all else: of an
    # update on the same page PostgreSQL logs what is between the parts that stayed.
    queue = models.CharField(max_length=100, help_text=_("Where it is claimed now."))
    progress = models.JSONField(null=True)
    error = models.JSONField(null=True)
    open_lanes = models.PositiveIntegerField(
        default=0, help_text=_("Lanes of the current block that have not ended.")
    )
    lane_limit = models.PositiveIntegerField(
        null=True, help_text=_("How many of them may be started at once.")
    )
    expires_at = models.DateTimeField(null=True)
    resumes_at = models.DateTimeField(
        null=True, help_text=_("The available_at that a pause keeps.")
    )
    started_at = models.DateTimeField(null=True)
    status = models.CharField(
        max_length=20,
        choices=[(status.value, status.value) for status in ExecutionStatus],
        default=ExecutionStatus.PENDING.value,
    )
    waiting_for = models.TextField(default="", blank=True)
    available_at = models.DateTimeField(null=True)
    leased_by = models.UUIDField(null=True)
    lease_token = models.BigIntegerField(default=0)
    calls = models.PositiveIntegerField(
        default=0, help_text=_("Durable calls stored for the current step visit.")
    )
    current_step = models.CharField(max_length=500, default="")
    sequence = models.PositiveIntegerField(
        default=0, help_text=_("Step visits that have ended.")
    )
    attempt = models.PositiveIntegerField(
        default=1, help_text=_("Number of the attempt that runs or comes next.")
    )
    step_started_at = models.DateTimeField(null=True)
    completed_at = models.DateTimeField(null=True)
    data = PayloadField(default=dict)

    created: ClassVar[bool] = True
    """Whether ``start`` made this execution; ``False`` when its key was known."""

    objects = WorkflowExecutions()
    rows = ExecutionQuerySet.as_manager()

    class Meta:
        verbose_name = _("execution")
        verbose_name_plural = _("executions")
        ordering = ("-id",)
        base_manager_name = "rows"
        # Nobody adds or changes one by hand: these say what a person may do instead.
        default_permissions = ("view", "delete")
        permissions = (
            ("view_payload", "Can see inputs, data, results and other payloads"),
            ("start_execution", "Can start executions"),
            ("operate_execution", "Can cancel, retry, pause and resume executions"),
            ("provide_input", "Can answer what executions ask"),
        )
        # Every index on this table is written again by each of its updates, so there
        # are few, and all but the primary key are partial.
        indexes = (
            models.Index(
                "queue",
                models.F("priority").desc(),
                "available_at",
                "id",
                name="durable_claim_idx",
                condition=Q(available_at__isnull=False),
            ),
            models.Index(
                fields=["leased_by"],
                name="durable_lease_idx",
                condition=Q(leased_by__isnull=False),
            ),
            models.Index(
                fields=["parent", "id"],
                name="durable_parent_idx",
                condition=Q(parent__isnull=False),
            ),
            models.Index(
                fields=["awaited_by", "id"],
                name="durable_awaited_idx",
                condition=Q(awaited_by__isnull=False),
            ),
            # What is open and stands still, to be counted and listed. It is written to
            # when an execution starts, parks or is given back, never while it runs.
            models.Index(
                fields=["status", "queue", "available_at"],
                name="durable_open_idx",
                condition=Q(
                    status__in=[status.value for status in NOT_RUNNING], is_lane=False
                ),
            ),
            # What retention looks for: families that have ended, by their topmost member.
            models.Index(
                fields=["status", "completed_at"],
                name="durable_ended_idx",
                condition=Q(completed_at__isnull=False, parent__isnull=True),
            ),
        )
        constraints = (
            models.UniqueConstraint(
                fields=["workflow", "idempotency_key"],
                name="durable_idempotency_key",
                condition=Q(idempotency_key__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return f"{self.workflow} {self.id}"

    @property
    def result(self) -> Any:
        """The data after the last step; ``None`` unless the execution is completed."""
        return self.data if self.status == ExecutionStatus.COMPLETED else None

    @property
    def owner_id(self) -> UUID:
        """The execution that steps, waits and events are filed under; see ``Lease``."""
        return (self.is_lane and self.parent_id) or self.pk

    @property
    def is_final(self) -> bool:
        """Whether the execution has ended."""
        return self.status in FINAL

    @property
    def duration(self) -> timedelta | None:
        """From the first start to the end; ``None`` before both are known."""
        if self.started_at is None or self.completed_at is None:
            return None
        return self.completed_at - self.started_at
