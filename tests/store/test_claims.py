"""Claims: in order, only what is due, and each row by one worker."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection, connections, transaction

import django_durable as durable
from django_durable import Workflow, clock, hours, minutes, seconds, step
from django_durable.ids import new_id
from django_durable.models import Execution
from django_durable.store import leases, workers
from django_durable.types import ExecutionStatus
from tests.factories import NOON, WORKER, claim, counted, drain, fresh

IS_POSTGRESQL = connection.vendor == "postgresql"


class Claimable(Workflow):
    @step
    def work(self): ...


def claimed_ids(**options) -> list[UUID]:
    return [one.lease.execution_id for one in claim(**options)]


@pytest.mark.django_db
def test_larger_priority_comes_first_then_what_has_waited_longest():
    with clock.freeze(NOON) as time:
        started = {}
        for name, priority in [("a", 0), ("b", 5), ("c", -5), ("d", 5), ("e", 0)]:
            started[name] = durable.start(Claimable, priority=priority).pk
            time.advance(seconds(1))
        # An execution that comes back waits behind those that were there before it.
        Execution.objects.filter(pk=started["a"]).update(available_at=time.instant)

        assert claimed_ids(limit=2) == [started["b"], started["d"]]
        assert claimed_ids(limit=9) == [started["e"], started["a"], started["c"]]


@pytest.mark.django_db
def test_one_by_one_the_order_is_the_same():
    with clock.freeze(NOON) as time:
        started = []
        for priority in (0, 9, 3):
            started.append(durable.start(Claimable, priority=priority).pk)
            time.advance(seconds(1))

        found = [claimed_ids(limit=1)[0] for _ in started]

    assert found == [started[1], started[2], started[0]]


@pytest.mark.django_db
def test_only_what_is_due_in_its_queue_is_claimed():
    with clock.freeze(NOON) as time:
        now = durable.start(Claimable)
        later = durable.start(Claimable, scheduled_at=NOON + hours(1))
        durable.start(Claimable, queue="other")
        paused = durable.start(Claimable)
        durable.pause(paused)
        durable.cancel(durable.start(Claimable))

        assert claimed_ids() == [now.pk]
        assert claimed_ids() == []
        time.advance(hours(1) - timedelta(microseconds=1))
        assert claimed_ids() == []
        time.advance(timedelta(microseconds=1))
        assert claimed_ids() == [later.pk]


@pytest.mark.django_db
def test_no_more_is_claimed_than_there_are_slots():
    durable.start_many(Claimable, [{}] * 5)

    assert claim(limit=0) == []
    assert len(claim(limit=3)) == 3
    assert len(claim(limit=3)) == 2


@pytest.mark.django_db
def test_a_claim_takes_the_row_and_tells_how_it_stands():
    with clock.freeze(NOON) as time:
        execution = durable.start(Claimable, {"a": [1]}, timeout=hours(2), priority=3)
        time.advance(minutes(1))
        (claimed,) = claim()
        execution = fresh(execution)

    assert execution.status == "running"
    assert execution.leased_by == WORKER
    assert execution.lease_token == claimed.lease.token == 1
    assert execution.available_at is None
    assert execution.started_at == execution.step_started_at == NOON + minutes(1)
    assert execution.expires_at == NOON + minutes(1) + hours(2)
    assert claimed.workflow == "claimable"
    assert claimed.position == "work"
    assert claimed.is_first
    assert (claimed.sequence, claimed.attempt, claimed.calls) == (0, 1, 0)
    assert (claimed.queue, claimed.home_queue) == ("default", "default")
    assert claimed.data == {"a": [1]}
    assert claimed.step_started_at == execution.step_started_at
    assert claimed.seconds_left == 7200.0
    assert claimed.lease.using == "default"


@pytest.mark.django_db
def test_the_first_start_stays_the_first_and_the_token_grows():
    with clock.freeze(NOON) as time:
        execution = durable.start(Claimable)
        claim()
        time.advance(hours(1))
        workers.release(WORKER, using="default")
        (claimed,) = claim()
        execution = fresh(execution)

    assert execution.started_at == NOON
    assert execution.lease_token == claimed.lease.token == 3


@pytest.mark.usefixtures("transactional_db")
def test_the_clock_of_the_database_says_what_is_due():
    execution = durable.start(Claimable)

    (claimed,) = claim()

    moment = leases.now_in("default")
    assert abs(moment - fresh(execution).started_at) < seconds(60)
    assert claimed.seconds_left is None


def take_all(barrier: threading.Barrier, found: list[list[UUID]]) -> None:
    """Claim, a few at a time, until nothing is left."""
    taken: list[UUID] = []
    try:
        barrier.wait(20)
        while claimed := leases.claim(
            queue="default", worker_id=new_id(), limit=3, using="default"
        ):
            taken += [one.lease.execution_id for one in claimed]
    finally:
        found.append(taken)
        connections.close_all()


@pytest.mark.usefixtures("transactional_db")
def test_several_threads_claim_each_row_once():
    started = {one.pk for one in durable.start_many(Claimable, [{}] * 60)}
    barrier, found = threading.Barrier(4), []

    threads = [
        threading.Thread(target=take_all, args=(barrier, found)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(found) == 4
    ids = [one for taken in found for one in taken]
    assert len(ids) == 60
    assert set(ids) == started
    # Threads may look in vain while others hold the rest, but what is left is left to all.
    assert set(Execution.objects.values_list("lease_token", flat=True)) == {1}


@pytest.mark.usefixtures("transactional_db")
@pytest.mark.skipif(not IS_POSTGRESQL, reason="SQLite locks the database, not rows")
def test_a_row_that_somebody_holds_is_skipped_and_not_waited_for():
    held, free = durable.start_many(Claimable, [{}, {}])
    found: list[UUID] = []

    def look():
        found.extend(claimed_ids())
        connections.close_all()

    with transaction.atomic():
        Execution.rows.select_for_update().get(pk=held.pk)
        thread = threading.Thread(target=look)
        thread.start()
        thread.join(20)
        assert not thread.is_alive()

    assert found == [free.pk]
    assert claimed_ids() == [held.pk]


@pytest.mark.usefixtures("transactional_db")
def test_a_claim_takes_few_statements_and_an_idle_poll_one():
    claim(limit=20)  # Its SQL is made once for each limit.
    with counted() as idle:
        claim(limit=20)
    durable.start_many(Claimable, [{}] * 20)
    with counted() as busy:
        assert len(claim(limit=20)) == 20

    assert len(idle.all) == 1
    if IS_POSTGRESQL:
        assert len(busy.all) == 1
    else:
        assert len(busy.queries) <= 5
    assert busy.commits == 1


@pytest.mark.usefixtures("transactional_db")
def test_without_a_slot_the_database_is_not_asked():
    with counted() as statements:
        claim(limit=0)

    assert statements.all == []


@pytest.mark.django_db
def test_what_ends_is_claimed_no_more():
    durable.start_many(Claimable, [{}] * 3)
    drain()

    assert claimed_ids() == []
    assert {one.status for one in Execution.objects.all()} == {
        ExecutionStatus.COMPLETED
    }


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "sqlite", reason="only SQLite compares text")
@pytest.mark.parametrize("fraction", ["000", "500"])
def test_what_is_woken_is_claimable_in_the_same_millisecond(fraction):
    execution = durable.start(Claimable)
    connection.connection.create_function(
        "strftime", -1, lambda *_: f"2090-03-01 12:00:00.{fraction}"
    )
    Execution.objects.update(available_at=clock.db_now())

    assert claimed_ids() == [execution.pk]

    # The next connection has SQLite's own function again.
    connection.close()


@pytest.mark.django_db
def test_what_is_available_at_the_same_time_is_claimed_as_it_was_made():
    with clock.freeze(NOON):
        made = [one.pk for one in durable.start_many(Claimable, [{}] * 20)]
        # Each update moves a row to another place in the table.
        for pk in reversed(made):
            Execution.rows.filter(pk=pk).update(tags=["moved"], available_at=NOON)

        claimed = [claimed_ids(limit=1)[0] for _ in made]

    assert claimed == made == sorted(made)
