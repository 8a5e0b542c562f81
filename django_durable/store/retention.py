"""Delete what has ended long ago: whole families, bottom up, in short transactions.

A family is a topmost execution with its lanes and children at all levels. Its age is
that of the topmost execution; while any member is open, all of it stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from django.db import transaction
from django.db.models import PROTECT, RESTRICT, Model, Q

from django_durable import clock
from django_durable.models import Event, Execution, InputRequest, Log, Step, Wait
from django_durable.models.execution import FINAL, ExecutionQuerySet

_FAMILIES = 200
_BATCH = 500
_ROWS = 1000

_T = TypeVar("_T")

# In this order nothing refers to what is gone.
_DETAILS: tuple[type[Model], ...] = (Log, InputRequest, Event, Wait, Step)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """A row of a family; ``root`` is the topmost one."""

    id: UUID
    root: UUID
    is_lane: bool
    is_open: bool


def expired(status: str, older_than: timedelta, *, using: str) -> ExecutionQuerySet:
    """Return topmost executions in a final status that ended ``older_than`` ago."""
    return Execution.rows.using(using).filter(
        status=status, parent=None, completed_at__lt=clock.due(-older_than)
    )


def sweep(
    status: str, older_than: timedelta, *, using: str, deletes: bool = True
) -> Iterator[int]:
    """Delete expired families, a batch at a time, longest ended first.

    Yields after each transaction how many executions are gone, lanes not counted. What
    another process has locked, or a model of the project protects, is left as it is.
    Unless it ``deletes``, it only counts.
    """
    after: Q = Q()
    while found := _next_families(expired(status, older_than, using=using), after):
        members = _deletable_members([pk for pk, _ in found], using)
        if deletes:
            yield from _delete(members, using)
        else:
            yield _executions_in(members)
        last, ended_at = found[-1]
        after = Q(completed_at__gt=ended_at) | Q(completed_at=ended_at, pk__gt=last)


def delete(roots: Sequence[UUID], *, using: str) -> int:
    """Delete families by hand, however long ago they ended; return how many are gone.

    What counts are executions, lanes not counted. A family with an open member stays,
    and so does a child: it goes with its topmost parent.
    """
    topmost = Execution.rows.using(using).filter(
        pk__in=roots, parent=None, status__in=FINAL
    )
    members = _deletable_members(list(topmost.values_list("pk", flat=True)), using)
    return sum(_delete(members, using))


def _next_families(
    found: ExecutionQuerySet, after: Q
) -> Sequence[tuple[UUID, datetime]]:
    rows = found.filter(after).order_by("completed_at", "pk")
    ended = rows.values_list("pk", "completed_at")[:_FAMILIES]
    return [(pk, completed_at) for pk, completed_at in ended if completed_at]


def _deletable_members(roots: Sequence[UUID], using: str) -> list[_Member]:
    """Return the members of the families that may be deleted, topmost first."""
    level = [_Member(id=pk, root=pk, is_lane=False, is_open=False) for pk in roots]
    members: list[_Member] = []
    while level:
        members += level
        level = list(_below(level, using))
    protected = _protected(members, using)
    kept = {one.root for one in members if one.is_open or one.id in protected}
    return [member for member in members if member.root not in kept]


def _below(level: Sequence[_Member], using: str) -> Iterator[_Member]:
    """Yield lanes and children; a lane has none, for its parent has them."""
    root_of = {member.id: member.root for member in level if not member.is_lane}
    for parents in _batches(list(root_of)):
        rows = Execution.rows.using(using).filter(parent__in=parents)
        found = rows.values_list("pk", "parent", "is_lane", "status")
        for pk, parent, is_lane, status in found:
            if parent is not None:
                is_open = status not in FINAL
                yield _Member(
                    id=pk, root=root_of[parent], is_lane=is_lane, is_open=is_open
                )


def _protected(members: Sequence[_Member], using: str) -> set[UUID]:
    """Return which of these the project's own models must not lose."""
    ids = [member.id for member in members]
    found: set[UUID] = set()
    for relation in Execution._meta.related_objects:
        if relation.on_delete not in (PROTECT, RESTRICT):
            continue
        name, rows = relation.field.name, relation.related_model._base_manager
        for batch in _batches(ids):
            refers = rows.using(using).filter(**{f"{name}__in": batch})
            found.update(refers.values_list(name, flat=True))
    return found


def _delete(members: Sequence[_Member], using: str) -> Iterator[int]:
    """Delete members from the bottom up, and what is filed under each before it."""
    for batch in _batches(members[::-1]):
        owners = [member.id for member in batch if not member.is_lane]
        for model in _DETAILS:
            while _delete_details(model, owners, using):
                yield 0
        yield _delete_executions(batch, using)


def _delete_details(model: type[Model], owners: Sequence[UUID], using: str) -> bool:
    """Delete some of what is filed under executions; say whether there is more."""
    rows = model._default_manager.using(using)
    found = rows.filter(execution__in=owners).order_by().values_list("pk", flat=True)
    ids = list(found[:_ROWS])
    if ids:
        # Only these tables refer to each other, so nothing needs to be looked for.
        rows.filter(pk__in=ids)._raw_delete(using)
    return len(ids) == _ROWS


def _delete_executions(batch: Sequence[_Member], using: str) -> int:
    """Delete rows that nobody has opened again or locked meanwhile."""
    rows = Execution.rows.using(using)
    with transaction.atomic(using=using):
        doomed = set(
            rows.filter(pk__in=[member.id for member in batch], status__in=FINAL)
            .select_for_update(skip_locked=True)
            .values_list("pk", flat=True)
        )
        # Whoever keeps a child is kept, and so on upwards.
        below = rows.exclude(pk__in=doomed).values_list("parent", flat=True)
        while kept := set(below.filter(parent__in=doomed)):
            doomed -= kept
            below = rows.exclude(pk__in=doomed).values_list("parent", flat=True)
        # By the ORM, for models of the project may refer to executions.
        rows.filter(pk__in=doomed).only("pk", "parent").delete()
    return _executions_in(member for member in batch if member.id in doomed)


def _executions_in(members: Iterable[_Member]) -> int:
    return sum(not member.is_lane for member in members)


def _batches(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]
