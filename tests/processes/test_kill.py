"""Workers that die in the middle of a step, as in a power cut."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter, defaultdict
from datetime import timedelta

import pytest
from django.db import connection

import django_durable as durable
from django_durable.models import Execution, Step, Worker
from django_durable.store.leases import now_in
from tests.processes.worker_processes import eventually
from tests.testapp import journal
from tests.testapp.models import Effect
from tests.testapp.workflows import Deadly, Quick, Slow, Tour

KILLS = 20
EXECUTIONS = 200
STEPS = ["leave", "pay", "travel", "collect", "arrive"]


def open_executions() -> int:
    return Execution.objects.open().count()


def busy_workers() -> set[int]:
    """Return the process ids of the workers that run something."""
    busy = Execution.objects.leased().values("leased_by")
    alive = Worker.objects.filter(pk__in=busy, is_dead=False)
    return set(alive.values_list("pid", flat=True))


def kill_one(workers: list, start_worker) -> None:
    """Kill a worker that runs something, at a random moment, and start another one."""

    def find():
        busy = busy_workers()
        return [worker for worker in workers if worker.pid in busy]

    victim = random.choice(eventually(find, within=30, what="a worker that is busy"))
    time.sleep(random.uniform(0, 0.2))
    victim.kill()
    workers.remove(victim)
    workers.append(start_worker("--concurrency=4"))


@pytest.mark.thorough
@pytest.mark.timeout(180)
def test_nothing_is_lost_or_done_twice_when_workers_are_killed(
    start_worker, configure, environment
):
    lease = {} if connection.vendor == "postgresql" else {"LEASE": 2.0}
    configure(MAX_LOST_ATTEMPTS=10, **lease)
    executions = durable.start_many(Tour, [{"number": n} for n in range(EXECUTIONS)])
    workers = [start_worker("--concurrency=4") for _ in range(3)]

    for _ in range(KILLS):
        kill_one(workers, start_worker)
    eventually(lambda: not open_executions(), within=90, what="the end of all")

    for number, execution in enumerate(executions):
        execution.refresh_from_db()
        assert execution.status == "completed", execution.error
        assert execution.result == {
            "number": number,
            "total": ((number + 1) * 10 + 1) * 10,
        }
    effects = Counter(Effect.objects.values_list("execution_id", "step"))
    wanted = [(one.pk, step) for one in executions for step in ("pay", "collect")]
    assert effects == Counter(wanted)
    assert_no_committed_step_ran_again(environment)


def assert_no_committed_step_ran_again(environment) -> None:
    ran = defaultdict(list)
    for line in journal.read(environment):
        ran[line.execution_id].append(line.step)
    recorded = Counter(
        (str(execution_id), path)
        for execution_id, path in Step.objects.values_list("execution_id", "path")
    )
    for execution_id, steps in ran.items():
        # A step begins when the one before it is committed: none may come after it.
        assert steps == sorted(steps, key=STEPS.index)
        for path, count in Counter(steps).items():
            assert count <= recorded[execution_id, path]
    completed = Step.objects.filter(status="completed")
    assert Counter(completed.values_list("path", flat=True)) == dict.fromkeys(
        STEPS, EXECUTIONS
    )
    assert Step.objects.filter(status="lost").exists()


def test_others_have_a_dead_workers_executions_within_5_s(
    postgres_only, start_worker, environment
):
    execution = durable.start(Slow, {"seconds": 60})
    victim = start_worker()
    eventually(lambda: journal.read(environment), within=20, what="a step that runs")
    heir = start_worker()
    heir.wait_until_it_serves()

    victim.kill()
    died_at = now_in("default")
    eventually(lambda: not open_executions(), within=10, what="the end")

    lost, again = Step.objects.filter(execution=execution, path="hold").order_by(
        "attempt"
    )
    assert (lost.status, lost.error["type"]) == ("lost", "worker_lost")
    assert again.status == "completed"
    assert again.started_at - died_at < timedelta(seconds=5)
    assert Execution.objects.get().result["held_by"] == heir.pid


@pytest.mark.thorough
def test_a_step_that_kills_its_workers_fails_and_holds_nobody_up(
    start_worker, configure, environment
):
    configure(MAX_LOST_ATTEMPTS=2, LEASE=2.0)
    deadly = durable.start(Deadly, priority=10)
    start_worker("--processes=2", "-v2")
    eventually(lambda: journal.read(environment), within=20, what="the first death")
    durable.start_many(Quick, [{"number": number} for number in range(20)])

    quick = Execution.objects.filter(workflow="quick", status="completed")
    eventually(lambda: quick.count() == 20, within=20, what="the end of the others")
    eventually(
        lambda: not open_executions(), within=30, what="the end of the deadly one"
    )

    deadly.refresh_from_db()
    assert (deadly.status, deadly.error["type"]) == ("failed", "worker_lost")
    assert deadly.error["step"] == "die"
    steps = deadly.steps.values_list("path", "attempt", "status")
    assert list(steps) == [("die", attempt, "lost") for attempt in (1, 2, 3)]
    assert sum(line.step == "die" for line in journal.read(environment)) == 3


def test_a_worker_that_was_frozen_beyond_its_lease_writes_nothing_and_lives_on(
    start_worker, configure, environment
):
    configure(LEASE=2.0, POLL_INTERVAL=0.2)
    execution = durable.start(Slow, {"seconds": 1.0})
    frozen = start_worker("-v2")
    eventually(lambda: journal.read(environment), within=20, what="a step that runs")
    freeze(frozen)

    heir = start_worker()
    eventually(lambda: not open_executions(), within=30, what="the end at the heir")
    heir.send(signal.SIGTERM)
    assert heir.wait(10) == 0
    frozen.send(signal.SIGCONT)
    eventually(
        lambda: frozen.says("nothing more is written"), within=10, what="a refusal"
    )
    later = durable.start(Quick)
    eventually(lambda: not open_executions(), within=10, what="the end of a later one")

    execution.refresh_from_db()
    assert execution.result == {"seconds": 1.0, "held_by": heir.pid}
    steps = execution.steps.values_list("path", "attempt", "status")
    assert sorted(steps) == [
        ("follow", 1, "completed"),
        ("hold", 1, "lost"),
        ("hold", 2, "completed"),
    ]
    later.refresh_from_db()
    assert later.result["pid"] == frozen.pid
    assert frozen.lives
    assert frozen.says("taken for dead")


def freeze(worker) -> None:
    """Stop a process while it is not writing: it would keep SQLite's lock."""
    for _ in range(50):
        worker.send(signal.SIGSTOP)
        if connection.vendor != "sqlite" or is_writable():
            return
        worker.send(signal.SIGCONT)
        time.sleep(0.01)
    raise AssertionError("always writing")


def is_writable() -> bool:
    import sqlite3

    probe = sqlite3.connect(connection.settings_dict["NAME"], timeout=0.1)
    try:
        probe.execute("BEGIN IMMEDIATE")
        probe.rollback()
    except sqlite3.OperationalError:
        return False
    finally:
        probe.close()
    return True
