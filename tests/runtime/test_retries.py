"""Attempts: counted durably, spaced by policy, and ended by what a step raises."""

from __future__ import annotations

from datetime import timedelta

import pytest

import django_durable as durable
from django_durable import (
    Cancel,
    Fail,
    Retry,
    RetryAfter,
    Snooze,
    Workflow,
    clock,
    hours,
    minutes,
    seconds,
    step,
)
from django_durable.models import Execution
from tests.factories import NOON, attempts, claim, drain, finish, fresh, reap, run

pytestmark = pytest.mark.django_db

THRICE = Retry(max_attempts=3, base=seconds(10), jitter=0)


class Flaky(Workflow):
    @step(retry=THRICE)
    def call(self, ctx, fails):
        if ctx.attempt <= fails:
            raise ConnectionError(f"no route, {ctx.attempt}")
        return {"attempt": ctx.attempt}


def test_a_failed_attempt_is_recorded_and_the_next_comes_after_its_delay():
    with clock.freeze(NOON) as time:
        execution = finish(durable.start(Flaky, {"fails": 2}))

        assert execution.status == "pending"
        assert execution.attempt == 2
        assert execution.available_at == NOON + seconds(20)
        assert execution.leased_by is None
        assert execution.error is None
        assert "attempt 2 of 3 of call" in execution.waiting_for
        assert "ConnectionError" in execution.waiting_for

        time.advance(seconds(19))
        assert drain() == 0
        time.advance(seconds(1))
        execution = finish(execution)
        assert execution.available_at == NOON + seconds(20 + 40)
        time.advance(seconds(40))
        execution = finish(execution)

    assert execution.result == {"fails": 2, "attempt": 3}
    assert execution.waiting_for == ""
    assert attempts(execution) == [
        ("call", 1, "failed"),
        ("call", 2, "failed"),
        ("call", 3, "completed"),
    ]
    first = execution.steps.first()
    assert first.error["type"] == "ConnectionError"
    assert first.error["message"] == "no route, 1"
    assert first.error["step"] == "call"
    assert "raise ConnectionError" in first.error["traceback"]
    assert first.output is None


def test_out_of_attempts_the_execution_fails_with_the_last_error():
    with clock.freeze(NOON) as time:
        execution = durable.start(Flaky, {"fails": 9})
        for _ in range(3):
            drain()
            time.advance(hours(1))
        execution = fresh(execution)

    assert execution.status == "failed"
    assert execution.error["type"] == "ConnectionError"
    assert execution.error["message"] == "no route, 3"
    assert execution.current_step == "call"
    assert execution.completed_at == NOON + hours(2)
    assert execution.result is None
    assert [status for *_, status in attempts(execution)] == ["failed"] * 3


def test_a_step_without_retry_has_one_attempt():
    class Once(Workflow):
        @step
        def call(self):
            raise ConnectionError

    execution = finish(durable.start(Once))

    assert execution.status == "failed"
    assert attempts(execution) == [("call", 1, "failed")]


def test_the_workflows_retry_is_the_default_of_its_steps():
    class Default(Workflow, retry=Retry(max_attempts=2, base=seconds(0))):
        @step
        def two(self, ctx):
            if ctx.attempt == 1:
                raise ConnectionError

        @step(retry=1)
        def one(self):
            raise ValueError

    execution = finish(durable.start(Default))

    assert attempts(execution) == [
        ("two", 1, "failed"),
        ("two", 2, "completed"),
        ("one", 1, "failed"),
    ]


def test_a_policy_gives_up_on_what_it_names():
    class Picky(Workflow):
        @step(retry=Retry(max_attempts=9, on=(OSError,), give_up_on=(PermissionError,)))
        def call(self, error):
            raise {"os": OSError, "permission": PermissionError, "value": ValueError}[
                error
            ]

    assert finish(durable.start(Picky, {"error": "os"})).status == "pending"
    assert finish(durable.start(Picky, {"error": "permission"})).status == "failed"
    assert finish(durable.start(Picky, {"error": "value"})).status == "failed"


def test_retry_after_is_a_failed_attempt_with_its_own_delay():
    class Limited(Workflow):
        @step(retry=THRICE)
        def call(self, ctx):
            raise RetryAfter(minutes(7), "rate limit")

    with clock.freeze(NOON) as time:
        execution = finish(durable.start(Limited))
        assert execution.available_at == NOON + minutes(7)
        for _ in range(2):
            time.advance(minutes(7))
            execution = finish(execution)

    assert execution.status == "failed"
    assert execution.error["type"] == "RetryAfter"
    assert execution.error["message"] == "rate limit"
    assert [status for *_, status in attempts(execution)] == ["failed"] * 3


def test_retry_after_without_a_policy_fails_at_once():
    class Limited(Workflow):
        @step
        def call(self):
            raise RetryAfter(minutes(7))

    assert finish(durable.start(Limited)).status == "failed"


def test_a_snooze_uses_no_attempt_however_often():
    class Sleepy(Workflow):
        @step(retry=2)
        def call(self, ctx):
            if clock.now() < NOON + hours(5):
                raise Snooze(hours(1))
            return {"attempt": ctx.attempt}

    with clock.freeze(NOON) as time:
        execution = finish(durable.start(Sleepy))
        assert execution.status == "pending"
        assert execution.available_at == NOON + hours(1)
        assert "snooze of call" in execution.waiting_for
        for _ in range(5):
            time.advance(hours(1))
            drain()
        execution = fresh(execution)

    assert execution.result == {"attempt": 1}
    assert attempts(execution) == [("call", 1, "completed")]


