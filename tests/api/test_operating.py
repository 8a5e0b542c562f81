"""Cancel, pause, resume and retry, in every status an execution can have."""

from __future__ import annotations

import threading

import pytest
from django.contrib.auth.models import Group
from django.db import connections

import django_durable as durable
from django_durable import (
    Cancelled,
    ExecutionClosed,
    Fail,
    NotStorable,
    Retry,
    Sleep,
    WaitForEvent,
    WaitForText,
    Workflow,
    clock,
    hours,
    minutes,
    seconds,
    step,
)
from django_durable.models import Execution
from tests.factories import NOON, attempts, claim, drain, finish, fresh, reap


class Operated(Workflow):
    """One step of each kind, so that a test may stop where it likes."""

    @step(retry=Retry(max_attempts=3, base=minutes(10), jitter=0))
    def call(self, ctx, fails=0):
        if ctx.attempt <= fails:
            raise ConnectionError

    nap = Sleep(hours(1))
    news = WaitForEvent("news")
    note = WaitForText(timeout=hours(5))

    @step
    def last(self):
        return {"last": True}


def at_start(time):
    return durable.start(Operated)


def scheduled(time):
    return durable.start(Operated, scheduled_at=NOON + hours(9))


def between_attempts(time):
    return finish(durable.start(Operated, {"fails": 1}))


def asleep(time):
    return finish(durable.start(Operated))


def waiting_for_event(time):
    execution = asleep(time)
    time.advance(hours(1))
    return finish(execution)


def waiting_for_input(time):
    execution = waiting_for_event(time)
    durable.send_event(execution, "news", 1)
    return finish(execution)


def running(time):
    execution = durable.start(Operated)
    claim()
    return execution


def paused(time):
    execution = waiting_for_event(time)
    durable.pause(execution)
    return execution


OPEN = [
    at_start,
    scheduled,
    between_attempts,
    asleep,
    waiting_for_event,
    waiting_for_input,
    running,
    paused,
]


def to_the_end(execution: Execution, time) -> Execution:
    """Do whatever is needed until it has ended."""
    for _ in range(20):
        execution = finish(execution)
        if execution.is_final:
            return execution
        if execution.current_step == "news":
            durable.send_event(execution, "news", 1)
        elif execution.current_step == "note":
            durable.provide_input(execution, "note", "fine")
        else:
            time.advance(hours(3))
    raise AssertionError(f"it hangs: {execution.status}, {execution.waiting_for}")


# --- Cancel ---------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("reach", OPEN)
def test_cancel_ends_an_execution_wherever_it_stands(reach):
    with clock.freeze(NOON) as time:
        execution = fresh(reach(time))
        at = execution.current_step
        durable.cancel(execution, "not needed")
        execution = fresh(execution)

        assert execution.status == "cancelled"
        assert execution.error["type"] == "cancelled"
        assert execution.error["message"] == "not needed"
        assert execution.error["step"] == (at or None)
        assert execution.completed_at == time.instant
        assert execution.waiting_for == ""
        assert not execution.waits.filter(status="open").exists()
        assert durable.list_pending_inputs(execution) == []
        time.advance(hours(99))
        assert drain() == 0
        with pytest.raises(ExecutionClosed):
            durable.cancel(execution)
        with pytest.raises(ExecutionClosed):
            durable.pause(execution)
        with pytest.raises(ExecutionClosed):
            durable.resume(execution)
        with pytest.raises(ExecutionClosed):
            durable.send_event(execution, "news")


@pytest.mark.django_db
def test_a_reason_that_cannot_be_stored_is_refused():
    execution = durable.start(Operated)

    with pytest.raises(NotStorable):
        durable.cancel(execution, "a\u0000b")

    assert fresh(execution).status == "pending"


@pytest.mark.usefixtures("transactional_db")
@pytest.mark.parametrize("is_atomic", [False, True])
def test_cancel_while_a_step_runs_records_nothing_more(is_atomic):
    begun, release = threading.Event(), threading.Event()
    later = []

    class Long(Workflow, name="operated_long"):
        @step(atomic=is_atomic)
        def work(self):
            begun.set()
            assert release.wait(20)
            if is_atomic:
                Group.objects.create(name="late")
            return {"late": True}

        @step
        def after(self):
            later.append(1)

    execution = durable.start(Long)
    worker = in_thread(drain)
    assert begun.wait(20)
    if is_atomic and connections["default"].vendor == "sqlite":
        # The step holds the lock of the whole database: cancel waits for its end.
        release.set()
        worker()
        return
    durable.cancel(execution, "now")
    assert fresh(execution).status == "cancelled"
    release.set()
    worker()

    execution = fresh(execution)
    assert execution.status == "cancelled"
    assert execution.data == {}
    assert later == []
    assert not Group.objects.exists()
    assert attempts(execution) == []


