"""Members of a block and the execution that waits for them agree with each other."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from django_durable.models import Execution, Wait
from django_durable.models.execution import FINAL
from django_durable.store.health.finding import Finding, Patient
from django_durable.types import WaitKind, WaitStatus


def without_an_open_parent(patient: Patient) -> list[Finding]:
    """A lane is open whose execution has ended, or is gone."""
    using = patient.using
    around = Execution.rows.using(using).open().filter(pk=OuterRef("awaited_by"))
    lanes = Execution.rows.using(using).open().filter(~Exists(around), is_lane=True)
    ids = lanes.order_by("pk").values_list("pk", flat=True)
    return patient.finding(
        "lane_without_parent",
        ids[: patient.limit + 1],
        "A member of a block is open, but the execution that it is part of has ended "
        "or is gone.",
        "Cancel it by its id. Please report it with the output of `durable show`.",
        about="lane",
    )


def counted_wrongly(patient: Patient) -> list[Finding]:
    """An execution waits for another number of lanes than are open."""
    using = patient.using
    waits = _blocks_under_way(using).exclude(counted=F("stored"))
    waits |= _blocks_under_way(using).filter(stored=0)
    ids = waits.order_by("pk").values_list("row", flat=True)
    return patient.finding(
        "open_lanes_differ",
        ids[: patient.limit + 1],
        "It waits for another number of members (open_lanes) than are open, so it goes "
        "on too early, or never.",
        "If it does not move, cancel it. Please report it with the output of "
        "`durable show`.",
    )


def _blocks_under_way(using: str) -> QuerySet[Any, Any]:
    """Return the waits for lanes, with how many are ``stored`` and ``counted`` as open."""
    final = [status.value for status in FINAL]
    lanes = (
        Execution.rows.using(using)
        .filter(
            awaited_by=OuterRef("row"), awaited_visit=OuterRef("sequence"), is_lane=True
        )
        .order_by()
        .values("awaited_by")
        .annotate(count=Count("pk", filter=~Q(status__in=final)))
        .values("count")
    )
    rows = Execution.rows.using(using).filter(pk=OuterRef("row"))
    waits: QuerySet[Any, Any] = Wait.objects.using(using)
    found: QuerySet[Any, Any] = waits.annotate(
        row=Coalesce("lane", "execution_id"),
        counted=Coalesce(Subquery(lanes), 0),
        stored=Coalesce(Subquery(rows.values("open_lanes")), 0),
    )
    return found.filter(status=WaitStatus.OPEN, kind=WaitKind.LANES)
