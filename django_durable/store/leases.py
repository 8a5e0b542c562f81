"""Claim executions, and hold one while writing.

The token of a lease only ever grows, and losing a lease does not reset it. A worker that
slept through its lease therefore never matches again, not even if the same worker
claims the same execution a second time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeAlias
from uuid import UUID

from django.db import connections, models, transaction
from django.db.models import Case, F, Value, When
from django.db.models.functions import Cast, Coalesce

from django_durable import clock
from django_durable.exceptions import LeaseLost
from django_durable.models import Execution
from django_durable.store import statements
from django_durable.types import ExecutionStatus, Tree


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write to one execution, on the database alias ``using``.

    ``owner_id`` is the execution of a workflow that it is part of: itself, or for a
    lane the one that steps, waits and events are filed under.
    """

    execution_id: UUID
    token: int
    using: str
    owner_id: UUID

    @property
    def lane(self) -> UUID | None:
        """The lane that is leased, or ``None`` when it is a workflow's execution."""
        return None if self.execution_id == self.owner_id else self.execution_id


LaneRow: TypeAlias = Sequence[Any]
"""Of a lane that its block is about to join: scope, status, data, error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A leased execution as it was when it was claimed; ``data`` is encoded.

    ``seconds_left`` is until the workflow's timeout, on the database's clock. Of a
    lane, ``data`` is what it changed so far, ``input`` its item and index. ``failure``
    is the error that is being compensated. ``is_first``: nobody has claimed it before.

    ``base`` is the data that a lane starts from, ``lanes`` are those of the block that
    the execution stands at. Each is ``None`` where it is to be read when it is needed.
    """

    lease: Lease
    workflow: str
    position: str | None
    sequence: int
    attempt: int
    calls: int
    queue: str
    home_queue: str
    priority: int
    data: Tree
    step_started_at: datetime
    seconds_left: float | None
    is_first: bool = False
    scope: str = ""
    awaited_by: UUID | None = None
    awaited_visit: int | None = None
    input: Tree | None = None
    failure: Tree | None = None
    base: Tree | None = None
    lanes: Sequence[LaneRow] | None = None

    def __str__(self) -> str:
        """Name it as the logs do."""
        return f"{self.workflow} {self.lease.execution_id}"


LANE_COLUMNS = ("scope", "status", "data", "error")
"""The columns of a ``LaneRow``."""

_MOST_LANES = 100
"""Those of a larger block are read when it is joined, and do not hold up a claim."""

_COLUMNS = (
    "lease_token",
    "parent_id",
    "is_lane",
    "current_step",
    # From here on as they are called in ``Claimed``.
    "workflow",
    "sequence",
    "attempt",
    "calls",
    "queue",
    "home_queue",
    "priority",
    "scope",
    "awaited_by",
    "awaited_visit",
)


def claim(*, queue: str, worker_id: UUID, limit: int, using: str) -> list[Claimed]:
    """Lease up to ``limit`` executions of ``queue``, in claim order."""
    if limit < 1:
        return []
    if connections[using].vendor == "postgresql":
        return _claim_by_statement(queue, worker_id, limit, using)
    return _claim_by_rows(queue, worker_id, limit, using)


