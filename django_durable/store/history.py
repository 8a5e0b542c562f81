"""What an execution has done, read back to undo it."""

from __future__ import annotations

from uuid import UUID

from django.db.models import JSONField, Q
from django.db.models.functions import Cast

from django_durable.engine.state import Done
from django_durable.models import Execution, Step
from django_durable.store import families
from django_durable.store.leases import Lease
from django_durable.store.moves import StepEnd
from django_durable.types import StepKind, StepStatus, Tree


def history(lease: Lease, *, sequence: int) -> list[Done]:
    """Return completed steps and ended compensations, latest ended first.

    Steps of lanes are among them. A compensation has ended when its visit has: one of
    visit number ``sequence`` may still be tried again.
    """
    is_undo = Q(kind=StepKind.COMPENSATION)
    rows = (
        Step.objects.using(lease.using)
        .filter(execution=lease.owner_id)
        .filter(
            ~is_undo & Q(status=StepStatus.COMPLETED)
            | is_undo & Q(undoes__isnull=False, sequence__lt=sequence)
        )
        .order_by("-completed_at", "-id")
        .values_list("id", "path", "undoes", "status")
    )
    found: list[Done] = []
    ended: set[UUID] = set()
    for id_, path, undoes, status in rows:
        if undoes is None:
            found.append(Done(id=id_, path=path))
        elif undoes not in ended:
            # The latest attempt of a compensation says how it ended.
            ended.add(undoes)
            is_completed = status == StepStatus.COMPLETED
            found.append(
                Done(id=id_, path=path, is_completed=is_completed, undoes=undoes)
            )
    return found


def undone(end: StepEnd) -> Done:
    """Return what the end of a compensation adds to the history."""
    is_completed = end.status == StepStatus.COMPLETED
    return Done(id=end.id, path=end.path, is_completed=is_completed, undoes=end.undoes)


def seen_by(step_id: UUID, data: Tree, *, using: str) -> tuple[Tree, Tree]:
    """Return the data for undoing a step, and what its lane gave it besides; encoded.

    ``data`` is that of the execution. What the lanes around the step have changed is
    laid over it, and over that what the step itself gave.
    """
    tree, lane = (
        Step.objects.using(using)
        .annotate(tree=Cast("output", JSONField()))
        .values_list("tree", "lane")
        .get(pk=step_id)
    )
    changes, given = _lanes_around(lane, using) if lane else ([], {})
    for changed in changes:
        data = families.overlay(data, changed)
    return {**data, **(tree or {})}, given


def _lanes_around(lane: UUID, using: str) -> tuple[list[Tree], Tree]:
    """Return what the lanes around have changed, outermost first, and item and index."""
    changes: list[Tree] = []
    given: Tree | None = None
    above: UUID | None = lane
    while above:
        is_lane, awaited_by, changed, own = (
            Execution.rows.using(using)
            .annotate(tree=Cast("data", JSONField()), given=Cast("input", JSONField()))
            .values_list("is_lane", "awaited_by", "tree", "given")
            .get(pk=above)
        )
        if not is_lane:
            break
        changes.insert(0, changed)
        given = own if given is None else given
        above = awaited_by
    return changes, given or {}
