"""Moves as one statement on PostgreSQL, however many there are.

What the columns become is said here in SQL, and in ``moves`` for the ORM; the same
tests hold for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from django.db import connections

from django_durable import clock, codec
from django_durable.models import Execution, Step, Wait
from django_durable.models.execution import FINAL
from django_durable.store import inserts, statements, wakeups
from django_durable.types import Moment, Tree

if TYPE_CHECKING:
    from django_durable.store.moves import Move, Opening, StepEnd

# The rows are found by an array of ids, and by nothing else: of a join with the moves,
# whose number it cannot know, the planner would rather read a whole table or index. They
# are locked in order of id first, as by all who lock several; an update follows no order.
# A move that is written again, for its answer was lost, finds its row where it leads, and
# records no step. Only of what others may claim their workers are told: a notification
# makes commits wait for each other.
#
# A lane that ends is counted down where its siblings are awaited, and the last one wakes
# who waits. Where more is to be done than that, a lane is left out, as if others had
# locked the row; and so where who waits moves itself, for no row is updated twice.
_WRITE = """
WITH moment AS MATERIALIZED (
    SELECT COALESCE(%s::timestamptz, statement_timestamp()) AS now
), move AS MATERIALIZED (
    SELECT m.*, moment.now,
        row_number() OVER (PARTITION BY waiter ORDER BY number) AS nth
    FROM moment, json_to_recordset(%s) AS m(
        number int, id uuid, token bigint, becomes text, is_final bool, keeps_lease bool,
        position text, sequence int, attempt int, data jsonb, adds_output bool,
        error jsonb, due_at timestamptz, due_in float8, queue text, waiting_for text,
        step_id uuid, owner_id uuid, lane uuid, undoes uuid, path text, kind text,
        step_sequence int, step_attempt int, step_status text, output jsonb,
        step_error jsonb, started_at timestamptz, waiter uuid, visit int,
        lane_pattern jsonb, lanes jsonb, lane_limit int, wait jsonb, wakes text[]
    )
), locked AS MATERIALIZED (
    SELECT id, sequence, attempt, status, lease_token, leased_by, open_lanes, lane_limit,
        completed_at
    FROM {execution} WHERE id = ANY (ARRAY(SELECT unnest(ARRAY[id, waiter]) FROM move))
    ORDER BY id FOR UPDATE{waiting}
), ready AS MATERIALIZED (
    SELECT move.*, was.lease_token = move.token AND was.leased_by IS NOT NULL
            AND was.status IN ('running', 'compensating', 'paused') AS is_held,
        (was.sequence, was.attempt, was.status)
            IS DISTINCT FROM (move.sequence, move.attempt, move.becomes) AS is_new
    FROM move JOIN locked AS was ON was.id = move.id
    LEFT JOIN locked AS w ON w.id = move.waiter
    WHERE move.waiter IS NULL OR (w.sequence = move.visit AND w.completed_at IS NULL
        AND w.lane_limit IS NULL AND move.nth <= w.open_lanes
        AND NOT EXISTS (SELECT FROM move AS own WHERE own.id = move.waiter))
), moved AS (
    UPDATE {execution} AS e SET
        status = CASE WHEN e.status = 'paused' AND NOT m.is_final
            THEN 'paused' ELSE m.becomes END,
        current_step = m.position,
        sequence = m.sequence,
        attempt = m.attempt,
        calls = CASE WHEN e.sequence <> m.sequence THEN 0
            WHEN m.wait IS NOT NULL THEN e.calls + 1 ELSE e.calls END,
        data = CASE WHEN m.adds_output THEN e.data || m.output
            ELSE COALESCE(m.data, e.data) END,
        open_lanes = COALESCE(jsonb_array_length(m.lanes), e.open_lanes),
        lane_limit = CASE WHEN m.wait IS NULL THEN e.lane_limit ELSE m.lane_limit END,
        error = m.error,
        expires_at = CASE WHEN m.error IS NULL THEN e.expires_at END,
        queue = COALESCE(m.queue, e.queue),
        waiting_for = CASE WHEN e.status = 'paused' AND NOT m.is_final
            THEN e.waiting_for ELSE m.waiting_for END,
        available_at = CASE WHEN e.status = 'paused' OR m.is_final OR m.keeps_lease
            THEN NULL ELSE LEAST(
                COALESCE(m.due_at, m.now + make_interval(secs => m.due_in)), e.expires_at
            ) END,
        resumes_at = CASE WHEN e.status = 'paused' AND NOT m.is_final
            THEN LEAST(COALESCE(m.due_at, m.now + make_interval(
                secs => CASE WHEN m.keeps_lease THEN 0 ELSE m.due_in END
            )), e.expires_at) END,
        leased_by = CASE WHEN e.status <> 'paused' AND m.keeps_lease
            THEN e.leased_by END,
        step_started_at = CASE WHEN e.status <> 'paused' AND m.keeps_lease
            THEN m.now END,
        completed_at = CASE WHEN m.is_final THEN m.now END
    FROM ready AS m
    WHERE m.is_held AND e.id = m.id AND e.id = ANY (ARRAY(SELECT id FROM locked))
    RETURNING e.status, m.*
), counted AS (
    UPDATE {execution} AS w SET
        open_lanes = w.open_lanes - ended.lanes,
        status = CASE WHEN ended.are_all AND w.status = 'waiting'
            THEN 'pending' ELSE w.status END,
        waiting_for = CASE WHEN ended.are_all AND w.status = 'waiting'
            THEN '' ELSE w.waiting_for END,
        available_at = CASE WHEN ended.are_all AND w.status = 'waiting'
            THEN ended.now ELSE w.available_at END,
        resumes_at = CASE WHEN ended.are_all AND w.status = 'paused'
            THEN ended.now ELSE w.resumes_at END
    FROM (
        SELECT waiter, now, count(*) AS lanes, count(*) = locked.open_lanes AS are_all
        FROM moved JOIN locked ON locked.id = moved.waiter
        GROUP BY waiter, now, locked.open_lanes
    ) AS ended
    WHERE w.id = ended.waiter AND w.id = ANY (ARRAY(SELECT waiter FROM moved))
    RETURNING w.id, w.is_lane, w.parent_id, w.status, w.queue, ended.now, ended.are_all
), joined AS (
    UPDATE {wait} AS wait SET status = 'satisfied', closed_at = counted.now
    FROM counted
    WHERE counted.are_all AND wait.kind = 'lanes' AND wait.status = 'open'
        AND wait.lane IS NOT DISTINCT FROM CASE WHEN counted.is_lane THEN counted.id END
        AND wait.execution_id = ANY (ARRAY(
            SELECT CASE WHEN is_lane THEN parent_id ELSE id END FROM counted WHERE are_all
        ))
        AND wait.execution_id
            = CASE WHEN counted.is_lane THEN counted.parent_id ELSE counted.id END
), recorded AS (
    INSERT INTO {step} (
        id, execution_id, lane, undoes, path, kind, sequence, attempt, status, output,
        error, started_at, completed_at
    )
    SELECT step_id, COALESCE(owner_id, id), lane, undoes, path, kind, step_sequence,
        step_attempt, step_status, output, step_error, started_at, now
    FROM moved WHERE step_id IS NOT NULL AND is_new
), opened AS (
    INSERT INTO {execution} SELECT lane.* FROM moved
    CROSS JOIN LATERAL jsonb_populate_recordset(
        jsonb_populate_record(NULL::{execution}, moved.lane_pattern), CASE
            WHEN moved.status = 'paused' THEN (SELECT jsonb_agg(own || jsonb_build_object(
                'status', 'paused', 'available_at', NULL, 'resumes_at',
                (moved.lane_pattern || own) -> 'available_at'
            )) FROM jsonb_array_elements(moved.lanes) AS own)
            ELSE moved.lanes END
    ) AS lane
), asked AS (
    INSERT INTO {wait} SELECT wait.* FROM moved
    CROSS JOIN LATERAL jsonb_populate_record(NULL::{wait}, moved.wait) AS wait
    WHERE moved.wait IS NOT NULL
)
SELECT NULL::int, NULL::text, (EXTRACT(EPOCH FROM now) * 1000000)::bigint, (
    SELECT count(pg_notify({channel}, queue)) FROM (
        SELECT unnest(wakes) FROM moved
        UNION SELECT queue FROM counted WHERE are_all AND status = 'pending'
    ) AS woken(queue)
) FROM moment
UNION ALL SELECT number, status, NULL, NULL FROM moved
UNION ALL SELECT number, NULL, NULL, NULL FROM ready
    WHERE number NOT IN (SELECT number FROM moved)