# PostgreSQL may run an `IN (SELECT … LIMIT n FOR UPDATE SKIP LOCKED)` more than once and
# take more than n rows; the materialised CTE runs it once. The limit is no parameter: of
# a number that it does not know the planner expects a tenth of the table.
#
# What a lane starts from is sent with one lane of its block. That of a lane in a lane
# is more than what stands in the one row above it.
_CLAIM = """
WITH moment AS MATERIALIZED (
    SELECT COALESCE(%s::timestamptz, statement_timestamp()) AS now
), picked AS MATERIALIZED (
    SELECT id, available_at, started_at FROM {execution}
    WHERE queue = %s AND available_at <= COALESCE(%s::timestamptz, statement_timestamp())
    ORDER BY priority DESC, available_at, id LIMIT {limit} FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE {execution} AS e SET
        status = CASE WHEN e.error IS NULL THEN 'running' ELSE 'compensating' END,
        leased_by = %s,
        lease_token = e.lease_token + 1,
        available_at = NULL,
        waiting_for = '',
        started_at = COALESCE(e.started_at, moment.now),
        step_started_at = COALESCE(e.step_started_at, moment.now),
        expires_at = CASE WHEN e.error IS NULL
            THEN COALESCE(e.expires_at, moment.now + e.timeout) END
    FROM picked, moment
    WHERE e.id = picked.id AND e.id = ANY (ARRAY(SELECT id FROM picked))
    RETURNING -e.priority AS rank, picked.available_at, e.id,
        picked.started_at IS NULL AS is_first,
        (EXTRACT(EPOCH FROM e.step_started_at) * 1000000)::bigint AS step_started_at,
        EXTRACT(EPOCH FROM e.expires_at - moment.now)::float8 AS seconds_left,
        CASE WHEN e.is_lane THEN e.input END AS given, e.data, e.error, {claimed_columns},
        CASE WHEN e.is_lane THEN e.awaited_by END AS above
)
SELECT above,
    CASE WHEN row_number() OVER (PARTITION BY above) = 1 THEN (
        SELECT before.data FROM {execution} AS before
        WHERE before.id = above AND NOT before.is_lane
    ) END,
    CASE WHEN calls > 0 THEN (
        SELECT CASE WHEN count(*) <= {most_lanes}
            THEN json_agg(json_build_array({lane_columns}) ORDER BY id) END
        FROM (
            SELECT id, {lane_columns} FROM {execution} AS lane
            WHERE lane.awaited_by = claimed.id AND lane.is_lane
                AND lane.awaited_visit = claimed.sequence
            ORDER BY lane.id LIMIT {most_lanes} + 1
        ) AS lane
    ) END,
    id, is_first, step_started_at, seconds_left, given, data, error, {columns}
FROM claimed ORDER BY rank, available_at, id
"""


def _claim_by_statement(
    queue: str, worker_id: UUID, limit: int, using: str
) -> list[Claimed]:
    frozen = clock.frozen_instant()
    rows = statements.fetch(
        using, _claim_sql(limit, using), (frozen, queue, frozen, worker_id)
    )
    bases = {above: statements.loaded(base) for above, base, *_ in rows if base}
    return [
        _claimed(
            using,
            id_,
            is_first=is_first,
            step_started_at=clock.from_microseconds(step_started_at),
            seconds_left=seconds_left,
            given=statements.loaded(given),
            data=statements.loaded(data),
            failure=statements.loaded(failure),
            base=bases.get(above),
            lanes=statements.loaded(lanes),
            columns=columns,
        )
        for (
            above,
            _base,
            lanes,
            id_,
            is_first,
            step_started_at,
            seconds_left,
            given,
            data,
            failure,
            *columns,
        ) in rows
    ]


@lru_cache(maxsize=256)
def _claim_sql(limit: int, using: str) -> str:
    return _CLAIM.format(
        execution=connections[using].ops.quote_name(Execution._meta.db_table),
        columns=", ".join(_COLUMNS),
        claimed_columns=", ".join(f"e.{column}" for column in _COLUMNS),
        lane_columns=", ".join(LANE_COLUMNS),
        most_lanes=_MOST_LANES,
        limit=int(limit),
    )


_STATUS_OF_CLAIMED = Case(
    When(error__isnull=True, then=Value(ExecutionStatus.RUNNING.value)),
    default=Value(ExecutionStatus.COMPENSATING.value),
)


