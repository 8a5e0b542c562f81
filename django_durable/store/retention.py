"""Delete what has ended: whole families, from the bottom up, in short transactions.

A family is a topmost execution with its lanes and children at all levels. Its age is
that of the topmost execution; while any member is open, all of it stays. ``sweep``
deletes by age, ``delete`` what somebody has chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import PROTECT, RESTRICT, Model, Q

from django_durable import clock
from django_durable.models import Event, Execution, InputRequest, Log, Step, Wait
from django_durable.models.execution import FINAL, ExecutionQuerySet
from django_durable.store.batches import BATCH, in_batches
from django_durable.store.executions import LEAVING
from django_durable.types import ExecutionStatus

_FAMILIES = 200
_BATCH = BATCH
_ROWS = 1000

# In this order nothing refers to what is gone.
_DETAILS: tuple[type[Model], ...] = (Log, InputRequest, Event, Wait, Step)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """A row of a family; ``root`` is the topmost one."""

    id: UUID
    root: UUID
    is_lane: bool
    status: str

    @property
    def is_open(self) -> bool:
        return self.status not in FINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What deleting some executions comes to; ``kept``: which stay, and why.

    ``count`` is how many executions go, children of those that were chosen included.
    """

    members: Sequence[_Member]
    kept: Mapping[UUID, str]

    @property
    def count(self) -> int:
        return _executions_in(self.members)


def select(ids: Iterable[UUID], *, using: str) -> Selection:
    """Return what ``delete`` would do with these executions; nothing is changed.

    A child is deleted with its topmost parent only, for a ``retry`` of that needs it.
    """
    chosen = list(dict.fromkeys(ids))
    rows = [
        row
        for batch in in_batches(chosen, _BATCH)
        for row in Execution.rows.using(using)
        .filter(pk__in=batch)
        .values_list("pk", "parent", "status")
    ]
    roots = [(pk, status) for pk, parent, status in rows if parent is None]
    members, reasons = _families(roots, using)
    parents = {pk: parent for pk, parent, _ in rows}
    root_of = {member.id: member.root for member in members}
    kept = {}
    for pk in chosen:
        if pk not in parents:
            kept[pk] = "It is gone already."
        elif pk not in root_of:
            kept[pk] = f"It goes with its parent {parents[pk]}: delete the topmost one."
        elif root_of[pk] in reasons:
            kept[pk] = reasons[root_of[pk]]
    going = [member for member in members if member.root not in reasons]
    return Selection(members=going, kept=kept)


def delete(selection: Selection, *, using: str) -> Iterator[int]:
    """Delete what is selected, a batch at a time.

    Yields after each transaction how many executions are gone, lanes not counted. What
    somebody has opened again since is left as it is.
    """
    yield from _delete(_closed_for_good(selection.members, using), using)


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
        families, kept = _families([(pk, status) for pk, _ in found], using)
        members = [member for member in families if member.root not in kept]
        if deletes:
            yield from _delete(_closed_for_good(members, using), using)
        else:
            yield _executions_in(members)
        last, ended_at = found[-1]
        after = Q(completed_at__gt=ended_at) | Q(completed_at=ended_at, pk__gt=last)


def _next_families(
    found: ExecutionQuerySet, after: Q
) -> Sequence[tuple[UUID, datetime]]:
    rows = found.filter(after).order_by("completed_at", "pk")
    ended = rows.values_list("pk", "completed_at")[:_FAMILIES]
    return [(pk, completed_at) for pk, completed_at in ended if completed_at]


def _families(
    roots: Sequence[tuple[UUID, str]], using: str
) -> tuple[list[_Member], dict[UUID, str]]:
    """Return the members of families, topmost first, and why which family stays."""
    level = [
        _Member(id=pk, root=pk, is_lane=False, status=status) for pk, status in roots
    ]
    members: list[_Member] = []
    while level:
        members += level
        level = list(_below(level, using))
    protectors = _protectors(members, using)
    reasons: dict[UUID, str] = {}
    for member in members:
        if member.is_open:
            reasons.setdefault(member.root, _why_open(member))
        elif model := protectors.get(member.id):
            reasons.setdefault(member.root, f"A {model} refers to it.")
    return members, reasons


def _why_open(member: _Member) -> str:
    who = "It" if member.id == member.root else f"Its child {member.id}"
    return f"{who} is {member.status}: cancel it first, or let it end."


def _below(level: Sequence[_Member], using: str) -> Iterator[_Member]:
    """Yield lanes and children; a lane has none, for its parent has them."""
    root_of = {member.id: member.root for member in level if not member.is_lane}
    for parents in in_batches(list(root_of), _BATCH):
        rows = Execution.rows.using(using).filter(parent__in=parents)
        found = rows.values_list("pk", "parent", "is_lane", "status")
        for pk, parent, is_lane, status in found:
            if parent is not None:
                root = root_of[parent]
                yield _Member(id=pk, root=root, is_lane=is_lane, status=status)


def _protectors(members: Sequence[_Member], using: str) -> dict[UUID, str]:
    """Return which of these a model of the project must not lose, and which model."""
    ids = [member.id for member in members]
    found: dict[UUID, str] = {}
    for relation in Execution._meta.related_objects:
        if relation.on_delete not in (PROTECT, RESTRICT):
            continue
        name, model = relation.field.name, relation.related_model
        for batch in in_batches(ids, _BATCH):
            refers = model._base_manager.using(using).filter(**{f"{name}__in": batch})
            pks = refers.values_list(name, flat=True)
            found.update(dict.fromkeys(pks, str(model._meta.verbose_name)))
    return found


def _closed_for_good(members: Sequence[_Member], using: str) -> list[_Member]:
    """Let nobody retry these any more; return the members of families that stay so.

    What is filed under an execution goes before it does, in transactions of its own, so
    a lock would not keep it together.
    """
    failed = {
        member.id: member.root
        for member in members
        if member.status == ExecutionStatus.FAILED and not member.is_lane
    }
    rows = Execution.rows.using(using)
    with transaction.atomic(using=using):
        locked: set[UUID] = set()
        for batch in in_batches(sorted(failed), _BATCH):
            still = rows.filter(pk__in=batch, status=ExecutionStatus.FAILED)
            still = still.select_for_update(skip_locked=True).order_by("pk")
            locked.update(still.values_list("pk", flat=True))
        kept = {root for id_, root in failed.items() if id_ not in locked}
        closed = [id_ for id_, root in failed.items() if root not in kept]
        for batch in in_batches(closed, _BATCH):
            rows.filter(pk__in=batch).update(waiting_for=LEAVING)
    return [member for member in members if member.root not in kept]


def _delete(members: Sequence[_Member], using: str) -> Iterator[int]:
    """Delete members from the bottom up, and what is filed under each before it."""
    for batch in in_batches(members[::-1], _BATCH):
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
