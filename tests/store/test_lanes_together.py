"""Lanes are opened, and counted down when they end, with the moves of others."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.db import connection

import django_durable as durable
from django_durable import Each, Fail, Parallel, Workflow, step
from django_durable.conf import get_settings
from django_durable.models import Execution, Step, Wait
from django_durable.runtime.executor import Executor
from django_durable.runtime.watchdog import Watchdog
from django_durable.store import moves
from django_durable.store.moves import Busy, Move, Moved
from tests.factories import claim, counted, drain, fresh, run

pytestmark = [
    pytest.mark.usefixtures("transactional_db"),
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="elsewhere each ends by itself"
    ),
]

MEMBERS = 10


def member(number):
    @step(name=f"m{number}")
    def work(self, fails=None):
        if fails == number:
            raise Fail("no")
        return {"n": number}

    return work


class Ten(Workflow, name="lanes_ten"):
    Members = type("Members", (Parallel,), {f"m{n}": member(n) for n in range(MEMBERS)})

    @step
    def after(self): ...


class Limited(Workflow, name="lanes_limited"):
    class Items(Each, max_concurrency=2):
        def items(self):
            return range(3)

        @step
        def work(self, item): ...


@pytest.fixture
def executor():
    watchdog = Watchdog()
    yield Executor(get_settings(), watchdog=watchdog)
    watchdog.close()


def ends(executor, workflow, given=None):
    """Start one, open its lanes and run them; return how they end, not written yet."""
    execution = durable.start(workflow, given or {})
    run(claim()[0])
    runs = [executor.begin(one, lambda *_: None) for one in claim(limit=MEMBERS)]
    return execution, [(one, executor.advance(one)) for one in runs]


def write(batch):
    return moves.write_free([move for _, move in batch], using="default")


def openings(executor, count):
    """Start some; return how they open their lanes, not written yet."""
    durable.start_many(Ten, [{} for _ in range(count)])
    runs = [executor.begin(one, lambda *_: None) for one in claim(limit=count)]
    return [(one, executor.advance(one)) for one in runs]


def test_blocks_are_opened_and_parked_by_one_statement(executor):
    batch = openings(executor, 3)

    with counted() as statements:
        assert all(isinstance(moved, Moved) for moved in write(batch))

    assert len(statements.all) == 1
    for waiting in Execution.objects.all():
        assert waiting.status == "waiting"
        assert waiting.waiting_for == "the members of members"
        assert waiting.open_lanes == MEMBERS
        lanes = Execution.rows.filter(awaited_by=waiting.pk, status="pending")
        assert lanes.filter(available_at__isnull=False).count() == MEMBERS
        assert Wait.objects.filter(execution=waiting, status="open").count() == 1


def test_opened_again_for_the_answer_was_lost_there_are_no_more_lanes(executor):
    batch = openings(executor, 1)

    assert [*write(batch), *write(batch)][1] is None
    assert Execution.rows.filter(is_lane=True).count() == MEMBERS


def test_lanes_of_an_execution_that_was_paused_meanwhile_are_paused(executor):
    batch = openings(executor, 1)
    execution = Execution.objects.get()
    durable.pause(execution)

    assert write(batch)[0].status == "paused"

    lanes = Execution.rows.filter(is_lane=True)
    assert {(one.status, one.available_at) for one in lanes} == {("paused", None)}
    assert fresh(execution).resumes_at is None
    durable.resume(execution)
    drain()
    assert fresh(execution).status == "completed"


def test_ten_members_take_two_commits_to_end_and_a_few_statements(executor):
    execution, batch = ends(executor, Ten)
    assert all(isinstance(move, Move) for _, move in batch)

    with counted() as together:
        written = write(batch)
    last = [
        pair for pair, moved in zip(batch, written, strict=True) if moved is Busy.BUSY
    ]
    assert len(together.all) == 1
    assert sum(isinstance(moved, Moved) for moved in written) == MEMBERS - 1
    assert Execution.rows.get(pk=execution.pk).open_lanes == 1

    [(lane, move)] = last
    with counted() as alone:
        assert executor.write(lane, move)
    assert alone.commits == 1
    assert len(alone.queries) <= 10

    run(claim()[0])
    assert len(fresh(execution).result) == MEMBERS
    lanes = Step.objects.filter(execution=execution, lane__isnull=False)
    assert lanes.count() == MEMBERS


def test_one_whose_lease_is_lost_is_not_counted(executor):
    execution, batch = ends(executor, Ten)
    run_, move = batch[3]
    batch[3] = (run_, replace(move, lease=replace(move.lease, token=9)))

    written = write(batch)

    assert written[3] is None
    assert Execution.rows.get(pk=execution.pk).open_lanes == 2


def test_written_again_they_are_not_counted_again(executor):
    execution, batch = ends(executor, Ten)

    write(batch[:4])
    written = write(batch[:4])

    assert written == [None] * 4
    assert Execution.rows.get(pk=execution.pk).open_lanes == 6


def test_the_next_item_gets_its_turn_where_only_so_many_are_open(executor):
    _, batch = ends(executor, Limited)

    assert write(batch) == [Busy.BUSY] * 2
    assert executor.write(*batch[0])
    assert Execution.rows.filter(scope="items[2]", status="pending").exists()


def test_one_that_fails_is_written_by_itself_and_cancels_its_siblings(executor):
    execution, batch = ends(executor, Ten, {"fails": 4})

    assert batch[4][1] is False
    assert Execution.rows.get(pk=execution.pk).open_lanes == 0
    assert write(batch[:4]) == [Busy.BUSY] * 4
    assert [executor.write(*one) for one in batch[:4]] == [None] * 4
    cancelled = Execution.rows.filter(is_lane=True, status="cancelled")
    assert cancelled.count() == MEMBERS - 1


def test_lanes_of_an_earlier_visit_are_left_to_be_looked_at(executor):
    execution, batch = ends(executor, Ten)
    Execution.rows.filter(pk=execution.pk).update(sequence=99)

    assert write(batch[:2]) == [Busy.BUSY] * 2
    assert executor.write(*batch[0])
    assert Execution.rows.get(pk=execution.pk).open_lanes == MEMBERS
