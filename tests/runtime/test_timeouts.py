"""Time limits: of one attempt, and of a whole execution."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import Group
from django.db import connections

import django_durable as durable
from django_durable import (
    Retry,
    Sleep,
    Snooze,
    StepTimeout,
    WaitForEvent,
    Workflow,
    clock,
    hours,
    minutes,
    seconds,
    step,
)
from django_durable.conf import get_settings
from django_durable.runtime import watchdog
from django_durable.runtime.attempts import Abandoned
from django_durable.runtime.executor import Executor
from django_durable.runtime.watchdog import Attempt, Watchdog
from tests.factories import NOON, attempts, claim, drain, finish, fresh, run

MOMENT = timedelta(milliseconds=250)
AGAIN = Retry(max_attempts=2, base=seconds(0))


def spin(until=lambda: False, most=20.0):
    """Work for a while, in Python, where an interruption is seen."""
    ends_at = time.monotonic() + most
    while not until():
        assert time.monotonic() < ends_at, "nothing has interrupted it"
        time.sleep(0.001)


# --- The limit of one attempt ---------------------------------------------------------


@pytest.mark.django_db
def test_an_attempt_that_takes_too_long_is_interrupted_and_retried_by_policy():
    class Late(Workflow):
        @step(timeout=MOMENT, retry=AGAIN)
        def call(self, ctx):
            if ctx.attempt == 1:
                spin()
            return {"attempt": ctx.attempt}

    execution = finish(durable.start(Late))

    assert execution.result == {"attempt": 2}
    assert attempts(execution) == [("call", 1, "timed_out"), ("call", 2, "completed")]
    assert execution.steps.first().error["type"] == "step_timeout"
    assert "call" in execution.steps.first().error["step"]


@pytest.mark.django_db
def test_what_the_body_makes_of_its_interruption_does_not_matter():
    class Stubborn(Workflow):
        @step(timeout=MOMENT)
        def call(self):
            try:
                spin()
            except StepTimeout:
                return {"late": True}

    execution = finish(durable.start(Stubborn))

    assert execution.status == "failed"
    assert execution.error["type"] == "step_timeout"
    assert execution.data == {}


@pytest.mark.django_db
def test_an_atomic_step_that_takes_too_long_is_rolled_back():
    class Late(Workflow):
        @step(timeout=MOMENT, atomic=True)
        def call(self):
            Group.objects.create(name="x")
            spin()

    execution = finish(durable.start(Late, timeout=hours(1)))

    assert execution.error["type"] == "step_timeout"
    assert not Group.objects.exists()


@pytest.mark.django_db
def test_a_heartbeat_prolongs_the_limit_and_stores_its_details():
    class Alive(Workflow):
        @step(timeout=seconds(0.6))
        def call(self, ctx):
            for n in range(8):
                time.sleep(0.1)
                ctx.heartbeat({"n": n})

    execution = finish(durable.start(Alive))

    assert execution.status == "completed", execution.error
    assert execution.progress == {"step": "call", "details": {"n": 7}}


def test_progress_prolongs_what_a_step_may_take_but_not_what_is_left_to_its_workflow(
    monkeypatch,
):
    now = 100.0
    monkeypatch.setattr(watchdog, "time", SimpleNamespace(monotonic=lambda: now))
    attempt = Attempt(10, None, ends_in=15)
    assert attempt.deadline == 110

    now = 104.0
    attempt.prolong()
    assert attempt.deadline == 114
    now = 112.0
    attempt.prolong()
    assert attempt.deadline == 115


def test_attempts_that_are_over_are_forgotten_long_before_their_deadline():
    dog = Watchdog()
    try:
        for _ in range(5000):
            attempt = Attempt(3600, lambda hangs: None)
            dog.watch(attempt)
            assert attempt.take()
        assert len(dog._attempts) <= 1001
    finally:
        dog.close()


def test_only_one_of_body_and_watchdog_settles_an_attempt():
    settled = []
    attempt = Attempt(1, lambda hangs: settled.append("watchdog"))
    attempt.interrupt = lambda: None

    attempt.time_out()

    assert not attempt.take()
    assert attempt.timed_out
    attempt.time_out()
    assert settled == ["watchdog"]


def test_a_body_that_has_ended_is_not_interrupted():
    attempt = Attempt(1, lambda hangs: pytest.fail("settled"))
    attempt.leave_body()

    attempt.time_out()

    assert attempt.take()
    assert not attempt.timed_out


# --- In a thread of a worker ----------------------------------------------------------


@pytest.mark.usefixtures("transactional_db")
def test_a_body_that_cannot_be_interrupted_is_settled_without_it():
    release, is_settled, ended = threading.Event(), threading.Event(), []

    class Blocked(Workflow):
        @step(timeout=MOMENT, retry=AGAIN)
        def call(self, ctx):
            if ctx.attempt == 1:
                release.wait(20)
                return {"late": True}
            return {"attempt": ctx.attempt}

    execution = durable.start(Blocked)
    (claimed,) = claim()
    dog = Watchdog()

    def work():
        try:
            Executor(get_settings(), watchdog=dog).run(
                claimed, lambda *_: is_settled.set()
            )
        except BaseException as error:
            ended.append(type(error))
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert is_settled.wait(20)
        assert thread.is_alive()
        assert fresh(execution).status == "pending"
        assert finish(execution).result == {"attempt": 2}
    finally:
        release.set()
        thread.join(20)
        dog.close()

    assert ended == [Abandoned]
    assert fresh(execution).result == {"attempt": 2}
    assert attempts(execution) == [("call", 1, "timed_out"), ("call", 2, "completed")]


@pytest.mark.usefixtures("transactional_db")
def test_a_late_body_can_store_nothing_any_more():
    release, is_settled, told = threading.Event(), threading.Event(), []

    class Blocked(Workflow):
        @step(timeout=MOMENT, retry=AGAIN)
        def call(self, ctx):
            if ctx.attempt == 1:
                for report in (
                    lambda: release.wait(20),
                    lambda: durable.checkpoint("late", lambda: 1),
                    ctx.heartbeat,
                ):
                    try:
                        report()
                    except BaseException as error:
                        told.append(type(error).__name__)

    execution = durable.start(Blocked)
    (claimed,) = claim()
    dog = Watchdog()

    def work():
        try:
            Executor(get_settings(), watchdog=dog).run(
                claimed, lambda *_: is_settled.set()
            )
        except Abandoned:
            pass
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    assert is_settled.wait(20)
    durable.pause(execution)
    release.set()
    thread.join(20)
    dog.close()

    assert "LeaseLost" in told
    assert "Cancelled" in told
    assert not execution.waits.exists()
    assert fresh(execution).progress is None


# --- The limit of an execution --------------------------------------------------------


@pytest.mark.django_db
def test_an_execution_ends_at_its_timeout_while_a_step_runs():
    class Long(Workflow, timeout=seconds(0.5)):
        @step(retry=9)
        def call(self):
            spin()

    execution = finish(durable.start(Long))

    assert execution.status == "failed"
    assert execution.error["type"] == "workflow_timeout"
    assert execution.error["step"] == execution.current_step == "call"
    assert attempts(execution) == [("call", 1, "timed_out")]


# Not in a transaction of the test: one that is interrupted in a heartbeat is broken.
@pytest.mark.django_db(transaction=True)
def test_heartbeats_do_not_prolong_the_timeout_of_an_execution():
    class Long(Workflow, timeout=seconds(0.5)):
        @step
        def call(self, ctx):
            ends_at = time.monotonic() + 20
            while time.monotonic() < ends_at:
                time.sleep(0.01)
                ctx.heartbeat()

    execution = finish(durable.start(Long))

    assert execution.error["type"] == "workflow_timeout"


@pytest.mark.django_db
def test_an_execution_ends_at_its_timeout_while_it_waits():
    class Patient(Workflow, timeout=hours(1)):
        @step
        def work(self): ...

        news = WaitForEvent("news", timeout=hours(5))

    with clock.freeze(NOON) as time_:
        execution = finish(durable.start(Patient))
        assert execution.status == "waiting"
        assert execution.available_at == execution.expires_at == NOON + hours(1)
        time_.advance(hours(1))
        execution = finish(execution)

    assert execution.status == "failed"
    assert execution.error["type"] == "workflow_timeout"
    assert execution.error["step"] == execution.current_step == "news"
    assert execution.completed_at == NOON + hours(1)
    assert [wait.status for wait in execution.waits.all()] == ["cancelled"]


@pytest.mark.django_db
@pytest.mark.parametrize("pause", ["sleep", "retry", "snooze", "until"])
def test_an_execution_ends_at_its_timeout_whatever_it_rests_for(pause):
    class Resting(Workflow, timeout=hours(1)):
        if pause == "sleep":
            nap = Sleep(hours(2))
        elif pause == "until":
            nap = Sleep(until=lambda: NOON + hours(2))
        elif pause == "retry":

            @step(retry=Retry(base=hours(2), max_backoff=hours(9), max_attempts=2))
            def nap(self):
                raise ConnectionError
        else:

            @step
            def nap(self):
                raise Snooze(hours(2))

    with clock.freeze(NOON) as time_:
        execution = finish(durable.start(Resting))
        assert execution.available_at == NOON + hours(1)
        time_.advance(hours(1))
        execution = finish(execution)

    assert execution.status == "failed"
    assert execution.error["type"] == "workflow_timeout"


@pytest.mark.django_db
def test_an_execution_that_is_late_starts_no_further_step():
    class Two(Workflow, timeout=hours(1)):
        @step
        def first(self): ...

        @step(queue="slow")
        def second(self):
            raise AssertionError("it must not start")

    with clock.freeze(NOON) as time_:
        execution = finish(durable.start(Two))
        time_.advance(hours(1))
        execution = finish(execution, "slow")

    assert execution.error["type"] == "workflow_timeout"
    assert execution.current_step == "second"


@pytest.mark.django_db
def test_the_timeout_counts_from_the_first_start():
    class Brief(Workflow):
        @step
        def call(self): ...

        nap = Sleep(minutes(10))

    with clock.freeze(NOON) as time_:
        execution = durable.start(Brief, scheduled_at=NOON + hours(5), timeout=hours(1))
        time_.advance(hours(7))
        execution = finish(execution)
        assert execution.status == "waiting"
        assert execution.started_at == NOON + hours(7)
        assert execution.expires_at == NOON + hours(8)
        time_.advance(minutes(10))
        assert finish(execution).status == "completed"


@pytest.mark.django_db
def test_a_retried_execution_has_its_whole_timeout_again():
    class Again(Workflow, timeout=hours(1)):
        news = WaitForEvent("news")

    with clock.freeze(NOON) as time_:
        execution = finish(durable.start(Again))
        time_.advance(hours(2))
        assert finish(execution).error["type"] == "workflow_timeout"
        durable.retry(execution)
        execution = finish(execution)
        assert execution.status == "waiting"
        assert execution.expires_at == NOON + hours(3)
        durable.send_event(execution, "news", 1)
        assert finish(execution).result == {"news": 1}


@pytest.mark.django_db
def test_a_lease_that_was_lost_before_the_run_leaves_no_timer_behind():
    class Late(Workflow):
        @step(timeout=hours(1))
        def call(self): ...

    execution = durable.start(Late)
    (claimed,) = claim()
    durable.cancel(execution)

    run(claimed)

    assert drain() == 0
    assert attempts(execution) == []
