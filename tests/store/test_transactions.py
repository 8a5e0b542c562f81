"""What is done in a transaction that is rolled back never happened."""

from __future__ import annotations

import threading

import pytest
from django.contrib.auth.models import Group
from django.db import connection, connections, transaction

import django_durable as durable
from django_durable import WaitForEvent, WaitForText, Workflow, step
from django_durable.models import Event, Execution
from django_durable.models.execution import ExecutionQuerySet
from tests.factories import claim, drain, finish, fresh

pytestmark = pytest.mark.usefixtures("transactional_db")


class Waiting(Workflow, name="transaction_waiting"):
    news = WaitForEvent("news")


class Asking(Workflow, name="transaction_asking"):
    note = WaitForText()


class Plain(Workflow, name="transaction_plain"):
    @step
    def work(self): ...


class Undo(Exception):
    pass


def rolled_back(do) -> None:
    with pytest.raises(Undo), transaction.atomic():  # noqa: PT012
        do()
        raise Undo


def committed(do) -> None:
    with transaction.atomic():
        do()


def test_a_start_that_is_rolled_back_leaves_nothing():
    rolled_back(lambda: durable.start(Plain))
    rolled_back(lambda: durable.start(Plain, idempotency_key="k"))
    rolled_back(lambda: durable.start_many(Plain, [{}, {}]))

    assert not Execution.objects.exists()
    assert drain() == 0


def test_a_start_that_is_committed_is_picked_up():
    committed(lambda: durable.start(Plain))

    assert drain() == 1
    assert Execution.objects.get().status == "completed"


def test_an_event_that_is_rolled_back_leaves_nothing():
    execution = finish(durable.start(Waiting))

    rolled_back(lambda: durable.send_event(execution, "news", 1))
    assert drain() == 0
    assert not Event.objects.exists()
    assert fresh(execution).status == "waiting"

    committed(lambda: durable.send_event(execution, "news", 2))
    assert finish(execution).result == {"news": 2}


def test_a_cancel_that_is_rolled_back_leaves_nothing():
    execution = finish(durable.start(Waiting))

    rolled_back(lambda: durable.cancel(execution))
    assert fresh(execution).status == "waiting"
    assert fresh(execution).error is None
    assert execution.waits.get().status == "open"

    committed(lambda: durable.cancel(execution))
    assert fresh(execution).status == "cancelled"


def test_an_answer_that_is_rolled_back_leaves_nothing():
    execution = finish(durable.start(Asking))

    rolled_back(lambda: durable.provide_input(execution, "note", "no"))
    assert drain() == 0
    (pending,) = durable.list_pending_inputs(execution)
    assert pending.answer is None

    committed(lambda: durable.provide_input(execution, "note", "yes"))
    assert finish(execution).result == {"note": "yes"}


def test_pause_resume_and_retry_that_are_rolled_back_leave_nothing():
    execution = durable.start(Plain)
    rolled_back(lambda: durable.pause(execution))
    assert fresh(execution).status == "pending"
    durable.pause(execution)
    rolled_back(lambda: durable.resume(execution))
    assert fresh(execution).status == "paused"


def test_what_is_started_by_an_atomic_step_is_started_with_it():
    class Starts(Workflow, name="transaction_starts"):
        @step(atomic=True, retry=durable.Retry(max_attempts=2, base=durable.seconds(0)))
        def work(self, ctx):
            durable.start(Plain, {"attempt": ctx.attempt})
            if ctx.attempt == 1:
                raise ConnectionError

    finish(durable.start(Starts))

    (started,) = Execution.objects.filter(workflow="transaction_plain")
    assert started.input == {"attempt": 2}


# --- One key, one execution -----------------------------------------------------------


def test_the_same_key_is_the_same_execution():
    first = durable.start(Plain, {"n": 1}, idempotency_key="k")
    again = durable.start(Plain, {"n": 2}, idempotency_key="k")
    other = durable.start(Waiting, idempotency_key="k")

    assert first.created
    assert not again.created
    assert again.pk == first.pk != other.pk
    assert again.input == {"n": 1}
    drain()
    assert durable.start(Plain, idempotency_key="k").status == "completed"


def test_of_two_starts_at_once_one_makes_the_execution():
    for number in range(5):
        barrier = threading.Barrier(2)
        started: list[Execution] = []
        failed: list[BaseException] = []

        def start(number=number, barrier=barrier, started=started, failed=failed):
            try:
                barrier.wait(20)
                started.append(durable.start(Plain, idempotency_key=f"k{number}"))
            except BaseException as error:
                failed.append(error)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=start) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

        assert failed == []
        assert len({execution.pk for execution in started}) == 1
        assert sorted(execution.created for execution in started) == [False, True]


def test_losing_the_race_leaves_the_callers_transaction_usable(monkeypatch):
    """The other start is committed between this one's look and its insert."""
    real_first, has_looked = ExecutionQuerySet.first, []

    def first(queryset):
        found = real_first(queryset)
        if not has_looked:
            has_looked.append(True)
            thread = threading.Thread(target=start_elsewhere)
            thread.start()
            thread.join(60)
        return found

    def start_elsewhere():
        durable.start(Plain, {"who": "other"}, idempotency_key="k")
        connections.close_all()

    monkeypatch.setattr(ExecutionQuerySet, "first", first, raising=False)
    if connection.vendor == "sqlite":
        # A transaction keeps every other writer out: in one, the race cannot be lost.
        execution = durable.start(Plain, {"who": "me"}, idempotency_key="k")
    else:
        with transaction.atomic():
            Group.objects.create(name="before")
            execution = durable.start(Plain, {"who": "me"}, idempotency_key="k")
            Group.objects.create(name="after")
        assert Group.objects.count() == 2

    assert has_looked
    assert not execution.created
    assert execution.input == {"who": "other"}


def test_a_rolled_back_key_is_free_again():
    rolled_back(lambda: durable.start(Plain, idempotency_key="k"))

    assert durable.start(Plain, idempotency_key="k").created
    assert len(claim()) == 1
