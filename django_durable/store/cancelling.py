"""Cancel what belongs to an execution: lanes, items and children, at all levels.

Rows are locked in order of id over all levels at once, as a batch of moves locks its
rows: level by level would be another order where a lane is younger than a grandchild.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db.models import F, Q, QuerySet

from django_durable import clock
from django_durable.models import Execution
from django_durable.store import announcements, executions, waits
from django_durable.store.batches import in_batches
from django_durable.types import ErrorInfo, ExecutionStatus, Tree


def cancel_child(child: UUID, reason: str, *, using: str) -> None:
    """Cancel one open child, with its family."""
    error = ErrorInfo("cancelled", reason).as_json()
    for row in _lock_open(Q(pk=child), using):
        _cancel([row], error, using)
    cancel_family(child, reason, using=using)


def close_below(id_: UUID, *, owner_id: UUID, using: str) -> None:
    """Close what an ended execution waited for, and cancel what it waited on."""
    executions.close_waits(waits.of(id_, owner_id), using=using)
    cancel_below(id_, "what called it has ended", using=using)


def cancel_below(id_: UUID, reason: str, *, using: str) -> None:
    """Cancel all open lanes and awaited children below, at every level."""
    _cancel_under("awaited_by__in", id_, reason, using)


def cancel_family(id_: UUID, reason: str, *, using: str) -> None:
    """Cancel everything open that belongs to it, children nobody waits for too."""
    _cancel_under("parent__in", id_, reason, using)


def _cancel_under(link: str, id_: UUID, reason: str, using: str) -> None:
    """Cancel the open rows under a locked one, at all levels, in order of id.

    A row under a lock may have opened more just before, so looking goes on until there
    is nothing new. What is cancelled opens no more.
    """
    error = ErrorInfo("cancelled", reason).as_json()
    known = [id_]
    while found := sorted(_open_under(link, known, using)):
        for batch in in_batches(found):
            _cancel(_lock_open(Q(pk__in=batch), using), error, using)
        known += found


def _open_under(link: str, above: Sequence[UUID], using: str) -> set[UUID]:
    """Return the open rows at all levels below these; nothing is locked."""
    found: set[UUID] = set()
    rows = Execution.rows.using(using).open()
    while above:
        below: set[UUID] = set()
        for batch in in_batches(above):
            below.update(rows.filter(**{link: batch}).values_list("pk", flat=True))
        above = list(below - found)
        found |= below
    return found


def _cancel(rows: Sequence[Execution], error: Tree, using: str) -> None:
    """Cancel locked rows, and close what they waited for."""
    if not rows:
        return
    ids = [row.pk for row in rows]
    Execution.rows.using(using).filter(pk__in=ids).update(
        status=ExecutionStatus.CANCELLED,
        error=error,
        lease_token=F("lease_token") + 1,
        leased_by=None,
        available_at=None,
        resumes_at=None,
        open_lanes=0,
        waiting_for="",
        completed_at=clock.db_now(),
    )
    asked = Q(lane__in=ids) | Q(lane=None, execution__in=ids)
    # Waits are found by the execution that they are filed under.
    asked &= Q(execution__in={row.owner_id for row in rows})
    executions.close_waits(asked, using=using)
    announcements.cancelled(ids, error, using=using)


def _lock_open(which: Q, using: str) -> list[Execution]:
    """Lock those of some rows that are open, in order of id."""
    rows: QuerySet[Execution] = Execution.rows.using(using).open().filter(which)
    rows = rows.only("pk", "parent", "is_lane").select_for_update()
    return list(rows.order_by("id"))
