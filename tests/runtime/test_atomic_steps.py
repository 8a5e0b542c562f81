"""Atomic steps: body, result and the way on are one transaction."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, connection, transaction

import django_durable as durable
from django_durable import Fail, Retry, Snooze, Workflow, checkpoint, step
from tests.factories import attempts, claim, drain, finish, fresh, run

pytestmark = pytest.mark.usefixtures("transactional_db")

AGAIN = Retry(max_attempts=2, base=durable.seconds(0))


def groups() -> list[str]:
    return list(Group.objects.order_by("name").values_list("name", flat=True))


def test_a_body_that_raises_after_a_write_leaves_nothing():
    class Writes(Workflow):
        @step(atomic=True, retry=AGAIN)
        def write(self, ctx):
            Group.objects.create(name=f"attempt {ctx.attempt}")
            if ctx.attempt == 1:
                raise ConnectionError

    execution = finish(durable.start(Writes))

    assert execution.status == "completed"
    assert groups() == ["attempt 2"]
    assert attempts(execution) == [("write", 1, "failed"), ("write", 2, "completed")]


@pytest.mark.parametrize(
    "end",
    [
        lambda: Fail("no"),
        lambda: Snooze(durable.hours(1)),
        lambda: durable.Cancel("no"),
        lambda: SystemExit(1),
        lambda: GeneratorExit(),
    ],
)
def test_whatever_ends_the_body_early_rolls_it_back(end):
    class EndsEarly(Workflow):
        @step(atomic=True)
        def write(self):
            Group.objects.create(name="x")
            raise end()

    execution = finish(durable.start(EndsEarly))

    assert groups() == []
    assert execution.leased_by is None


@pytest.mark.parametrize("value", ["text", {"f": print}, {"n": float("nan")}])
def test_a_result_that_cannot_be_taken_rolls_the_body_back(value):
    class Returns(Workflow):
        @step(atomic=True)
        def write(self):
            Group.objects.create(name="x")
            return value

    execution = finish(durable.start(Returns))

    assert execution.status == "failed"
    assert groups() == []


def test_waiting_inside_is_refused_and_what_was_written_rolled_back():
    class Waits(Workflow):
        @step(atomic=True, retry=3)
        def write(self):
            Group.objects.create(name="x")
            durable.wait_for_event("paid")

    execution = finish(durable.start(Waits))

    assert execution.status == "failed"
    assert "atomic" in execution.error["message"]
    assert groups() == []
    assert not execution.waits.exists()


def test_an_integrity_error_caught_in_a_savepoint_is_no_failure():
    class Careful(Workflow):
        @step(atomic=True)
        def write(self):
            Group.objects.create(name="x")
            try:
                with transaction.atomic():
                    Group.objects.create(name="x")
            except IntegrityError:
                return {"was_there": True}

    execution = finish(durable.start(Careful))

    assert execution.result == {"was_there": True}
    assert groups() == ["x"]


def test_an_integrity_error_caught_without_a_savepoint_commits_all_or_nothing():
    class Careless(Workflow):
        @step(atomic=True)
        def write(self):
            Group.objects.create(name="x")
            try:
                Group.objects.create(name="x")
            except IntegrityError:
                return {"was_there": True}

    execution = finish(durable.start(Careless))

    if execution.status == "completed":
        # SQLite goes on after a failed statement.
        assert connection.vendor == "sqlite"
        assert groups() == ["x"]
    else:
        assert execution.status == "failed"
        assert groups() == []


def test_the_body_and_the_checkpoint_are_one_transaction():
    seen = []

    class Both(Workflow):
        @step(atomic=True)
        def write(self):
            Group.objects.create(name="x")
            transaction.on_commit(lambda: seen.append(fresh(execution).current_step))

        @step
        def after(self): ...

    execution = durable.start(Both)
    drain()

    assert seen == ["after"]


def test_what_another_took_over_is_not_committed():
    class Unhurried(Workflow):
        @step(atomic=True)
        def write(self):
            Group.objects.create(name="x")

    execution = durable.start(Unhurried)
    (claimed,) = claim()
    durable.cancel(execution)
    run(claimed)

    assert groups() == []
    assert fresh(execution).status == "cancelled"


def test_a_checkpoint_in_it_is_rolled_back_with_it():
    calls = []

    class Checks(Workflow):
        @step(atomic=True, retry=AGAIN)
        def write(self, ctx):
            value = checkpoint("value", lambda: calls.append(1) or len(calls))
            if ctx.attempt == 1:
                raise ConnectionError
            return {"value": value}

    execution = finish(durable.start(Checks))

    assert execution.result == {"value": 2}
    assert not execution.waits.exists()


def test_progress_from_inside_does_not_hold_up_the_step():
    class Reports(Workflow):
        @step(atomic=True)
        def write(self, ctx):
            ctx.set_progress(1, 2, "half")
            Group.objects.create(name="x")

    execution = finish(durable.start(Reports))

    assert execution.status == "completed"
    assert groups() == ["x"]
    assert execution.progress["done"] == 1


def test_the_last_atomic_step_completes_the_execution_in_its_transaction():
    class Last(Workflow):
        @step(atomic=True)
        def write(self):
            Group.objects.create(name="x")
            return {"written": True}

    execution = finish(durable.start(Last))

    assert (execution.status, execution.result) == ("completed", {"written": True})
    assert execution.completed_at is not None


def test_a_failed_constraint_at_commit_is_an_ordinary_failure():
    class Deferred(Workflow):
        @step(atomic=True)
        def write(self):
            # Checked when the transaction commits.
            Group.permissions.through.objects.create(group_id=77, permission_id=77)

    execution = finish(durable.start(Deferred))

    assert execution.status == "failed"
    assert execution.error["type"] == "IntegrityError"


def test_cancelling_its_own_execution_from_inside_does_not_leave_it_leased():
    class Suicidal(Workflow):
        @step(atomic=True)
        def write(self, ctx):
            Group.objects.create(name="x")
            durable.cancel(ctx.execution_id, "enough")

    execution = finish(durable.start(Suicidal))

    assert groups() == []
    assert execution.leased_by is None
    assert execution.is_final
