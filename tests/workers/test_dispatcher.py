"""Claiming what is due, as much as there are free slots, and knowing when all is idle."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import OperationalError

import django_durable as durable
from django_durable.clock import now
from django_durable.models import Execution
from django_durable.store import leases
from django_durable.workers import services
from django_durable.workers.services import Dispatcher, Heartbeat
from tests.factories import counted, fresh
from tests.testapp.workflows import Asleep, Quick

pytestmark = pytest.mark.django_db


class StubPool:
    """Holds what it is given until it is told that it has ended."""

    def __init__(self, limits) -> None:
        self.limits = limits
        self.jobs = []
        self.crowded = set()
        self.is_draining = False

    def room(self, name):
        return self.limits[name] - Counter(job.queue for job in self.jobs)[name]

    def is_low(self, name):
        return self.room(name) > 0

    def drop_waiting(self, *, older_than):
        return 0

    def submit(self, claimed):
        self.jobs.append(claimed)

    def held(self):
        return {job.lease.execution_id for job in self.jobs}

    def end(self, claimed) -> None:
        self.jobs.remove(claimed)
        Execution.objects.filter(pk=claimed.lease.execution_id).update(
            status="completed", leased_by=None
        )


@pytest.fixture
def pool(options):
    return StubPool(options.limits)


@pytest.fixture
def heartbeat(options):
    heartbeat = Heartbeat(options)
    heartbeat.run_once()
    return heartbeat


@pytest.fixture
def idle_calls():
    return []


@pytest.fixture
def dispatcher(options, heartbeat, pool, idle_calls):
    return Dispatcher(
        options, heartbeat=heartbeat, pool=pool, on_idle=lambda: idle_calls.append(1)
    )


def test_each_queue_gets_as_many_as_it_has_free_slots(dispatcher, pool):
    durable.start_many(Quick, [{}] * 5)
    durable.start_many(Quick, [{}] * 5, queue="slow")

    dispatcher.run_once()

    assert Counter(job.queue for job in pool.jobs) == {"default": 3, "slow": 1}


def test_larger_priority_comes_first_and_then_the_older_one(dispatcher, pool):
    old, new = durable.start(Quick), durable.start(Quick)
    urgent = durable.start(Quick, priority=5)

    dispatcher.run_once()

    ids = [job.lease.execution_id for job in pool.jobs]
    assert ids == [urgent.pk, old.pk, new.pk]


def test_queues_that_are_not_served_are_left_alone(dispatcher, pool):
    durable.start(Quick, queue="elsewhere")

    dispatcher.run_once()

    assert pool.jobs == []


def test_an_idle_poll_is_one_statement_per_queue(options, heartbeat, pool):
    dispatcher = Dispatcher(options, heartbeat=heartbeat, pool=pool)
    dispatcher.run_once()
    dispatcher.want(options.queues)

    with counted() as statements:
        dispatcher.run_once()

    assert len(statements.queries) == 2


def test_a_full_queue_costs_no_statement(options, heartbeat, pool):
    durable.start_many(Quick, [{}] * 5)
    dispatcher = Dispatcher(options, heartbeat=heartbeat, pool=pool)
    dispatcher.run_once()
    dispatcher.want(["default"])

    with counted() as statements:
        dispatcher.run_once()

    assert statements.queries == []


def test_a_slot_that_gets_free_is_filled_when_others_wait(options, heartbeat, pool):
    durable.start_many(Quick, [{}] * 4)
    dispatcher = Dispatcher(options, heartbeat=heartbeat, pool=pool)
    dispatcher.run_once()
    pool.end(pool.jobs[0])

    assert dispatcher.freed("default")
    dispatcher.run_once()

    assert len(pool.jobs) == 3
    pool.end(pool.jobs[0])
    assert dispatcher.freed("default")
    dispatcher.run_once()
    assert len(pool.jobs) == 2
    assert not dispatcher.freed("default")


def test_there_is_more_to_do_when_a_slot_got_free_while_claiming(
    options, heartbeat, pool
):
    durable.start_many(Quick, [{}] * 4)
    dispatcher = Dispatcher(options, heartbeat=heartbeat, pool=pool)
    submit = pool.submit

    def submit_and_end_the_first(claimed):
        submit(claimed)
        if len(pool.jobs) == 3:
            pool.end(pool.jobs[0])

    pool.submit = submit_and_end_the_first

    assert dispatcher.run_once()


def test_nothing_is_claimed_when_the_heartbeat_is_older_than_the_lease(
    dispatcher, pool, heartbeat, monkeypatch
):
    durable.start(Quick)
    late = services.time.monotonic() + 30
    monkeypatch.setattr(services.time, "monotonic", lambda: late)

    dispatcher.run_once()
    assert pool.jobs == []

    heartbeat.run_once()
    dispatcher.run_once()
    assert len(pool.jobs) == 1


def test_nothing_is_claimed_while_the_worker_drains(dispatcher, pool):
    durable.start(Quick)
    pool.is_draining = True

    dispatcher.run_once()

    assert pool.jobs == []


def test_what_was_claimed_without_the_answer_coming_back_is_given_back(
    dispatcher, pool, monkeypatch
):
    execution = durable.start(Quick)
    claim = leases.claim

    def claim_and_lose_the_answer(**arguments):
        claim(**arguments)
        raise OperationalError("the connection is gone")

    with monkeypatch.context() as patch:
        patch.setattr(leases, "claim", claim_and_lose_the_answer)
        with pytest.raises(OperationalError):
            dispatcher.run_once()
    assert fresh(execution).leased_by is not None

    dispatcher.run_once()

    [job] = pool.jobs
    assert (job.lease.execution_id, job.attempt) == (execution.pk, 1)


class TestIdle:
    """``--until-idle`` ends when nothing runs and nothing is due within a second."""

    def test_with_nothing_to_do_it_is(self, dispatcher, idle_calls):
        durable.start(Quick, queue="elsewhere")
        durable.start(Quick, scheduled_at=now() + timedelta(seconds=30))

        dispatcher.run_once()

        assert idle_calls

    def test_what_this_process_runs_holds_it(self, dispatcher, idle_calls, pool):
        durable.start(Quick)
        dispatcher.run_once()
        dispatcher.run_once()
        assert not idle_calls

        pool.end(pool.jobs[0])
        assert dispatcher.freed("default")
        dispatcher.run_once()
        assert idle_calls

    def test_what_another_worker_runs_holds_it(
        self, dispatcher, idle_calls, make_worker
    ):
        durable.start(Quick)
        leases.claim(
            queue="default", worker_id=make_worker().pk, limit=1, using="default"
        )

        dispatcher.run_once()

        assert not idle_calls

    def test_what_is_due_within_a_second_holds_it(self, dispatcher, idle_calls):
        durable.start(Quick, scheduled_at=now() + timedelta(seconds=0.9))

        dispatcher.run_once()

        assert not idle_calls

    def test_in_frozen_time_nothing_becomes_due(
        self, frozen_time, dispatcher, idle_calls
    ):
        durable.start(Quick, scheduled_at=now() + timedelta(seconds=0.9))

        dispatcher.run_once()

        assert idle_calls

    def test_executions_that_wait_do_not_hold_it(self, dispatcher, idle_calls, pool):
        durable.start(Asleep)
        dispatcher.run_once()
        [job] = pool.jobs
        pool.jobs.clear()
        Execution.objects.filter(pk=job.lease.execution_id).update(
            status="waiting", leased_by=None, available_at=now() + timedelta(hours=1)
        )

        dispatcher.run_once()

        assert idle_calls


def test_what_this_worker_holds_without_knowing_is_given_back(
    options, heartbeat, pool, make_worker
):
    known, unknown = durable.start_many(Quick, [{}, {}])
    stranger = durable.start(Quick, queue="elsewhere")
    Execution.objects.filter(pk=stranger.pk).update(leased_by=uuid4())
    claimed = leases.claim(
        queue="default", worker_id=heartbeat.worker_id, limit=2, using="default"
    )
    pool.jobs = [job for job in claimed if job.lease.execution_id == known.pk]
    pool.limits = {"default": 1, "slow": 1}

    Dispatcher(options, heartbeat=heartbeat, pool=pool).run_once()

    assert fresh(known).leased_by == heartbeat.worker_id
    assert (fresh(unknown).status, fresh(unknown).attempt) == ("pending", 1)
    assert fresh(stranger).leased_by is not None
