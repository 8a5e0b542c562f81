"""How the nodes of a workflow stand: a few statements, however many steps there are.

What thousands of items have done is gathered by the database, by the path without its
indices.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from django.db.models import (
    BooleanField,
    Case,
    CharField,
    Count,
    ExpressionWrapper,
    F,
    IntegerField,
    Max,
    Min,
    Q,
    QuerySet,
    Value,
    When,
    Window,
)
from django.db.models.functions import Coalesce, Lead

from django_durable import clock
from django_durable.definition.charts import Chart
from django_durable.definition.paths import items_of, template
from django_durable.drawing.facts import Ended, Facts, OpenWait, Standers
from django_durable.drawing.judging import judge, judge_open
from django_durable.drawing.standing import Standing
from django_durable.models import Execution, Step, Wait
from django_durable.store.paths import Template, last_index_of
from django_durable.types import StepKind, WaitKind, WaitStatus


def standing_of(execution: Execution, chart: Chart, *, using: str) -> Standing:
    """Return how the nodes of ``chart`` stand in one execution of its workflow."""
    return judge(chart, facts_about(execution, chart, using=using), now=clock.now())


def standing_of_open(chart: Chart, *, using: str) -> Standing:
    """Return how many open executions of a workflow stand at each of its nodes.

    Not among them are those that were paused while they were ready to run, and items
    that wait for their turn: no index leads to these.
    """
    return judge_open(chart, _open_standers(chart.workflow, using))


def facts_about(execution: Execution, chart: Chart, *, using: str) -> Facts:
    """Return what the tables say about an execution, in three or four statements."""
    error = execution.error or {}
    has_loops = any(node.kind == "loop" for node in chart.nodes)
    return Facts(
        status=execution.status,
        has_started=execution.started_at is not None,
        due=execution.available_at,
        error_type=str(error.get("type") or ""),
        error_message=str(error.get("message") or ""),
        failed_at=template(error.get("step") or ""),
        ended=tuple(_ended(execution.pk, using, has_loops=has_loops)),
        standers=tuple(_standers(_family(execution.pk, using))),
        waits=tuple(_open_waits(execution.pk, using)),
        moves=frozenset(_moves(execution.pk, chart, using)),
    )


def _ended(id_: UUID, using: str, *, has_loops: bool) -> Iterator[Ended]:
    steps: QuerySet[Any, Any] = Step.objects.using(using).filter(execution=id_)
    # Only of a loop it is told how many rounds there were.
    nothing = Value(None, output_field=IntegerField())
    counted = (
        steps.order_by()
        .annotate(
            place=Template("path"),
            index=last_index_of("path") if has_loops else nothing,
        )
        .values("place", "kind", "status")
        .annotate(
            count=Count("pk"),
            attempts=Max("attempt"),
            last_index=Max("index"),
            first=Min("started_at"),
            last=Max("completed_at"),
        )
    )
    for row in counted:
        yield Ended(
            path=row["place"],
            kind=row["kind"],
            status=row["status"],
            count=row["count"],
            attempts=row["attempts"],
            last_index=row["last_index"],
            started_at=row["first"],
            completed_at=row["last"],
        )


def _family(id_: UUID, using: str) -> QuerySet[Any, Any]:
    rows: QuerySet[Any, Any] = Execution.rows.using(using)
    return rows.filter(Q(pk=id_) | Q(parent=id_, is_lane=True))


# What nobody has claimed yet stands before the node that it is to begin with.
_PLACE = Case(
    When(started_at=None, then=Value("")),
    default=Template("current_step"),
    output_field=CharField(),
)


def _standers(rows: QuerySet[Any, Any]) -> Iterator[Standers]:
    counted = (
        rows.order_by()
        .annotate(
            place=_PLACE,
            within=Template("scope"),
            is_item=_is(scope__endswith="]"),
            is_again=_is(attempt__gt=1),
            is_told=_is(waiting_for__gt=""),
        )
        .values("within", "is_item", "place", "status", "is_again", "is_told")
        .annotate(
            count=Count("pk"),
            highest=Max("attempt"),
            position=Max("current_step"),
            due=Min("available_at"),
        )
    )
    for row in counted:
        yield Standers(
            scope=items_of(row["within"]) if row["is_item"] else row["within"],
            path=row["place"],
            status=row["status"],
            count=row["count"],
            attempt=row["highest"],
            position=row["position"],
            is_told=row["is_told"],
            due=row["due"],
        )


def _is(**lookups: Any) -> ExpressionWrapper[Any]:
    return ExpressionWrapper(Q(**lookups), output_field=BooleanField())


def _open_waits(id_: UUID, using: str) -> Iterator[OpenWait]:
    waits: QuerySet[Any, Any] = Wait.objects.using(using)
    counted = (
        waits.filter(execution=id_, status=WaitStatus.OPEN)
        .exclude(kind=WaitKind.LANES)
        .order_by()
        .annotate(place=Template("path"))
        .values("place", "kind")
        .annotate(
            count=Count("pk"),
            one=Min("sentence"),
            since=Min("created_at"),
            first=Min("until"),
        )
    )
    for row in counted:
        yield OpenWait(
            path=row["place"],
            kind=row["kind"],
            count=row["count"],
            sentence=row["one"],
            since=row["since"],
            until=row["first"],
        )


def _moves(id_: UUID, chart: Chart, using: str) -> Iterable[tuple[str, str | None]]:
    """Return which nodes were visited right after which, each pair once.

    It is asked for the sake of decisions, and in lanes only if there are some in these.
    """
    decisions = [node.path for node in chart.nodes if node.kind == "decision"]
    if not decisions:
        return ()
    blocks = tuple(
        f"{node.path}." for node in chart.nodes if node.kind in ("parallel", "each")
    )
    # A compensation has the number of the visit that failed.
    steps: QuerySet[Any, Any] = Step.objects.using(using).filter(execution=id_)
    steps = steps.exclude(kind=StepKind.COMPENSATION).order_by()
    if not any(path.startswith(blocks) for path in decisions):
        steps = steps.filter(lane=None)
    following = Window(
        Lead("path"), partition_by=F("lane"), order_by=["sequence", "attempt"]
    )
    pairs: QuerySet[Any, tuple[str, str | None]] = (
        steps.annotate(place=Template("path"), after=Template(following))
        .values_list("place", "after")
        .distinct()
    )
    return pairs


def _open_standers(workflow: str, using: str) -> Iterator[Standers]:
    """Yield what has not ended, found through partial indexes: nothing else is read."""
    rows: QuerySet[Any, Any] = Execution.rows.using(using).filter(workflow=workflow)
    yield from _standers(rows.filter(available_at__isnull=False))
    yield from _standers(rows.filter(leased_by__isnull=False))
    waits: QuerySet[Any, Any] = Wait.objects.using(using)
    waiting = waits.filter(status=WaitStatus.OPEN).annotate(
        row=Coalesce("lane", "execution_id")
    )
    parked = rows.filter(available_at=None, leased_by=None)
    yield from _standers(parked.filter(pk__in=waiting.values("row")))