@pytest.mark.usefixtures("transactional_db")
def test_a_heartbeat_tells_the_step_that_it_was_cancelled():
    begun, release, told = threading.Event(), threading.Event(), []

    class Alive(Workflow, name="operated_alive"):
        @step
        def work(self, ctx):
            begun.set()
            assert release.wait(20)
            try:
                ctx.heartbeat()
            except Exception:  # Not what is raised: the next line shows it.
                told.append("Exception")
            except Cancelled:
                told.append("Cancelled")
                raise

    execution = durable.start(Alive)
    worker = in_thread(drain)
    assert begun.wait(20)
    durable.cancel(execution)
    release.set()
    worker()

    assert told == ["Cancelled"]
    assert fresh(execution).progress is None


def in_thread(work):
    """Run ``work`` in a thread with its own connection; return what waits for its end."""
    failed: list[BaseException] = []

    def call():
        try:
            work()
        except BaseException as error:
            failed.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=call)
    thread.start()

    def wait() -> None:
        thread.join(30)
        assert not thread.is_alive()
        if failed:
            raise failed[0]

    return wait


# --- Pause and resume -----------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("reach", OPEN)
def test_nothing_starts_while_paused_and_all_goes_on_when_resumed(reach):
    with clock.freeze(NOON) as time:
        execution = reach(time)
        durable.pause(execution)
        durable.pause(execution)
        assert fresh(execution).status == "paused"
        assert fresh(execution).waiting_for == "someone to resume it"
        assert drain() == 0

        durable.resume(execution)
        durable.resume(execution)
        assert fresh(execution).status != "paused"
        reap()
        execution = to_the_end(execution, time)

    assert execution.status == "completed"
    assert execution.result["last"] is True
    done = execution.steps.filter(status="completed")
    assert [one.path for one in done] == ["call", "nap", "news", "note", "last"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("reach", "due"),
    [
        (scheduled, NOON + hours(9)),
        (between_attempts, NOON + minutes(5)),
        (asleep, NOON + hours(1)),
        (waiting_for_input, NOON + hours(6)),
    ],
)
def test_timers_keep_their_time_while_paused(reach, due):
    with clock.freeze(NOON) as time:
        execution = reach(time)
        assert fresh(execution).available_at == due
        durable.pause(execution)
        assert fresh(execution).available_at is None
        time.advance(minutes(1))
        durable.resume(execution)
        assert fresh(execution).available_at == due


@pytest.mark.django_db
def test_a_timer_that_ran_out_while_paused_is_due_when_resumed():
    with clock.freeze(NOON) as time:
        execution = asleep(time)
        durable.pause(execution)
        time.advance(hours(30))
        assert drain() == 0
        durable.resume(execution)
        assert drain() == 1
        assert fresh(execution).current_step == "news"


@pytest.mark.django_db
def test_what_comes_while_paused_is_kept_for_later():
    with clock.freeze(NOON) as time:
        execution = waiting_for_event(time)
        durable.pause(execution)
        durable.send_event(execution, "news", 1)
        assert fresh(execution).status == "paused"
        assert drain() == 0

        durable.resume(execution)
        assert finish(execution).current_step == "note"
        durable.pause(execution)
        durable.provide_input(execution, "note", "fine")
        assert drain() == 0
        durable.resume(execution)
        assert finish(execution).result["note"] == "fine"


@pytest.mark.django_db
def test_resumed_it_still_says_what_it_waits_for():
    with clock.freeze(NOON) as time:
        for reach in (waiting_for_event, waiting_for_input, asleep):
            execution = fresh(reach(time))
            durable.pause(execution)
            durable.resume(execution)
            assert fresh(execution).waiting_for == execution.waiting_for
            assert fresh(execution).status == execution.status


@pytest.mark.usefixtures("transactional_db")
def test_a_step_that_runs_when_paused_may_end_and_the_next_does_not_start():
    begun, release = threading.Event(), threading.Event()

    class Two(Workflow, name="operated_two"):
        @step
        def one(self):
            begun.set()
            assert release.wait(20)
            return {"one": True}

        @step
        def two(self):
            return {"two": True}

    execution = durable.start(Two)
    worker = in_thread(drain)
    assert begun.wait(20)
    durable.pause(execution)
    release.set()
    worker()

    execution = fresh(execution)
    assert execution.status == "paused"
    assert execution.leased_by is None
    assert execution.data == {"one": True}
    assert execution.current_step == "two"
    assert attempts(execution) == [("one", 1, "completed")]
    assert drain() == 0
    durable.resume(execution)
    assert finish(execution).result == {"one": True, "two": True}