def test_fail_ends_the_execution_whatever_attempts_remain():
    class Doomed(Workflow):
        @step(retry=9)
        def call(self):
            raise Fail("card expired", card="x-1", amount=3)

    execution = finish(durable.start(Doomed))

    assert execution.status == "failed"
    assert execution.error["type"] == "failed"
    assert execution.error["message"] == "card expired"
    assert execution.error["details"] == {"card": "x-1", "amount": 3}
    assert attempts(execution) == [("call", 1, "failed")]


def test_cancel_from_inside_ends_the_execution_as_cancelled():
    class Regret(Workflow):
        @step(retry=9)
        def call(self):
            raise Cancel("changed my mind")

        @step
        def never(self): ...

    execution = finish(durable.start(Regret))

    assert execution.status == "cancelled"
    assert execution.error["type"] == "cancelled"
    assert execution.error["message"] == "changed my mind"
    assert execution.completed_at is not None
    assert attempts(execution) == [("call", 1, "cancelled")]


@pytest.mark.parametrize("control", [Snooze, RetryAfter])
@pytest.mark.parametrize("delay", [5, "tomorrow", None])
def test_a_delay_that_is_no_timedelta_is_an_error_of_the_step(control, delay):
    class Wrong(Workflow):
        @step
        def call(self):
            raise control(delay)

    execution = finish(durable.start(Wrong))

    assert execution.status == "failed"
    assert execution.error["type"] == "TypeError"
    assert "timedelta" in execution.error["message"]


@pytest.mark.parametrize("control", [Snooze, RetryAfter])
def test_a_delay_beyond_all_time_does_not_stop_the_worker(control):
    class Forever(Workflow):
        @step(retry=2)
        def call(self):
            raise control(timedelta.max)

    execution = finish(durable.start(Forever))

    assert execution.status in ("failed", "pending")
    assert execution.leased_by is None


# --- Attempts whose worker died -------------------------------------------------------


def die(queue="default"):
    """Claim what is due, and lose the worker."""
    (claimed,) = claim(queue)
    assert reap() == 1
    return claimed


def test_an_attempt_that_its_worker_took_along_is_used_up():
    with clock.freeze(NOON) as time:
        execution = durable.start(Flaky, {"fails": 0})
        die()
        execution = fresh(execution)
        assert (execution.status, execution.attempt) == ("pending", 2)
        assert execution.available_at == NOON
        die()
        assert fresh(execution).available_at == NOON + seconds(2)
        time.advance(seconds(2))
        execution = finish(execution)

    assert execution.result == {"fails": 0, "attempt": 3}
    assert attempts(execution) == [
        ("call", 1, "lost"),
        ("call", 2, "lost"),
        ("call", 3, "completed"),
    ]
    assert execution.steps.first().error["type"] == "worker_lost"


def test_what_kills_its_worker_each_time_ends_as_worker_lost(settings):
    class Lethal(Workflow):
        @step
        def call(self): ...

    with clock.freeze(NOON) as time:
        execution = durable.start(Lethal)
        for _ in range(4):
            die()
            time.advance(minutes(2))
        execution = finish(execution)

    assert execution.status == "failed"
    assert execution.error["type"] == "worker_lost"
    assert execution.error["step"] == execution.current_step == "call"
    assert attempts(execution) == [("call", n, "lost") for n in range(1, 5)]


def test_with_retry_the_attempts_are_those_of_the_policy():
    class Lethal(Workflow):
        @step(retry=2)
        def call(self): ...

    with clock.freeze(NOON) as time:
        execution = durable.start(Lethal)
        for _ in range(2):
            die()
            time.advance(minutes(2))
        assert finish(execution).error["type"] == "worker_lost"


def test_a_branch_that_kills_its_worker_each_time_ends_too():
    class Lethal(Workflow):
        class Route(durable.Branch):
            def on(self, data):
                raise AssertionError("not reached")

            class Only(durable.Case, when=1):
                @step
                def call(self): ...

    with clock.freeze(NOON) as time:
        execution = durable.start(Lethal)
        for _ in range(4):
            die()
            time.advance(minutes(2))
        execution = finish(execution)

    assert execution.status == "failed"
    assert execution.error["type"] == "worker_lost"
    assert execution.error["step"] == execution.current_step == "route"


def test_attempts_lost_at_a_branch_are_not_those_of_the_step_in_it():
    class Routed(Workflow):
        class Route(durable.Branch):
            def on(self, data):
                return 1

            class Only(durable.Case, when=1):
                @step
                def call(self, ctx):
                    return {"attempt": ctx.attempt}

    execution = durable.start(Routed)
    die()

    assert finish(execution).result == {"attempt": 1}


def test_a_lost_attempt_is_paused_where_its_execution_is():
    execution = durable.start(Flaky, {"fails": 0})
    (claimed,) = claim()
    durable.pause(execution)
    reap()

    assert fresh(execution).status == "paused"
    durable.resume(execution)
    assert finish(execution).result["attempt"] == 2
    run(claimed)  # The one that was thought dead comes back: nothing changes.
    assert Execution.objects.get().result["attempt"] == 2