def _claim_by_rows(
    queue: str, worker_id: UUID, limit: int, using: str
) -> list[Claimed]:
    """Claim with the ORM alone. On SQLite the transaction is the lock (IMMEDIATE)."""
    if not Execution.rows.using(using).claimable(queue=queue).exists():
        return []
    with transaction.atomic(using=using):
        found = dict(_candidates(queue, limit, using))
        rows = Execution.rows.using(using).filter(pk__in=found)
        # Should the database have ignored the lock, this takes only what is still there.
        rows.claimable(queue=queue).update(
            status=_STATUS_OF_CLAIMED,
            leased_by=worker_id,
            lease_token=F("lease_token") + 1,
            available_at=None,
            waiting_for="",
            started_at=Coalesce("started_at", clock.db_now()),
            step_started_at=Coalesce("step_started_at", clock.db_now()),
        )
        # Of an execution that is being undone no time runs out any more.
        rows.filter(timeout__isnull=False, expires_at=None, error__isnull=True).update(
            expires_at=models.ExpressionWrapper(
                clock.db_now() + F("timeout"), output_field=models.DateTimeField()
            )
        )
        claimed = {row[0]: row for row in _read(rows.filter(leased_by=worker_id))}
    return [
        _claimed_row(using, claimed[pk], is_first=started_at is None)
        for pk, started_at in found.items()
        if pk in claimed
    ]


def _candidates(queue: str, limit: int, using: str) -> models.QuerySet[Any, Any]:
    return (
        Execution.rows.using(using)
        .select_for_update(skip_locked=True)
        .claimable(queue=queue)
        .in_claim_order()
        .values_list("pk", "started_at")[:limit]
    )


def _read(rows: models.QuerySet[Execution, Execution]) -> models.QuerySet[Any, Any]:
    return rows.annotate(
        now=models.ExpressionWrapper(
            clock.db_now(), output_field=models.DateTimeField()
        ),
        tree=Cast("data", models.JSONField()),
        given=Cast("input", models.JSONField()),
    ).values_list(
        "pk",
        "now",
        "step_started_at",
        "expires_at",
        "given",
        "tree",
        "error",
        *_COLUMNS,
    )


def _claimed_row(using: str, row: Sequence[Any], *, is_first: bool) -> Claimed:
    id_, now, step_started_at, expires_at, given, data, failure, *columns = row
    return _claimed(
        using,
        id_,
        is_first=is_first,
        step_started_at=step_started_at,
        seconds_left=(expires_at - now).total_seconds() if expires_at else None,
        given=given,
        data=data,
        failure=failure,
        columns=columns,
    )


def _claimed(
    using: str,
    id_: UUID,
    *,
    is_first: bool,
    given: Tree | None,
    columns: Sequence[Any],
    **values: Any,
) -> Claimed:
    token, owner_id, is_lane, position, *others = columns
    return Claimed(
        lease=Lease(id_, token, using, owner_id if is_lane else id_),
        position=position or None,
        is_first=is_first,
        input=given if is_lane else None,
        **values,
        **dict(zip(_COLUMNS[4:], others, strict=True)),
    )


HELD = (ExecutionStatus.RUNNING, ExecutionStatus.COMPENSATING, ExecutionStatus.PAUSED)


def held(lease: Lease) -> models.QuerySet[Execution, Execution]:
    """Return the row that ``lease`` is for, if the lease still holds: at most one."""
    return Execution.rows.using(lease.using).filter(
        pk=lease.execution_id,
        lease_token=lease.token,
        leased_by__isnull=False,
        # A paused execution keeps its lease until the step that runs has ended.
        status__in=HELD,
    )


def hold(lease: Lease) -> Execution:
    """Lock the leased row for the rest of the transaction, or raise ``LeaseLost``."""
    row = held(lease).defer("input", "data").select_for_update().first()
    if row is None:
        raise LeaseLost(f"Execution {lease.execution_id} has another owner now.")
    return row


def holds(lease: Lease) -> bool:
    """Say whether the lease still holds, without locking anything."""
    return held(lease).exists()


def now_in(using: str) -> datetime:
    """Return the database's current instant."""
    frozen = clock.frozen_instant()
    if frozen:
        return frozen
    if connections[using].vendor == "postgresql":
        with connections[using].cursor() as cursor:
            cursor.execute("SELECT statement_timestamp()")
            return cursor.fetchone()[0]  # type: ignore[no-any-return]
    # An embedded database runs on this machine, so its clock is this process's.
    return clock.now()