@pytest.mark.usefixtures("transactional_db")
def test_paused_and_resumed_while_its_step_runs_it_runs_on():
    begun, release = threading.Event(), threading.Event()

    class Two(Workflow, name="operated_brief"):
        @step
        def one(self):
            begun.set()
            assert release.wait(20)

        @step
        def two(self):
            return {"two": True}

    execution = durable.start(Two)
    worker = in_thread(drain)
    assert begun.wait(20)
    durable.pause(execution)
    durable.resume(execution)
    assert fresh(execution).status == "running"
    release.set()
    worker()

    assert fresh(execution).result == {"two": True}


@pytest.mark.django_db
@pytest.mark.parametrize(
    "how", ["last", "fails", "waits", "sleeps", "snoozes", "retries"]
)
def test_however_the_running_step_ends_a_paused_execution_stays_paused(how):
    class Ends(Workflow, name="operated_ends"):
        @step(retry=2 if how == "retries" else 1)
        def work(self, ctx):
            if ctx.input["paused"]:
                durable.pause(ctx.execution_id)
            match how:
                case "fails":
                    raise Fail("no")
                case "waits":
                    durable.wait_for_event("news")
                case "sleeps":
                    durable.sleep(hours(1))
                case "snoozes" if clock.now() == NOON:
                    raise durable.Snooze(hours(1))
                case "retries" if ctx.attempt == 1:
                    raise ConnectionError

    with clock.freeze(NOON) as time:
        execution = durable.start(Ends, {"paused": True})
        drain()
        execution = fresh(execution)
        expected = {"last": "completed", "fails": "failed"}.get(how, "paused")
        assert execution.status == expected
        assert execution.leased_by is None
        if execution.status == "paused":
            Execution.objects.update(input={"paused": False})
            durable.resume(execution)
            time.advance(hours(2))
            drain()
            if how == "waits":
                durable.send_event(execution, "news", 1)
            assert finish(execution).status == "completed"


# --- Retry ----------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_failed_execution_goes_on_from_its_failed_step():
    is_broken, runs = [True], []

    class Mended(Workflow, name="operated_mended"):
        @step
        def one(self):
            runs.append("one")
            return {"one": 1}

        @step(retry=2)
        def two(self, ctx, one):
            runs.append(f"two {ctx.attempt}")
            if is_broken[0]:
                raise Fail("broken")
            return {"two": one + 1}

    execution = finish(durable.start(Mended))
    assert execution.status == "failed"
    is_broken[0] = False
    durable.retry(execution)
    execution = fresh(execution)
    assert execution.status == "pending"
    assert execution.error is None
    assert execution.completed_at is None
    assert execution.attempt == 1

    assert finish(execution).result == {"one": 1, "two": 2}
    assert runs == ["one", "two 1", "two 1"]
    assert attempts(execution) == [
        ("one", 1, "completed"),
        ("two", 1, "failed"),
        ("two", 1, "completed"),
    ]


@pytest.mark.django_db
def test_attempts_are_counted_anew():
    class Stubborn(Workflow, name="operated_stubborn"):
        @step(retry=Retry(max_attempts=2, base=seconds(0)))
        def work(self):
            raise ConnectionError

    execution = finish(durable.start(Stubborn))
    durable.retry(execution)
    execution = finish(execution)

    assert execution.status == "failed"
    assert [attempt for _, attempt, _ in attempts(execution)] == [1, 2, 1, 2]


@pytest.mark.django_db
def test_a_wait_that_ran_out_is_asked_again():
    class Asks(Workflow, name="operated_asks"):
        note = WaitForText(timeout=hours(1))

    with clock.freeze(NOON) as time:
        execution = finish(durable.start(Asks))
        time.advance(hours(1))
        assert finish(execution).error["type"] == "wait_timeout"
        durable.retry(execution)
        execution = finish(execution)
        assert execution.status == "waiting"
        assert execution.available_at == NOON + hours(2)
        durable.provide_input(execution, "note", "fine")
        assert finish(execution).result == {"note": "fine"}


@pytest.mark.django_db
@pytest.mark.parametrize("reach", OPEN)
def test_only_a_failed_execution_is_retried(reach):
    with clock.freeze(NOON) as time:
        execution = reach(time)
        before = fresh(execution).status

        with pytest.raises(ExecutionClosed, match="only a failed one"):
            durable.retry(execution)
        assert fresh(execution).status == before
        durable.cancel(execution)
        with pytest.raises(ExecutionClosed):
            durable.retry(execution)


@pytest.mark.django_db
def test_what_has_completed_is_not_retried():
    class Done(Workflow, name="operated_done"):
        @step
        def work(self): ...

    execution = finish(durable.start(Done))

    with pytest.raises(ExecutionClosed):
        durable.retry(execution)
    assert fresh(execution).status == "completed"
