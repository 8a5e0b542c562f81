"""The filters beside the list of executions. None of them counts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.contrib.admin import SimpleListFilter
from django.contrib.admin.views.main import ChangeList
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from django_durable import clock
from django_durable.admin import instances
from django_durable.conf import DEFAULT_INSTANCE, get_instances
from django_durable.definition import registry
from django_durable.models import Step
from django_durable.models.execution import ExecutionQuerySet
from django_durable.types import ExecutionStatus, StepStatus

OPEN, UNSUCCESSFUL = "open", "unsuccessful"

_UNSUCCESSFUL = (
    ExecutionStatus.FAILED,
    ExecutionStatus.COMPENSATED,
    ExecutionStatus.COMPENSATION_FAILED,
)
_FAILED_ATTEMPTS = (StepStatus.FAILED, StepStatus.TIMED_OUT, StepStatus.LOST)


class StatusFilter(SimpleListFilter):
    """One status, or a group of them."""

    title = _("status")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the groups and the statuses."""
        groups = [(OPEN, _("any that is open")), (UNSUCCESSFUL, _("any failure"))]
        return [*groups, *((one.value, _words(one.value)) for one in ExecutionStatus)]

    def queryset(self, request: HttpRequest, queryset: Any) -> ExecutionQuerySet:
        """Narrow the list."""
        rows: ExecutionQuerySet = queryset
        match self.value():
            case None:
                return rows
            case "open":
                return rows.open()
            case "unsuccessful":
                return rows.with_status([one.value for one in _UNSUCCESSFUL])
            case status:
                return rows.with_status(status)


def _words(status: str) -> str:
    return status.replace("_", " ")


class _NameFilter(SimpleListFilter):
    """Known names, and the one that is chosen, which may be known no more."""

    def names(self) -> list[str]:
        raise NotImplementedError

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the names."""
        chosen = request.GET.get(str(self.parameter_name))
        names = {*self.names(), *([chosen] if chosen else [])}
        return [(name, name) for name in sorted(names)]

    def has_output(self) -> bool:
        """Be there when there is a choice, or one was made."""
        return len(self.lookup_choices) > 1 or self.value() is not None


class WorkflowFilter(_NameFilter):
    """The workflows of this code."""

    title = _("workflow")
    parameter_name = "workflow"

    def names(self) -> list[str]:
        """Return those that are registered."""
        return registry.names()

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Any]:
        """Narrow the list."""
        rows: QuerySet[Any] = queryset
        return rows.filter(workflow=self.value()) if self.value() else rows


class QueueFilter(_NameFilter):
    """The queues of the settings: where an execution is claimed, or was started."""

    title = _("queue")
    parameter_name = "queue"

    def __init__(self, request: HttpRequest, *args: Any) -> None:
        """Read the queues of the instance."""
        self._queues = list(instances.instance_of(request).queues)
        super().__init__(request, *args)

    def names(self) -> list[str]:
        """Return those of the instance."""
        return self._queues

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Any]:
        """Narrow the list."""
        rows: QuerySet[Any] = queryset
        name = self.value()
        return rows.filter(Q(queue=name) | Q(home_queue=name)) if name else rows


class TagFilter(_NameFilter):
    """The tag that was clicked on."""

    title = _("tag")
    parameter_name = "tag"

    def names(self) -> list[str]:
        """Return none: only the database knows them, and it would have to look long."""
        return []

    def queryset(self, request: HttpRequest, queryset: Any) -> ExecutionQuerySet:
        """Narrow the list."""
        rows: ExecutionQuerySet = queryset
        tag = self.value()
        return rows.tagged(tag) if tag else rows


class CreatedFilter(SimpleListFilter):
    """When it was made; exact bounds are ``since:`` and ``until:`` in the search."""

    title = _("created")
    parameter_name = "created"

    _SPANS = {
        "15m": (_("past 15 minutes"), timedelta(minutes=15)),
        "1h": (_("past hour"), timedelta(hours=1)),
        "24h": (_("past 24 hours"), timedelta(hours=24)),
        "7d": (_("past 7 days"), timedelta(days=7)),
        "30d": (_("past 30 days"), timedelta(days=30)),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the spans."""
        return [(key, label) for key, (label, _span) in self._SPANS.items()]

    def queryset(self, request: HttpRequest, queryset: Any) -> ExecutionQuerySet:
        """Narrow the list."""
        rows: ExecutionQuerySet = queryset
        span = self._SPANS.get(self.value() or "")
        return rows.created_since(clock.now() - span[1]) if span else rows


class FailedStepsFilter(SimpleListFilter):
    """Whether any attempt of a step has failed, however the execution fared."""

    title = _("failed attempts")
    parameter_name = "failed_steps"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the one choice."""
        return [("yes", _("with failed attempts"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Any]:
        """Narrow the list."""
        rows: QuerySet[Any] = queryset
        if self.value() != "yes":
            return rows
        failed = Step.objects.using(rows.db).filter(
            execution=OuterRef("pk"), status__in=[one.value for one in _FAILED_ATTEMPTS]
        )
        return rows.filter(Exists(failed))


class InstanceFilter(SimpleListFilter):
    """Which instance the list is of, where there are several."""

    title = _("instance")
    parameter_name = instances.PARAMETER

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the instances, the default one first."""
        return [(alias, alias) for alias in get_instances()]

    def has_output(self) -> bool:
        """Be there when there is a choice."""
        return instances.are_several()

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """Return one choice per instance; there is no list of all."""
        chosen = self.value() or DEFAULT_INSTANCE
        for alias in get_instances():
            parameter = None if alias == DEFAULT_INSTANCE else alias
            yield {
                "selected": alias == chosen,
                "query_string": changelist.get_query_string(
                    {self.parameter_name: parameter}
                ),
                "display": alias,
            }

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Any]:
        """Return the list as it is, for it is of the right instance already."""
        rows: QuerySet[Any] = queryset
        return rows
