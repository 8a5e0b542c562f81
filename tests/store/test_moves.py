"""A move changes the row as told; both ways of writing it give the same row."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

import django_durable as durable
from django_durable import Workflow, clock, hours, minutes, step
from django_durable.models import Execution, Step
from django_durable.store import move_rows, moves
from django_durable.store.leases import Claimed
from django_durable.store.moves import Move, StepEnd
from django_durable.types import ErrorInfo, ExecutionStatus, StepKind, StepStatus
from tests.factories import NOON, WORKER, claim, finish

pytestmark = pytest.mark.django_db

S = ExecutionStatus
LATER = NOON + hours(5)
ERROR = ErrorInfo("ConnectionError", "no route — 🚧", "work").as_json()


class Moving(Workflow, name="moves_moving"):
    @step
    def work(self): ...


STAYS = {
    "status": "running",
    "current_step": "",
    "sequence": 3,
    "attempt": 2,
    "calls": 4,
    "data": {"a": 1},
    "error": None,
    "queue": "default",
    "waiting_for": "",
    "available_at": None,
    "resumes_at": None,
    "leased_by": WORKER,
    "step_started_at": NOON,
    "completed_at": None,
    "expires_at": None,
}
ENDED = {"leased_by": None, "step_started_at": None, "completed_at": NOON}
PARKED = {"leased_by": None, "step_started_at": None}

# What is moved: how the row stood before, the move, and what is different after it.
TABLE: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "on to the next step": (
        {},
        {"status": S.RUNNING, "position": "b", "sequence": 4, "keeps_lease": True},
        {"current_step": "b", "sequence": 4, "calls": 0},
    ),
    "on within a visit": (
        {},
        {"status": S.RUNNING, "position": "b", "attempt": 1, "keeps_lease": True},
        {"current_step": "b", "attempt": 1},
    ),
    "data is replaced": (
        {},
        {"status": S.RUNNING, "data": {"b": "ü🚚", "n": None}, "keeps_lease": True},
        {"data": {"b": "ü🚚", "n": None}},
    ),
    "empty data is data": (
        {},
        {"status": S.RUNNING, "data": {}, "keeps_lease": True},
        {"data": {}},
    ),
    "completed": (
        {"expires_at": LATER},
        {"status": S.COMPLETED, "position": "z", "sequence": 4, "data": {"b": 2}},
        {
            "status": "completed",
            "current_step": "z",
            "sequence": 4,
            "calls": 0,
            "data": {"b": 2},
            "expires_at": LATER,
            **ENDED,
        },
    ),
    "failed": (
        {"expires_at": LATER},
        {"status": S.FAILED, "position": "work", "error": ERROR},
        {"status": "failed", "current_step": "work", "error": ERROR, **ENDED},
    ),
    "cancelled by itself": (
        {},
        {"status": S.CANCELLED, "error": ERROR},
        {"status": "cancelled", "error": ERROR, **ENDED},
    ),
    "retried after a delay": (
        {},
        {
            "status": S.PENDING,
            "attempt": 3,
            "due": minutes(90) + timedelta(microseconds=7),
            "waiting_for": "attempt 3",
        },
        {
            "status": "pending",
            "attempt": 3,
            "available_at": NOON + minutes(90) + timedelta(microseconds=7),
            "waiting_for": "attempt 3",
            **PARKED,
        },
    ),
    "due at a moment": (
        {},
        {"status": S.WAITING, "due": LATER},
        {"status": "waiting", "available_at": LATER, **PARKED},
    ),
    "due at once": (
        {},
        {"status": S.PENDING, "due": timedelta(0)},
        {"status": "pending", "available_at": NOON, **PARKED},
    ),
    "due when something wakes it": (
        {},
        {"status": S.WAITING, "waiting_for": "news"},
        {"status": "waiting", "waiting_for": "news", **PARKED},
    ),
    "due before its timeout": (
        {"expires_at": LATER},
        {"status": S.PENDING, "due": hours(1)},
        {
            "status": "pending",
            "available_at": NOON + hours(1),
            "expires_at": LATER,
            **PARKED,
        },
    ),
    "its timeout is due first": (
        {"expires_at": LATER},
        {"status": S.PENDING, "due": hours(9)},
        {"status": "pending", "available_at": LATER, "expires_at": LATER, **PARKED},
    ),
    "only its timeout is due": (
        {"expires_at": LATER},
        {"status": S.WAITING},
        {"status": "waiting", "available_at": LATER, "expires_at": LATER, **PARKED},
    ),
    "handed to another queue": (
        {},
        {"status": S.PENDING, "queue": "slow", "due": timedelta(0)},
        {"status": "pending", "queue": "slow", "available_at": NOON, **PARKED},
    ),
    "paused: on to the next step": (
        {"status": "paused", "waiting_for": "someone"},
        {"status": S.RUNNING, "position": "b", "sequence": 4, "keeps_lease": True},
        {
            "status": "paused",
            "waiting_for": "someone",
            "current_step": "b",
            "sequence": 4,
            "calls": 0,
            "resumes_at": NOON,
            **PARKED,
        },
    ),
    "paused: retried after a delay": (
        {"status": "paused", "waiting_for": "someone"},
        {
            "status": S.PENDING,
            "attempt": 3,
            "due": hours(1),
            "waiting_for": "attempt 3",
        },
        {
            "status": "paused",
            "waiting_for": "someone",
            "attempt": 3,
            "resumes_at": NOON + hours(1),
            **PARKED,
        },
    ),
    "paused: its timeout is due first": (
        {"status": "paused", "expires_at": LATER},
        {"status": S.PENDING, "due": hours(9)},
        {"status": "paused", "resumes_at": LATER, "expires_at": LATER, **PARKED},
    ),
    "paused: completed": (
        {"status": "paused", "waiting_for": "someone"},
        {"status": S.COMPLETED},
        {"status": "completed", **ENDED},
    ),
    "paused: failed": (
        {"status": "paused", "waiting_for": "someone"},
        {"status": S.FAILED, "error": ERROR},
        {"status": "failed", "error": ERROR, **ENDED},
    ),
}

ENDS = {
    "completed": {"status": StepStatus.COMPLETED, "output": {"b": [1, "ü"]}},
    "failed": {"status": StepStatus.FAILED, "error": ERROR},
    "empty output": {"status": StepStatus.COMPLETED, "output": {}},
}


def stood(**columns: Any) -> Claimed:
    """Return a leased execution that stands as told."""
    durable.start(Moving, {"a": 1})
    (claimed,) = claim(limit=1)
    stands = {"sequence": 3, "attempt": 2, "calls": 4, **columns}
    Execution.rows.filter(pk=claimed.lease.execution_id).update(**stands)
    return claimed


def moved(claimed: Claimed, write: Any, **changes: Any) -> dict[str, Any]:
    """Write a move; return how the row stands then."""
    stays = {"position": None, "sequence": 3, "attempt": 2}
    move = Move(lease=claimed.lease, **{**stays, **changes})
    with clock.freeze(NOON):
        (written,) = write([move], "default")
    row = Execution.rows.get(pk=claimed.lease.execution_id)
    assert written is not None
    assert (written.status, written.at) == (row.status, NOON)
    return {column: getattr(row, column) for column in STAYS}


def by_default(batch: list[Move], using: str) -> Any:
    return moves.write(batch, using=using)


def by_rows(batch: list[Move], using: str) -> Any:
    written = move_rows.send(batch, using=using)
    return [moves._moved(written[number]) for number in range(len(batch))]


WAYS = [by_default, *([by_rows] if connection.vendor == "postgresql" else [])]


@pytest.mark.parametrize("write", WAYS)
@pytest.mark.parametrize("what", TABLE)
def test_a_move_changes_the_row_as_told(what, write):
    before, move, after = TABLE[what]
    with clock.freeze(NOON):
        claimed = stood(**before)

    assert moved(claimed, write, **move) == {**STAYS, **after}


@pytest.mark.parametrize("write", WAYS)
@pytest.mark.parametrize("how", ENDS)
def test_a_move_records_the_attempt_that_it_ends(how, write):
    with clock.freeze(NOON):
        claimed = stood()
    end = StepEnd(
        path="a.b[3].c",
        kind=StepKind.DECISION,
        sequence=3,
        attempt=2,
        started_at=NOON - minutes(2),
        **ENDS[how],
    )

    moved(claimed, write, status=S.RUNNING, sequence=4, step=end, keeps_lease=True)

    row = Step.objects.get()
    assert row.pk == end.id
    assert row.execution_id == claimed.lease.execution_id
    assert (row.path, row.kind) == ("a.b[3].c", "decision")
    assert (row.sequence, row.attempt, row.status) == (3, 2, end.status)
    assert row.output == end.output
    assert row.error == end.error
    assert (row.started_at, row.completed_at) == (NOON - minutes(2), NOON)


@pytest.mark.parametrize("write", WAYS)
def test_what_a_step_puts_out_is_laid_over_the_data(write):
    with clock.freeze(NOON):
        claimed = stood(data={"kept": 1, "b": {"old": 1}})
    end = StepEnd(
        path="work",
        kind=StepKind.STEP,
        sequence=3,
        attempt=2,
        started_at=NOON,
        status=StepStatus.COMPLETED,
        output={"b": {"new": None}, "c": "🚚"},
    )
    whole = {"kept": 1, "b": {"new": None}, "c": "🚚"}

    row = moved(
        claimed,
        write,
        status=S.RUNNING,
        sequence=4,
        data=whole,
        adds_output=True,
        step=end,
        keeps_lease=True,
    )

    assert row["data"] == whole
    assert Step.objects.get().output == end.output


@pytest.mark.parametrize("write", WAYS)
def test_moves_of_several_executions_are_written_together(write):
    with clock.freeze(NOON):
        claimed = [stood() for _ in range(3)]
        batch = [
            Move(
                lease=one.lease,
                status=S.COMPLETED,
                position="z",
                sequence=number,
                attempt=1,
                data={"n": number},
            )
            for number, one in enumerate(claimed)
        ]
        written = write(batch, "default")

    assert [one.status for one in written] == [S.COMPLETED] * 3
    rows = Execution.rows.order_by("id")
    assert [row.data for row in rows] == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_no_move_is_no_statement_that_fails():
    assert moves.write([], using="default") == []


def test_one_step_ends_in_the_instant_in_which_the_next_begins():
    """On the running clock: what one clock ends, another may not have begun."""

    class Quick(Workflow, name="moving_quick"):
        @step
        def one(self): ...

        @step
        def two(self): ...

        @step(atomic=True)
        def three(self): ...

    execution = finish(durable.start(Quick))
    first, second, third = execution.steps.order_by("sequence")

    assert first.started_at <= first.completed_at
    assert first.completed_at == second.started_at <= second.completed_at
    assert second.completed_at == third.started_at <= third.completed_at
    assert third.completed_at == execution.completed_at
    assert execution.started_at == first.started_at
