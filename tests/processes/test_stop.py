"""Signals: a worker that is told to stop."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from django.db import connection

import django_durable as durable
from django_durable.models import Execution, Worker
from tests.processes.worker_processes import eventually
from tests.testapp import journal
from tests.testapp.workflows import Asleep, Expectant, Quick, Slow

needs_proc = pytest.mark.skipif(
    not os.path.isdir("/proc/self/fd"), reason="reads /proc"
)


@pytest.fixture
def running(start_worker, environment):
    """A worker in the middle of a step that takes 1.5 s, and its execution."""

    def start(seconds, *arguments):
        execution = durable.start(Slow, {"seconds": seconds})
        worker = start_worker(*arguments)
        eventually(
            lambda: journal.read(environment), within=20, what="a step that runs"
        )
        return worker, execution

    return start


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_running_step_may_end_and_no_other_begins(running, environment, number):
    worker, execution = running(1.0)

    worker.send(number)
    eventually(lambda: worker.says(f"stops: {number.name}"), within=10)
    waiting = durable.start(Quick)

    assert worker.wait(10) == 0
    execution.refresh_from_db()
    assert (execution.status, execution.current_step) == ("pending", "follow")
    assert [line.step for line in journal.read(environment)] == ["hold"]
    waiting.refresh_from_db()
    assert waiting.status == "pending"
    assert not Worker.objects.exists()


def test_a_step_may_end_when_all_processes_are_told_to_stop_at_once(running):
    """As systemd does, unless it is told otherwise."""
    worker, execution = running(2.0, "--processes=2")
    children = eventually(
        lambda: pids if len(pids := worker_pids()) == 2 else None, within=20
    )

    worker.send(signal.SIGTERM)
    for pid in children:
        os.kill(pid, signal.SIGTERM)

    assert worker.wait(15) == 0
    execution.refresh_from_db()
    assert (execution.status, execution.current_step) == ("pending", "follow")


@needs_proc
def test_processes_that_have_not_begun_yet_stop_in_good_order(start_worker):
    parent = start_worker("--processes=2")
    eventually(lambda: len(children_of(parent.pid)) == 2, within=20)

    parent.send(signal.SIGTERM)

    assert parent.wait(15) == 0


def children_of(pid):
    """Return the processes that a process has started, from the moment they exist."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def worker_pids():
    return list(Worker.objects.filter(is_dead=False).values_list("pid", flat=True))


def test_what_outlasts_the_grace_is_for_others_at_once(running, start_worker):
    worker, execution = running(60, "--grace=0.5")

    worker.send(signal.SIGTERM)

    assert worker.wait(10) == 0
    execution.refresh_from_db()
    assert (execution.status, execution.attempt) == ("pending", 1)
    assert execution.leased_by is None
    assert not Worker.objects.exists()
    assert not execution.steps.exists()
    assert worker.says("cut off")


def test_a_second_signal_stops_now(running):
    worker, execution = running(60)

    worker.send(signal.SIGTERM)
    eventually(lambda: worker.says("stops: SIGTERM"), within=10)
    told_at = time.monotonic()
    worker.send(signal.SIGTERM)

    assert worker.wait(10) == 1
    assert time.monotonic() - told_at < 5
    execution.refresh_from_db()
    assert (execution.status, execution.leased_by) == ("pending", None)


def test_several_processes_stop_with_their_parent(start_worker):
    parent = start_worker("--processes=2")
    eventually(lambda: Worker.objects.count() == 2, within=20, what="two workers")

    parent.send(signal.SIGTERM)

    assert parent.wait(10) == 0
    assert not Worker.objects.exists()


def test_the_children_of_a_parent_that_was_killed_stop(start_worker):
    parent = start_worker("--processes=2")
    eventually(lambda: Worker.objects.count() == 2, within=20, what="two workers")

    parent.kill()

    eventually(lambda: not Worker.objects.exists(), within=10, what="their end")
    assert parent.says("its parent process has ended")


def test_a_child_that_was_killed_is_started_anew(start_worker):
    parent = start_worker("--processes=2")
    eventually(lambda: Worker.objects.count() == 2, within=20, what="two workers")
    first = set(Worker.objects.values_list("pid", flat=True))

    os.kill(min(first), signal.SIGKILL)

    def started_anew():
        return set(Worker.objects.values_list("pid", flat=True)) - first

    eventually(started_anew, within=20, what="a third worker")
    assert parent.says("ended unexpectedly (signal 9)")


@pytest.mark.timeout(300)
@needs_proc
def test_a_thousand_executions_that_wait_hold_nothing(start_worker):
    durable.start_many(Asleep, [{}] * 500)
    durable.start_many(Expectant, [{}] * 500)
    worker = start_worker()
    waiting = Execution.objects.filter(status="waiting")
    eventually(lambda: waiting.count() == 1000, within=240, what="all to wait")

    assert not Execution.objects.leased().exists()
    # Beside the pool: main, dispatcher, heartbeat, reaper, listener, scheduler, pruner,
    # and those that write moves and logs.
    assert len(os.listdir(f"/proc/{worker.pid}/task")) <= 11 + 9
    if connection.vendor == "postgresql":
        # SQLite keeps the files of closed connections open for the open ones.
        eventually(
            lambda: connection_count() <= 6, within=10, what="closed connections"
        )


def connection_count() -> int:
    """Return how many connections others have to the database of the tests."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return cursor.fetchone()[0]
