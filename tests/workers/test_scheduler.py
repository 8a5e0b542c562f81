"""Firing: what is due starts once, whoever races, and whatever was missed."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.db import OperationalError, connection, connections
from django.utils import timezone

import django_durable as durable
from django_durable import (
    WaitForEvent,
    Workflow,
    clock,
    hours,
    minutes,
    schedule,
    seconds,
    step,
)
from django_durable.models import Execution, Schedule
from django_durable.store import firing
from django_durable.testing import run_until_idle
from django_durable.workers import scheduler
from django_durable.workers.options import make_options
from django_durable.workers.scheduler import Scheduler
from django_durable.workers.services import Dispatcher, Heartbeat
from tests.factories import NOON, counted, fresh, reap

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_registry")]


class Tick(Workflow, name="scheduler_tick", queue="slow"):
    @step
    def run(self, data):
        return {"ran": True}


class Lasting(Workflow, name="scheduler_lasting"):
    news = WaitForEvent("news")


@pytest.fixture(autouse=True)
def started_at_noon(frozen_time):
    return frozen_time


@pytest.fixture
def beat(options):
    """Return one look of a scheduler that has nothing to register."""
    return Scheduler(options).run_once


def started(name: str = "tick") -> list[str]:
    """Return the fire times that have an execution, oldest first."""
    prefix = f"schedule:{name}:"
    keys = Execution.objects.filter(idempotency_key__startswith=prefix)
    return sorted(
        key.removeprefix(prefix)[11:16]
        for key in keys.values_list("idempotency_key", flat=True)
    )


def tick(cron: str = "*/10 * * * *", workflow=Tick, **options) -> Schedule:
    return durable.schedule(workflow, cron, name="tick", **options)


def stored() -> Schedule:
    return durable.get_schedule("tick")


def test_nothing_starts_before_its_time(frozen_time, beat):
    tick()

    frozen_time.advance(timedelta(minutes=9, seconds=59))
    beat()

    assert started() == []


def test_a_fire_time_starts_one_execution(frozen_time, beat):
    tick(input={"a": 1}, queue="default")

    frozen_time.advance(minutes(10))
    beat()
    beat()

    [execution] = Execution.objects.all()
    assert (execution.workflow, execution.queue) == ("scheduler_tick", "default")
    assert (execution.input, execution.tags) == ({"a": 1}, ["schedule:tick"])
    assert execution.idempotency_key == "schedule:tick:2030-03-01T12:10:00+00:00"
    found = stored()
    assert found.last_fire_at == NOON + minutes(10)
    assert found.last_execution == execution.pk
    assert found.next_fire_at == NOON + minutes(20)


def test_without_a_queue_it_is_that_of_the_workflow(frozen_time, beat):
    tick()
    frozen_time.advance(minutes(10))

    beat()

    assert Execution.objects.get().queue == "slow"


def test_a_disabled_schedule_fires_nothing(frozen_time, beat):
    tick(enabled=False)
    frozen_time.advance(minutes(10))

    beat()

    assert started() == []


@pytest.mark.parametrize(
    ("catch_up", "fired"),
    [("none", []), ("one", ["12:30"]), ("all", ["12:10", "12:20", "12:30"])],
)
def test_after_downtime_it_makes_up_as_told(frozen_time, beat, catch_up, fired):
    tick(catch_up=catch_up)

    frozen_time.advance(minutes(35))
    beat()

    assert started() == fired
    assert stored().next_fire_at == NOON + minutes(40)


def test_all_is_bounded_and_says_so(frozen_time, beat, caplog):
    tick("* * * * *", catch_up="all")

    frozen_time.advance(timedelta(days=30))
    beat()
    beat()

    assert len(started()) == 100
    assert "missed more than 100 fire times since 2030-03-01 12:01" in caplog.text


def test_what_is_not_made_up_for_is_said(frozen_time, beat, caplog):
    tick(catch_up="none")

    frozen_time.advance(minutes(15))
    beat()

    assert "missed its fire time 2030-03-01 12:10" in caplog.text


def test_overlap_allow_starts_another(frozen_time, beat):
    tick(workflow=Lasting, overlap="allow")

    for _ in range(2):
        frozen_time.advance(minutes(10))
        beat()

    assert started() == ["12:10", "12:20"]


def test_overlap_skip_waits_for_the_end_of_the_previous_one(frozen_time, beat, caplog):
    caplog.set_level(logging.INFO)
    tick(workflow=Lasting, overlap="skip")

    for _ in range(2):
        frozen_time.advance(minutes(10))
        beat()
    assert started() == ["12:10"]
    assert stored().last_fire_at == NOON + minutes(10)
    assert "tick was skipped" in caplog.text

    durable.cancel(Execution.objects.get())
    frozen_time.advance(minutes(10))
    beat()

    assert started() == ["12:10", "12:30"]


def test_overlap_skip_counts_what_a_person_has_triggered(frozen_time, beat):
    tick(workflow=Lasting, overlap="skip")
    durable.trigger_schedule("tick")

    frozen_time.advance(minutes(10))
    beat()

    assert started() == []


def test_overlap_cancel_ends_the_previous_one(frozen_time, beat):
    tick(workflow=Lasting, overlap="cancel")

    for _ in range(2):
        frozen_time.advance(minutes(10))
        beat()

    newest, oldest = durable.list_executions()
    assert (oldest.status, newest.status) == ("cancelled", "pending")
    assert oldest.error["message"] == "The schedule tick starts its next execution."


def test_overlap_cancel_leaves_one_alone_that_has_ended(frozen_time, beat):
    tick(overlap="cancel")

    for _ in range(2):
        frozen_time.advance(minutes(10))
        beat()
        run_until_idle()

    assert {one.status for one in durable.list_executions()} == {"completed"}
    assert started() == ["12:10", "12:20"]


def test_jitter_delays_the_start_but_not_the_fire_time(frozen_time, beat, monkeypatch):
    monkeypatch.setattr(scheduler.random, "random", lambda: 0.5)
    tick(jitter=minutes(4))

    frozen_time.advance(timedelta(minutes=10, seconds=1))
    beat()

    execution = Execution.objects.get()
    assert execution.scheduled_at == NOON + timedelta(minutes=12, seconds=1)
    assert started() == ["12:10"]
    assert stored().next_fire_at == NOON + minutes(20)


# --- failures -------------------------------------------------------------------------


def test_five_failures_in_a_row_disable_it(frozen_time, beat, caplog):
    tick()
    Schedule.objects.update(workflow="gone")

    for count in range(1, 7):
        frozen_time.advance(minutes(10))
        beat()
        beat()
        assert stored().failure_count == min(count, 5)

    found = stored()
    assert not found.enabled
    assert found.disabled_reason == "It failed 5 times in a row."
    assert found.last_error.startswith("UnknownWorkflow: No workflow is called 'gone'")
    assert "tick is disabled: it failed 5 times in a row" in caplog.text
    assert not Execution.objects.exists()


def test_a_success_resets_the_failures(frozen_time, beat):
    tick()
    Schedule.objects.update(failure_count=4, last_error="It was.")

    frozen_time.advance(minutes(10))
    beat()

    found = stored()
    assert (found.failure_count, found.last_error, found.enabled) == (0, "", True)


def test_a_skipped_fire_time_is_neither_a_failure_nor_a_success(frozen_time, beat):
    tick(workflow=Lasting, overlap="skip")
    durable.trigger_schedule("tick")
    Schedule.objects.update(failure_count=4)

    frozen_time.advance(minutes(10))
    beat()

    assert stored().failure_count == 4


def test_an_input_that_is_refused_is_a_failure(frozen_time, beat, settings):
    tick(input={"text": "x" * 1000})
    settings.DURABLE = {"default": {"MAX_PAYLOAD_BYTES": 100}}

    frozen_time.advance(minutes(10))
    Scheduler(make_options()).run_once()

    assert stored().failure_count == 1
    assert "NotStorable" in stored().last_error


@pytest.mark.parametrize("broken", [{"cron": "x"}, {"timezone": "Mars/Base"}])
def test_a_schedule_that_was_broken_by_hand_comes_back_and_is_disabled_too(
    frozen_time, beat, broken
):
    tick()
    Schedule.objects.update(**broken)

    for _ in range(5):
        frozen_time.advance(minutes(10))
        beat()

    assert not stored().enabled


def test_a_bad_schedule_does_not_hold_up_the_others(frozen_time, beat, monkeypatch):
    tick()
    durable.schedule(Lasting, "*/5 * * * *", name="bad")
    fire = firing.fire

    def explode(row, *args, **options):
        if row.name == "bad":
            raise KeyError("boom")
        return fire(row, *args, **options)

    monkeypatch.setattr(scheduler.firing, "fire", explode)
    frozen_time.advance(minutes(10))
    beat()

    assert started() == ["12:10"]
    assert durable.get_schedule("bad").last_error == "KeyError: 'boom'"


def test_a_database_that_is_away_is_not_the_schedules_fault(
    frozen_time, beat, monkeypatch
):
    tick()
    frozen_time.advance(minutes(10))

    with monkeypatch.context() as away:
        away.setattr(scheduler.firing, "fire", lambda *_, **__: _raise())
        with pytest.raises(OperationalError):
            beat()
    assert stored().failure_count == 0

    beat()
    assert started() == ["12:10"]


def _raise():
    raise OperationalError("gone away")


# --- races ----------------------------------------------------------------------------


def test_who_read_the_schedule_before_another_fired_it_starts_nothing(
    frozen_time, options
):
    tick()
    frozen_time.advance(minutes(10))
    late = Scheduler(options)
    [seen] = firing.due(limit=1, using="default")

    Scheduler(options).run_once()
    late._fire(seen)

    assert started() == ["12:10"]
    assert stored().revision == seen.revision + 1


def test_who_read_the_schedule_before_a_person_changed_it_starts_nothing(
    frozen_time, options
):
    tick()
    frozen_time.advance(minutes(10))
    [seen] = firing.due(limit=1, using="default")

    durable.disable_schedule("tick")
    Scheduler(options)._fire(seen)

    assert started() == []


def test_a_process_that_dies_while_it_fires_has_done_nothing_or_all(
    frozen_time, beat, monkeypatch
):
    tick()
    frozen_time.advance(minutes(10))

    def die(*_, **__):
        raise SystemExit

    with monkeypatch.context() as dying:
        dying.setattr("django_durable.store.schedules.update", die)
        with pytest.raises(SystemExit):
            beat()
    assert started() == []

    beat()
    assert started() == ["12:10"]


def test_a_fire_time_that_has_an_execution_gets_no_second_one(frozen_time, beat):
    tick()
    frozen_time.advance(minutes(10))
    beat()

    # As after a backup of this table alone, or a clock that was set back.
    Schedule.objects.update(next_fire_at=NOON + minutes(10))
    beat()

    assert started() == ["12:10"]


@pytest.mark.django_db(transaction=True)
def test_schedulers_that_race_for_an_hour_start_each_minute_once(frozen_time, options):
    for number in range(3):
        durable.schedule(Tick, "* * * * *", name=f"tick{number}")
    barrier = threading.Barrier(3, timeout=60)

    with ThreadPoolExecutor(max_workers=2) as threads:
        racing = [threads.submit(race, Scheduler(options), barrier) for _ in range(2)]
        for _ in range(60):
            frozen_time.advance(minutes(1))
            barrier.wait()
            barrier.wait()
    for one in racing:
        one.result()

    expected = [(NOON + n * minutes(1)).strftime("%H:%M") for n in range(1, 61)]
    for number in range(3):
        assert started(f"tick{number}") == expected
    assert Execution.objects.count() == 180


def race(service, barrier):
    try:
        for _ in range(60):
            barrier.wait()
            look_until_it_works(service)
            barrier.wait()
    except BaseException:
        barrier.abort()
        raise
    finally:
        connections.close_all()


def look_until_it_works(service):
    """As the loop of a worker does: on SQLite one of two that write may have to wait."""
    for _ in range(20):
        try:
            service.run_once()
        except OperationalError:
            continue
        return
    raise AssertionError("the database stays locked")


@pytest.mark.django_db(transaction=True)
def test_a_schedule_that_another_is_firing_is_passed_over(frozen_time, options):
    if not connection.features.has_select_for_update_skip_locked:
        pytest.skip("this database has one writer")
    tick()
    frozen_time.advance(minutes(10))
    [seen] = firing.due(limit=1, using="default")
    holds, may_end = threading.Event(), threading.Event()

    def hold():
        from django.db import transaction

        with transaction.atomic():
            assert firing._lock_unchanged(seen, "default")
            holds.set()
            may_end.wait(30)
        connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    assert holds.wait(30)
    Scheduler(options)._fire(seen)
    may_end.set()
    thread.join()

    assert started() == []


# --- clocks ---------------------------------------------------------------------------


@pytest.fixture
def running_clocks(frozen_time, monkeypatch):
    with monkeypatch.context() as running:
        running.setattr(clock, "_frozen", None)
        yield running


@pytest.mark.parametrize("wrong", [hours(1), -hours(1)])
def test_a_worker_whose_clock_is_wrong_follows_the_databases(
    running_clocks, options, wrong
):
    now = timezone.now  # noqa: TID251
    running_clocks.setattr(timezone, "now", lambda: now() + wrong)
    tick("* * * * *")

    assert abs(stored().next_fire_at - datetime.now(UTC)) < timedelta(seconds=62)
    Scheduler(options).run_once()
    assert started() == []

    Schedule.objects.update(next_fire_at=datetime.now(UTC) - seconds(5))
    Scheduler(options).run_once()
    assert Execution.objects.count() == 1
    assert abs(stored().next_fire_at - datetime.now(UTC)) < timedelta(seconds=62)


def test_a_day_on_which_clocks_change_fires_once(frozen_time, beat):
    # 31 March 2030: 02:00 -> 03:00. 27 October 2030: 03:00 -> 02:00.
    for instant in ("2030-03-30T12:00+00:00", "2030-10-26T12:00+00:00"):
        frozen_time.instant = datetime.fromisoformat(instant)
        tick("30 2 * * *", timezone="Europe/Berlin", catch_up="all")
        for _ in range(24):
            frozen_time.advance(hours(1))
            beat()
        durable.delete_schedule("tick")

    keys = Execution.objects.values_list("idempotency_key", flat=True)
    assert sorted(keys) == [
        "schedule:tick:2030-03-31T01:00:00+00:00",
        "schedule:tick:2030-10-27T00:30:00+00:00",
    ]


# --- in a worker ----------------------------------------------------------------------


def test_until_idle_fires_what_is_due_and_runs_it(frozen_time):
    tick(queue="default")
    frozen_time.advance(minutes(10))

    run_until_idle()

    assert Execution.objects.get().result == {"ran": True}


def test_a_worker_is_not_idle_while_a_schedule_is_due(frozen_time, options, beat):
    tick(queue="elsewhere")
    frozen_time.advance(minutes(10))
    heartbeat, idle = Heartbeat(options), []
    heartbeat.run_once()
    pool = SimpleNamespace(
        is_draining=False,
        crowded=set(),
        room=lambda _: 1,
        is_low=lambda _: True,
        drop_waiting=lambda **_: 0,
        held=frozenset,
    )
    dispatcher = Dispatcher(
        options, heartbeat=heartbeat, pool=pool, on_idle=lambda: idle.append(True)
    )

    dispatcher.run_once()
    assert not idle

    beat()
    dispatcher.run_once()
    assert idle


def test_until_idle_registers_the_schedules_of_the_code(frozen_time):
    @schedule("*/10 * * * *", name="tick")
    class Coded(Workflow, name="scheduler_coded"):
        @step
        def run(self): ...

    run_until_idle()
    frozen_time.advance(minutes(10))
    run_until_idle()

    assert started() == ["12:10"]
    assert fresh(Execution.objects.get()).workflow == Coded.definition.workflow


def test_no_scheduler_fires_nothing(frozen_time):
    from django.core.management import call_command

    tick(queue="default")
    frozen_time.advance(minutes(10))

    call_command("runworkers", until_idle=True, no_scheduler=True, verbosity=0)

    assert started() == []


# --- what it costs --------------------------------------------------------------------


def test_a_look_at_nothing_costs_one_statement(beat):
    tick()
    beat()

    with counted() as statements:
        beat()

    assert len(statements.queries) == 1


def test_the_look_uses_its_index():
    Schedule.objects.bulk_create(
        Schedule(
            name=f"s{number}",
            workflow="w",
            cron="@daily",
            overlap="allow",
            catch_up="one",
            next_fire_at=NOON + minutes(number),
            created_at=NOON,
        )
        for number in range(500)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")

    plan = Schedule.objects.due().order_by("next_fire_at")[:100].explain()

    assert "durable_due_schedule_idx" in plan


def test_the_worker_of_one_that_was_started_may_die_like_any_other(frozen_time, beat):
    tick(queue="default")
    frozen_time.advance(minutes(10))
    beat()

    assert reap() == 0
    assert Counter(one.status for one in Execution.objects.all()) == {"pending": 1}
