"""Noticing dead workers, and giving back what they held."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db import connection, connections

import django_durable as durable
from django_durable.clock import now
from django_durable.models import Step, Worker
from django_durable.store import leases, moves, workers
from django_durable.store.leases import Claimed
from django_durable.store.moves import Move
from django_durable.store.workers import LOCK_CLASS, WorkerLock
from django_durable.types import ExecutionStatus
from django_durable.workers import services
from django_durable.workers.options import make_options
from django_durable.workers.services import Heartbeat, Reaper
from tests.factories import counted, fresh
from tests.testapp.workflows import Quick

pytestmark = pytest.mark.django_db
LEASE = timedelta(seconds=30)


def claim(worker_id: UUID, *, limit: int = 10) -> list[Claimed]:
    """Lease what is due now for a worker."""
    return leases.claim(
        queue="default", worker_id=worker_id, limit=limit, using="default"
    )


@pytest.fixture
def reaper() -> Reaper:
    return Reaper(make_options())


def test_the_executions_of_a_worker_that_is_not_heard_of_are_given_back(
    frozen_time, make_worker, reaper
):
    worker, execution = make_worker(), durable.start(Quick)
    claim(worker.pk)

    frozen_time.advance(timedelta(seconds=31))
    reaper.run_once()

    execution = fresh(execution)
    assert (execution.status, execution.attempt) == ("pending", 2)
    assert (execution.leased_by, execution.available_at) == (None, now())
    [step] = execution.steps.all()
    assert (step.path, step.attempt, step.status) == ("answer", 1, "lost")
    assert step.error["type"] == "worker_lost"
    assert str(worker) in step.error["message"]


def test_a_worker_that_beats_keeps_what_it_holds(frozen_time, make_worker, reaper):
    worker, execution = make_worker(), durable.start(Quick)
    claim(worker.pk)

    for _ in range(5):
        frozen_time.advance(timedelta(seconds=10))
        assert workers.beat(worker.pk, lease=LEASE, using="default")
        reaper.run_once()

    assert fresh(execution).leased_by == worker.pk


def test_what_an_unknown_worker_holds_is_given_back(frozen_time, reaper):
    execution = durable.start(Quick)
    claim(uuid4())

    reaper.run_once()

    assert fresh(execution).leased_by is None


def test_the_old_owner_can_write_nothing_more(frozen_time, make_worker, reaper):
    worker, execution = make_worker(), durable.start(Quick)
    [held] = claim(worker.pk)
    frozen_time.advance(timedelta(seconds=31))
    reaper.run_once()

    late = Move(
        lease=held.lease,
        status=ExecutionStatus.COMPLETED,
        position="answer",
        sequence=1,
        attempt=1,
        data={"answer": "late"},
    )

    assert moves.write([late], using="default") == [None]
    assert not leases.holds(held.lease)
    assert fresh(execution).status == "pending"


def test_a_paused_execution_stays_paused(frozen_time, make_worker, reaper):
    worker, execution = make_worker(), durable.start(Quick)
    claim(worker.pk)
    durable.pause(execution)

    frozen_time.advance(timedelta(seconds=31))
    reaper.run_once()

    execution = fresh(execution)
    assert (execution.status, execution.available_at) == ("paused", None)
    assert (execution.leased_by, execution.resumes_at) == (None, now())
    durable.resume(execution)
    assert fresh(execution).status == "pending"


def test_an_execution_that_loses_worker_after_worker_rests_longer_and_longer(
    frozen_time, reaper
):
    execution = durable.start(Quick)

    rests = []
    for _ in range(4):
        assert claim(uuid4())
        reaper.run_once()
        rest = fresh(execution).available_at - now()
        rests.append(rest.total_seconds())
        frozen_time.advance(rest)

    assert rests == [0, 2, 4, 8]


def test_of_two_reapers_one_wins(make_worker, transactional_db):
    worker = make_worker(lease=timedelta(seconds=-1))
    durable.start_many(Quick, [{}] * 20)
    claim(worker.pk, limit=20)
    start = threading.Barrier(2)

    def reap():
        reaper = Reaper(make_options())
        start.wait(10)
        while reaper.run_once():
            pass
        connections.close_all()

    threads = [threading.Thread(target=reap) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert Step.objects.filter(status="lost").count() == 20
    assert not workers.beat(worker.pk, lease=LEASE, using="default")


def test_a_worker_that_was_taken_for_dead_goes_on_under_a_new_id(frozen_time, caplog):
    heartbeat = Heartbeat(make_options())
    heartbeat.run_once()
    first = heartbeat.worker_id

    frozen_time.advance(timedelta(seconds=31))
    Reaper(make_options()).run_once()
    heartbeat.run_once()

    assert heartbeat.worker_id not in (None, first)
    assert Worker.objects.get(is_dead=False).pk == heartbeat.worker_id
    assert "was taken for dead" in caplog.text


def test_after_an_outage_others_get_the_time_to_be_heard_of(
    frozen_time, make_worker, reaper, monkeypatch
):
    seconds = [1000.0]
    monkeypatch.setattr(services.time, "monotonic", lambda: seconds[0])
    worker = make_worker()
    reaper.run_once()

    frozen_time.advance(timedelta(seconds=60))
    seconds[0] += 60
    reaper.run_once()
    assert not Worker.objects.get().is_dead

    for _ in range(3):
        seconds[0] += 4
        reaper.run_once()
    assert Worker.objects.get(pk=worker.pk).is_dead


def test_between_two_sweeps_only_sessions_are_looked_at(
    frozen_time, make_worker, monkeypatch
):
    seconds = [1000.0]
    monkeypatch.setattr(services.time, "monotonic", lambda: seconds[0])
    reaper = Reaper(make_options(), sweeps_every=1.0)
    reaper.run_once()
    make_worker()
    frozen_time.advance(timedelta(seconds=31))

    seconds[0] += 0.9
    with counted() as statements:
        reaper.run_once()
    assert len(statements.all) == (connection.vendor == "postgresql")
    assert not Worker.objects.get().is_dead
    seconds[0] += 0.2
    reaper.run_once()

    assert Worker.objects.get().is_dead


def test_dead_workers_are_forgotten_after_a_day(frozen_time, make_worker, reaper):
    make_worker()
    frozen_time.advance(timedelta(seconds=31))
    reaper.run_once()
    frozen_time.advance(timedelta(days=1))
    later = make_worker()
    frozen_time.advance(timedelta(seconds=31))

    reaper.run_once()

    assert Worker.objects.get() == later


def test_what_a_worker_gives_back_itself_costs_no_attempt(frozen_time, make_worker):
    worker = make_worker()
    kept, given = durable.start_many(Quick, [{}, {}])
    claimed = {held.lease.execution_id: held for held in claim(worker.pk)}

    assert workers.release(worker.pk, keep={kept.pk}, using="default") == 1

    assert fresh(kept).leased_by == worker.pk
    given = fresh(given)
    assert (given.status, given.attempt, given.available_at) == ("pending", 1, now())
    assert not given.steps.exists()
    assert given.lease_token > claimed[given.pk].lease.token


class TestLocks:
    """On PostgreSQL a worker is known to live by its advisory lock."""

    pytestmark = pytest.mark.usefixtures("postgres_only")

    def lock(self, *, hours: float = 0) -> WorkerLock:
        key = 4711
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_postmaster_start_time(), statement_timestamp()")
            started_at, at = cursor.fetchone()
        return WorkerLock(key, started_at - timedelta(hours=hours) if hours else at)

    def hold(self, lock: WorkerLock, function: str = "pg_advisory_xact_lock") -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {function}(%s, %s)", [LOCK_CLASS, lock.key])

    def test_a_worker_without_its_lock_is_dead_at_the_second_look(
        self, make_worker, reaper
    ):
        worker, execution = make_worker(lock=self.lock()), durable.start(Quick)
        claim(worker.pk)

        reaper.run_once()
        assert not Worker.objects.get().is_dead
        reaper.run_once()

        assert Worker.objects.get().is_dead
        assert fresh(execution).leased_by is None

    def test_one_that_reconnects_between_two_looks_is_not(self, make_worker, reaper):
        worker = make_worker(lock=self.lock())

        reaper.run_once()
        self.hold(self.lock())
        workers.beat(worker.pk, lease=LEASE, lock=self.lock(), using="default")
        reaper.run_once()
        reaper.run_once()

        assert not Worker.objects.get().is_dead

    def test_locks_from_before_a_restart_of_the_server_say_nothing(
        self, make_worker, reaper
    ):
        make_worker(lock=self.lock(hours=1))

        reaper.run_once()
        reaper.run_once()

        assert not Worker.objects.get().is_dead
