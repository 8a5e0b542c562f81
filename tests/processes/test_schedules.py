"""Worker processes that fire the same schedules, one of which is killed meanwhile.

``DURABLE_SCHEDULE_SECONDS=60`` lets the schedule of seconds run for a minute.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from datetime import timedelta

import pytest

import django_durable as durable
from django_durable.models import Execution, Schedule
from django_durable.store.leases import now_in
from tests.processes.worker_processes import eventually
from tests.testapp.workflows import Quick

COUNT = 8
MISSED = 60
SECONDS = int(os.environ.get("DURABLE_SCHEDULE_SECONDS", "8"))


def test_each_fire_time_starts_once_while_processes_race_and_die(
    configure, start_worker
):
    """Several schedules have missed an hour of minutes each, and make up for all."""
    configure(SCHEDULER_INTERVAL=0.05, LEASE=3.0)
    names = [f"s{number}" for number in range(COUNT)]
    for name in names:
        durable.schedule(Quick, "* * * * *", name=name, catch_up="all", enabled=False)
    workers = [start_worker(), start_worker()]
    for worker in workers:
        worker.wait_until_it_serves()

    since = durable.get_schedule("s0").next_fire_at - timedelta(minutes=MISSED)
    for name in names:
        Schedule.objects.filter(name=name).update(enabled=True, next_fire_at=since)
        time.sleep(random.uniform(0, 0.2))
        if name == names[COUNT // 2]:
            workers[0].kill()
            workers.append(start_worker())

    eventually(
        lambda: not Schedule.objects.filter(next_fire_at=since).exists(), within=60
    )
    # A minute that ends now must not be half counted.
    for name in names:
        durable.disable_schedule(name)
    eventually(
        lambda: not Execution.objects.exclude(status="completed").exists(), within=60
    )
    assert_each_fire_time_once(names, since)


def assert_each_fire_time_once(names, since):
    fired = Counter(Execution.objects.values_list("idempotency_key", flat=True))
    for name in names:
        upto = durable.get_schedule(name).next_fire_at
        minutes = round((upto - since) / timedelta(minutes=1))
        expected = {
            f"schedule:{name}:{(since + n * timedelta(minutes=1)).isoformat()}"
            for n in range(minutes)
        }
        assert {key for key in fired if key.startswith(f"schedule:{name}:")} == expected
        assert minutes >= MISSED
    assert set(fired.values()) == {1}


@pytest.mark.timeout(60 + 2 * SECONDS)
def test_each_second_starts_once_while_one_of_two_processes_is_killed(
    configure, environment, start_worker
):
    configure(SCHEDULER_INTERVAL=0.2, LEASE=3.0)
    environment["TEST_CRON_OF_SECONDS"] = "1"
    durable.schedule(Quick, "* * * * *", name="tick", catch_up="all", enabled=False)
    workers = [start_worker(), start_worker()]
    for worker in workers:
        worker.wait_until_it_serves()
    since = now_in("default").replace(microsecond=0) + timedelta(seconds=1)
    Schedule.objects.update(enabled=True, next_fire_at=since)

    end = time.monotonic() + SECONDS
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(random.uniform(0.5, 5), left))
        victim = random.choice(workers)
        victim.kill()
        workers.remove(victim)
        workers.append(start_worker())
    upto = since + timedelta(seconds=SECONDS)
    eventually(lambda: durable.get_schedule("tick").next_fire_at >= upto, within=20)
    durable.disable_schedule("tick")
    eventually(
        lambda: not Execution.objects.exclude(status="completed").exists(), within=30
    )

    fired = Counter(Execution.objects.values_list("idempotency_key", flat=True))
    upto = durable.get_schedule("tick").next_fire_at
    count = round((upto - since) / timedelta(seconds=1))
    assert count >= SECONDS
    assert fired == {
        f"schedule:tick:{(since + timedelta(seconds=number)).isoformat()}": 1
        for number in range(count)
    }


def test_until_idle_in_a_process_of_its_own_fires_what_is_due(start_worker):
    durable.schedule(Quick, "@yearly", name="yearly")
    Schedule.objects.update(next_fire_at=durable.get_schedule("yearly").created_at)

    assert start_worker("--until-idle").wait(30) == 0

    assert Execution.objects.get().status == "completed"


def test_without_the_scheduler_nothing_is_fired(start_worker):
    durable.schedule(Quick, "@yearly", name="yearly")
    Schedule.objects.update(next_fire_at=durable.get_schedule("yearly").created_at)

    assert start_worker("--until-idle", "--no-scheduler").wait(30) == 0

    assert not Execution.objects.exists()