"""


@cache
def _sql(using: str, *, waits: bool) -> str:
    quoted = connections[using].ops.quote_name
    return _WRITE.format(
        execution=quoted(Execution._meta.db_table),
        step=quoted(Step._meta.db_table),
        wait=quoted(Wait._meta.db_table),
        waiting="" if waits else " SKIP LOCKED",
        channel=wakeups.channel(),
    )


def send(
    moves: Sequence[Move], *, waits: bool, using: str
) -> dict[int, tuple[str, datetime] | None]:
    """Write moves; return status and instant by number, ``None`` for a lost lease.

    Rows that others have locked are waited for, or (``not waits``) left out: they are
    not written, and not returned. Nor are lanes whose end is more than one lane less.
    """
    rows = [_row(number, move) for number, move in enumerate(moves)]
    params = (clock.frozen_instant(), codec.dumps(rows))
    found = statements.fetch(using, _sql(using, waits=waits), params)
    (_, _, microseconds, _), *ended = found
    at = clock.from_microseconds(microseconds)
    return {number: (status, at) if status else None for number, status, *_ in ended}


def _row(number: int, move: Move) -> Tree:
    """Return a move as an object of the statement's array; what is missing is NULL."""
    row: Tree = {
        "number": number,
        "id": move.lease.execution_id.hex,
        "token": move.lease.token,
        "becomes": move.status,
        "is_final": move.status in FINAL,
        "keeps_lease": move.keeps_lease,
        "position": move.position or "",
        "sequence": move.sequence,
        "attempt": move.attempt,
        "waiting_for": move.waiting_for,
    }
    if move.adds_output:
        row["adds_output"] = True
    elif move.data is not None:
        row["data"] = move.data
    if move.error is not None:
        row["error"] = move.error
    if move.queue is not None:
        row |= {"queue": move.queue, "wakes": [move.queue]}
    if move.due is not None:
        row |= _due(move.due)
    if move.opens is not None:
        row |= _opening(move.opens)
    if move.waiter is not None:
        row |= {"waiter": move.waiter.hex, "visit": move.waiter_visit}
    return row if move.step is None else row | _step(move, move.step)


def _due(due: Moment) -> Tree:
    if isinstance(due, timedelta):
        return {"due_in": due.total_seconds()}
    return {"due_at": due.isoformat()}


def _opening(opens: Opening) -> Tree:
    pattern, differences = inserts.as_trees(opens.lanes)
    return {
        "lane_pattern": pattern,
        "lanes": differences,
        "lane_limit": opens.limit,
        "wait": inserts.as_tree(opens.wait.__dict__),
        "wakes": sorted({lane.queue for lane in opens.lanes if lane.available_at}),
    }


def _step(move: Move, step: StepEnd) -> Tree:
    lease = move.lease
    row: Tree = {
        "step_id": step.id.hex,
        "path": step.path,
        "kind": step.kind,
        "step_sequence": step.sequence,
        "step_attempt": step.attempt,
        "step_status": step.status,
        "started_at": step.started_at.isoformat(),
    }
    if lease.lane is not None:
        row |= {"lane": lease.lane.hex, "owner_id": lease.owner_id.hex}
    if step.undoes is not None:
        row["undoes"] = step.undoes.hex
    if step.output is not None:
        row["output"] = step.output
    if step.error is not None:
        row["step_error"] = step.error
    return row
