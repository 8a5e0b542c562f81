"""Lanes and children: opened by a parked execution, which goes on when they have ended.

Whoever ends one locks the execution that waits for it first. So of two lanes that end
at the same instant one is the last, and the parent goes on exactly once.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import connections, transaction
from django.db.models import JSONField, Q
from django.db.models.functions import Cast

from django_durable import clock, codec
from django_durable.engine.actions import NewLane, OpenLanes
from django_durable.engine.state import Member
from django_durable.exceptions import LeaseLost
from django_durable.ids import new_id
from django_durable.models import Execution, Wait
from django_durable.models.execution import FINAL
from django_durable.models.fields import Encoded
from django_durable.store import (
    cancelling,
    executions,
    inserts,
    moves,
    statements,
    waits,
)
from django_durable.store.leases import LANE_COLUMNS, Claimed, LaneRow, Lease
from django_durable.store.moves import Move, Moved, Opening
from django_durable.types import ExecutionStatus, Tree, WaitKind, WaitStatus

REMOVED: Tree = {"$type": "removed"}
"""Stands in the data of a lane for a key that the lane has deleted.

No value encodes to it: a mapping of the user's that has this key is escaped.
"""

ITS_TURN = "its turn, for only so many items are open at once"
"""What an item waits for that ``max_concurrency`` holds back."""


def overlay(base: Tree, changes: Tree) -> Tree:
    """Return the data that a lane sees: what it started from, and what it changed."""
    merged = {**base, **changes}
    return {key: value for key, value in merged.items() if value != REMOVED}


def changes_to(base: Tree, data: Tree) -> Tree:
    """Return what turns ``base`` into ``data``: the inverse of ``overlay``."""
    changed = {
        key: value
        for key, value in data.items()
        if key not in base or not codec.is_same(base[key], value)
    }
    return changed | {key: REMOVED for key in base if key not in data}


# Members read these for each block; the ORM would take most of the time of one.
_BEFORE = """
SELECT is_lane, awaited_by, awaited_visit, data FROM {execution} WHERE id = %s
"""
_MEMBERS = """
SELECT {columns} FROM {execution}
WHERE awaited_by = %s AND awaited_visit = %s AND is_lane ORDER BY id
"""

_reading = threading.RLock()


def data_before(execution_id: UUID, visit: int, using: str) -> Tree:
    """Return the data of the execution that opened a block, as its lanes start from it.

    It does not change while they run, so it is kept: ``visit`` is part of the key.
    Raises ``LeaseLost`` when it is gone: cancelled with its lanes, and deleted.
    """
    # Lanes of a block begin at the same time: one reads, the others find it.
    with _reading:
        return _data_before(execution_id, visit, using)


@lru_cache(maxsize=32)
def _data_before(execution_id: UUID, visit: int, using: str) -> Tree:
    found = _read(_BEFORE, execution_id, using=using)
    if not found:
        raise LeaseLost(f"Execution {execution_id} was deleted.")
    is_lane, above, above_visit, data = found[0]
    tree: Tree = statements.loaded(data)
    if not is_lane:
        return tree
    return overlay(_data_before(UUID(str(above)), above_visit, using), tree)


def _read(
    sql: str, execution_id: UUID, *params: Any, using: str
) -> list[tuple[Any, ...]]:
    """Read executions by a statement that all databases understand alike."""
    connection = connections[using]
    id_ = Execution._meta.pk.get_db_prep_value(execution_id, connection)
    table = connection.ops.quote_name(Execution._meta.db_table)
    sql = sql.format(execution=table, columns=", ".join(LANE_COLUMNS))
    return statements.fetch(using, sql, (id_, *params))


def opening(
    claimed: Claimed, action: OpenLanes, *, sequence: int, given: Mapping[str, Any]
) -> Opening:
    """Return the lanes of a block, and the wait that parks its execution for them.

    ``given`` is what steps around the block get besides the data (``item``).
    """
    lease = claimed.lease
    pattern = inserts.new(
        workflow=claimed.workflow,
        is_lane=True,
        parent_id=lease.owner_id,
        awaited_by=lease.execution_id,
        awaited_visit=sequence,
        status=ExecutionStatus.PENDING,
        available_at=clock.db_now(),
        queue=claimed.home_queue,
        home_queue=claimed.home_queue,
        priority=claimed.priority,
        data=Encoded({}),
    )
    lanes: list[Execution] = []
    last = lease.execution_id
    for number, lane in enumerate(action.lanes):
        last = new_id(after=last)
        is_held = action.limit is not None and number >= action.limit
        columns = _lane(lane, given, is_held=is_held)
        lanes.append(inserts.like(pattern, id=last, **columns))
    return Opening(lanes, _wait(lease, action.path, sequence), action.limit)


def _wait(lease: Lease, path: str, sequence: int) -> Wait:
    return Wait(
        execution_id=lease.owner_id,
        lane=lease.lane,
        path=path,
        sequence=sequence,
        attempt=1,
        kind=WaitKind.LANES,
        ordinal=0,
        status=WaitStatus.OPEN,
        sentence=f"the members of {path}",
        created_at=clock.db_now(),
    )


def _lane(lane: NewLane, given: Mapping[str, Any], *, is_held: bool) -> dict[str, Any]:
    """Return the columns in which a lane differs from its siblings."""
    own = {} if lane.index is None else {"item": lane.item, "index": lane.index}
    columns: dict[str, Any] = {"scope": lane.path, "input": Encoded({**given, **own})}
    if lane.queue:
        columns["queue"] = lane.queue
    if is_held:
        columns |= {
            "status": ExecutionStatus.WAITING,
            "waiting_for": ITS_TURN,
            "available_at": None,
        }
    return columns


def members(lease: Lease, *, sequence: int) -> list[Member]:
    """Return how the lanes of a block stand, in the order in which they were opened."""
    return as_members(_read(_MEMBERS, lease.execution_id, sequence, using=lease.using))


def as_members(rows: Iterable[LaneRow]) -> list[Member]:
    """Return lanes as the planner sees them."""
    return [
        Member(
            path=scope,
            is_open=status not in FINAL,
            is_completed=status == ExecutionStatus.COMPLETED,
            value=overlay({}, statements.loaded(data)),
            error=statements.loaded(error),
        )
        for scope, status, data, error in rows
    ]


def finish(
    move: Move, *, awaited_by: UUID, result: Tree, fails_fast: bool, has_open: bool
) -> Moved | None:
    """Write the last move of a lane or a child, and let who waits for it know.

    ``fails_fast``: a failure cancels the siblings. ``has_open``: it may have waits,
    lanes or children open itself. ``None`` when the lease is lost.
    """
    using = move.lease.using
    with transaction.atomic(using=using):
        waiter = lock_waiter(awaited_by, using=using)
        moved = moves.write([move], using=using)[0]
        if moved is None:
            return None
        ended = Execution.rows.using(using).defer("input", "data")
        row = ended.get(pk=move.lease.execution_id)
        if has_open:
            cancelling.close_below(row.pk, owner_id=row.owner_id, using=using)
        if row.is_lane:
            _lane_ended(waiter, row, using, fails_fast)
        else:
            child_ended(waiter, row, result, using=using)
    return moved


def lock_waiter(awaited_by: UUID, *, using: str) -> Execution | None:
    """Lock the execution that waits for another one."""
    rows = Execution.rows.using(using).defer("input", "data").select_for_update()
    return rows.filter(pk=awaited_by).first()


def _lane_ended(
    waiter: Execution | None,
    row: Execution,
    using: str,
    fails_fast: bool,
) -> None:
    """Count a lane that has ended; the last one wakes the execution that waits."""
    if waiter is None or waiter.is_final or waiter.sequence != row.awaited_visit:
        return
    remaining = waiter.open_lanes - 1
    is_over = row.status == ExecutionStatus.CANCELLED or (
        fails_fast and row.status != ExecutionStatus.COMPLETED
    )
    if is_over:
        cancelling.cancel_below(waiter.pk, "a sibling has failed", using=using)
        remaining = 0
    elif remaining and waiter.lane_limit is not None:
        _open_next(row, using)
    Execution.rows.using(using).filter(pk=waiter.pk).update(open_lanes=remaining)
    if remaining <= 0:
        _wake_from(waiter, Q(kind=WaitKind.LANES), None, using)


def _open_next(row: Execution, using: str) -> None:
    """Give the turn of an item that has ended to the next one."""
    # Items get their turn in order of id, so the next one stands behind this one.
    held = Execution.rows.using(using).filter(
        awaited_by=row.awaited_by,
        pk__gt=row.pk,
        awaited_visit=row.awaited_visit,
        started_at=None,
        available_at=None,
        resumes_at=None,
        status__in=(ExecutionStatus.WAITING, ExecutionStatus.PAUSED),
    )
    following = held.order_by("id").select_for_update().first()
    if following is not None:
        executions.wake(following, using=using)


def child_ended(
    waiter: Execution | None, row: Execution, result: Tree, *, using: str
) -> None:
    """Hand the end of a child, however it came, to the call that waits for it."""
    if waiter is None or waiter.is_final:
        return
    answer = _answer_of_child(row, result)
    _wake_from(waiter, Q(kind=WaitKind.CHILD, child=row.pk), answer, using)


def answer_again(wait: Wait, child: Execution, *, using: str) -> None:
    """Replace the answer that a child gave by what it has come to since."""
    result = (
        Execution.rows.using(using)
        .annotate(tree=Cast("data", JSONField()))
        .values_list("tree", flat=True)
        .get(pk=child.pk)
    )
    answer = _answer_of_child(child, result)
    waits.close(wait, using, status=WaitStatus.SATISFIED, answer=answer)


def _answer_of_child(row: Execution, result: Tree) -> Tree:
    return {
        "id": str(row.pk),
        "status": row.status,
        "result": result if row.status == ExecutionStatus.COMPLETED else None,
        "error": row.error,
    }


def _wake_from(waiter: Execution, which: Q, answer: Any, using: str) -> None:
    asked = Wait.objects.using(using).filter(
        waits.of(waiter.pk, waiter.owner_id), which
    )
    for wait in asked.filter(status=WaitStatus.OPEN):
        waits.satisfy(wait, answer, using=using)
