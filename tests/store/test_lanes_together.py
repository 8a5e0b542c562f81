"""Lanes are opened, and counted down when they end, with the moves of others."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import pytest
from django.db import connection

import django_durable as durable
from django_durable import Each, Fail, Lane, Parallel, Workflow, clock, step
from django_durable.conf import get_settings
from django_durable.models import Execution, Step, Wait
from django_durable.runtime.executor import Executor
from django_durable.runtime.watchdog import Watchdog
from django_durable.store import moves, wakeups
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


def test_ten_members_end_by_one_statement_and_the_last_wakes_who_waits(executor):
    execution, batch = ends(executor, Ten)
    assert all(isinstance(move, Move) for _, move in batch)

    with counted() as together:
        written = write(batch)
    assert len(together.all) == 1
    assert all(isinstance(moved, Moved) for moved in written)
    woken = fresh(execution)
    assert (woken.status, woken.open_lanes, woken.waiting_for) == ("pending", 0, "")
    wait = Wait.objects.get(execution=execution)
    assert (wait.status, wait.closed_at) == ("satisfied", woken.available_at)

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
    assert Execution.rows.get(pk=execution.pk).open_lanes == 1
    assert fresh(execution).status == "waiting"


def test_written_again_they_are_not_counted_again(executor):
    execution, batch = ends(executor, Ten)

    write(batch[:4])
    written = write(batch[:4])

    assert written == [None] * 4
    assert Execution.rows.get(pk=execution.pk).open_lanes == 6


def test_the_next_item_gets_its_turn_where_only_so_many_are_open(executor):
    _, batch = ends(executor, Limited)

    # Written by themselves already.
    assert [following for _, following in batch] == [False, False]
    assert Execution.rows.filter(scope="items[2]", status="pending").exists()


def test_an_item_is_no_matter_of_counting_where_only_so_many_were_opened(executor):
    """As it may be while a new version of the code, without the limit, is deployed."""
    execution, batch = ends(executor, Ten)
    Execution.rows.filter(pk=execution.pk).update(lane_limit=20)

    assert write(batch) == [Busy.BUSY] * MEMBERS
    for lane, move in batch:
        assert executor.write(lane, move)
    assert fresh(execution).status == "pending"


def test_a_lane_whose_rows_others_hold_is_counted_once_they_let_go(executor):
    execution, batch = ends(executor, Ten)
    lane, move = batch[0]

    with held_by_another(execution):
        assert write(batch[:1]) == [Busy.BUSY]
    with counted() as statements:
        assert executor.write(lane, move)

    assert len(statements.all) == 1
    assert Execution.rows.get(pk=execution.pk).open_lanes == MEMBERS - 1


@contextmanager
def held_by_another(execution):
    """Lock the row of an execution on a connection of its own."""
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            table = Execution._meta.db_table
            lock = f"SELECT 1 FROM {table} WHERE id = %s FOR UPDATE"  # noqa: S608
            cursor.execute(lock, [execution.pk])
            yield
    finally:
        other.close()


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


def test_the_last_lane_wakes_a_paused_execution_when_it_is_resumed(executor):
    execution, batch = ends(executor, Ten)
    # As if it had been paused alone: a lane that is paused would not end.
    Execution.rows.filter(pk=execution.pk).update(status="paused")

    assert all(isinstance(moved, Moved) for moved in write(batch))

    paused = fresh(execution)
    assert (paused.status, paused.available_at) == ("paused", None)
    assert paused.resumes_at is not None


def test_lanes_of_an_execution_that_moves_itself_are_written_after_it(executor):
    execution, batch = ends(executor, Ten)
    # As when it is looked after, for it was due.
    Execution.rows.filter(pk=execution.pk).update(available_at=clock.now())
    looking = executor.begin(claim()[0], lambda *_: None)
    batch.insert(0, (looking, executor.advance(looking)))

    written = write(batch)

    assert isinstance(written[0], Moved)
    assert written[1:] == [Busy.BUSY] * MEMBERS
    for lane, move in batch[1:]:
        assert executor.write(lane, move)
    assert fresh(execution).open_lanes == 0
    assert fresh(execution).status == "pending"


class Nested(Workflow, name="lanes_nested"):
    class Outer(Parallel):
        class One(Lane):
            Inner = type("Inner", (Parallel,), {f"m{n}": member(n) for n in range(3)})

        @step
        def other(self): ...


def test_the_last_lane_of_a_lane_wakes_that_and_closes_its_wait_alone(executor):
    execution = durable.start(Nested)
    run(claim()[0])
    outer = claim(limit=1)[0]
    run(outer)
    runs = [executor.begin(one, lambda *_: None) for one in claim(limit=9)]
    runs = [one for one in runs if ".one." in one.claimed.scope]

    written = write([(one, executor.advance(one)) for one in runs])

    assert all(isinstance(moved, Moved) for moved in written)
    assert fresh(execution).status == "waiting"
    assert Execution.rows.get(pk=outer.lease.execution_id).status == "pending"
    waits = Wait.objects.filter(execution=execution).values_list("lane", "status")
    assert set(waits) == {(None, "open"), (outer.lease.execution_id, "satisfied")}


def test_a_claim_brings_what_lanes_start_from_and_what_they_came_to(executor):
    execution = durable.start(Ten, {"from": "above"})
    run(claim()[0])
    lanes = claim(limit=MEMBERS)
    with counted() as reading:
        runs = [executor.begin(one, lambda *_: None) for one in lanes]
    assert [one.data for one in runs] == [{"from": "above"}] * MEMBERS

    write([(one, executor.advance(one)) for one in runs])
    [joining] = claim()
    with counted() as reading_too:
        move = executor.advance(executor.begin(joining, lambda *_: None))

    assert move.data["m3"] == {"n": 3}
    assert reading.all == reading_too.all == []
    run(joining)
    assert fresh(execution).current_step == "after"


class Hundred(Workflow, name="lanes_hundred"):
    class Items(Each):
        def items(self):
            return range(101)

        @step
        def work(self, item):
            return {"item": item}


def test_more_lanes_than_a_claim_brings_are_read(executor):
    execution = durable.start(Hundred)
    drain()

    assert len(fresh(execution).result["items"]) == 101


def test_lanes_that_were_open_when_their_execution_was_claimed_are_read_again(executor):
    execution, batch = ends(executor, Ten)
    Execution.rows.filter(pk=execution.pk).update(available_at=clock.now())
    [joining] = claim()
    assert "pending" not in {status for _, status, *_ in joining.lanes}
    assert "running" in {status for _, status, *_ in joining.lanes}
    write(batch)

    run(joining)

    assert len(fresh(execution).result) == MEMBERS


class Queued(Workflow, name="lanes_queued", queue="parents"):
    class Members(Parallel):
        one = step(queue="ones")(lambda self: None)
        other = step(queue="others")(lambda self: None)


def test_workers_are_told_of_lanes_that_were_opened_and_of_who_was_woken(executor):
    durable.start(Queued)
    [parent] = claim("parents")
    opening = executor.begin(parent, lambda *_: None)

    with told() as queues:
        write([(opening, executor.advance(opening))])
    assert queues == ["ones", "others"]

    lanes = [executor.begin(one, lambda *_: None) for one in claim("ones")]
    with told() as queues:
        write([(one, executor.advance(one)) for one in lanes])
    assert queues == []

    lanes = [executor.begin(one, lambda *_: None) for one in claim("others")]
    with told() as queues:
        write([(one, executor.advance(one)) for one in lanes])
    assert queues == ["parents"]


@contextmanager
def told():
    """Give the queues whose workers were notified in the block, once it has ended."""
    other, queues = connection.copy(), []
    try:
        with other.cursor() as cursor:
            cursor.execute(wakeups.channel_query())
            [channel] = cursor.fetchone()
            cursor.execute(f'LISTEN "{channel}"')
            yield queues
            # What was committed before is delivered with the answer to this.
            cursor.execute("SELECT 1")
        queues += sorted(one.payload for one in other.connection.notifies(timeout=0))
    finally:
        other.close()
