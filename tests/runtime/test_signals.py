"""Signals: sent after the commit, and harmless whatever receivers do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from django.db import connection, transaction

import django_durable as durable
from django_durable import (
    Fail,
    Parallel,
    Retry,
    Snooze,
    WaitForApproval,
    WaitForEvent,
    Workflow,
    call_workflow,
    seconds,
    signals,
    start_workflow,
    step,
    wait_for_event,
)
from tests.factories import claim, counted, drain, finish, fresh, reap, run

pytestmark = pytest.mark.django_db(transaction=True)

NAMES = [
    name for name in vars(signals) if name.startswith(("execution", "step", "input"))
]


@contextmanager
def connected(name: str, receiver: Any, **options: Any) -> Iterator[None]:
    signal = getattr(signals, name)
    signal.connect(receiver, weak=False, **options)
    try:
        yield
    finally:
        signal.disconnect(receiver, **options)


class Heard(list[tuple[str, dict[str, Any]]]):
    """All that was sent, in order, by name of the signal."""

    def noting(self, name: str) -> Callable[..., None]:
        return lambda **told: self.append((name, told))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self]

    def of(self, name: str) -> list[dict[str, Any]]:
        return [told for found, told in self if found == name]


@pytest.fixture
def heard() -> Iterator[Heard]:
    found = Heard()
    with ExitStack() as stack:
        for name in NAMES:
            stack.enter_context(connected(name, found.noting(name)))
        yield found


def test_the_life_of_an_execution_is_told_in_order(heard):
    class Order(Workflow):
        @step(retry=Retry(max_attempts=2, base=seconds(0)))
        def charge(self, ctx):
            if ctx.attempt == 1:
                raise ConnectionError("down")

        paid = WaitForEvent("paid")

    execution = finish(durable.start(Order))
    durable.send_event(execution, "paid")
    drain()

    assert heard.names == [
        "execution_started",
        "step_failed",
        "step_completed",
        "execution_waiting",
        "step_completed",
        "execution_completed",
    ]
    for _, told in heard:
        assert told["sender"] is Order
        assert told["execution_id"] == execution.pk
        assert told["workflow"] == "order"
        assert told["using"] == "default"
        assert told["execution"].status == "completed"
    [failed] = heard.of("step_failed")
    assert (failed["step"], failed["attempt"], failed["status"]) == (
        "charge",
        1,
        "failed",
    )
    assert failed["error"]["type"] == "ConnectionError"
    assert heard.of("execution_waiting")[0]["waiting_for"] == "the event paid"
    assert heard.of("execution_completed")[0]["status"] == "completed"


def test_a_failure_is_told_when_all_is_undone(heard):
    class Undone(Workflow):
        @step
        def charge(self):
            pass

        @charge.compensate
        def refund(self):
            pass

        @step
        def ship(self):
            raise Fail("no parcel")

    finish(durable.start(Undone))

    assert heard.names[-3:] == ["step_failed", "step_completed", "execution_failed"]
    [failed] = heard.of("execution_failed")
    assert failed["status"] == "compensated"
    assert failed["error"]["message"] == "no parcel"
    assert heard.of("step_completed")[-1]["kind"] == "compensation"


def test_a_cancellation_is_told_of_the_whole_family_but_not_of_lanes(heard):
    class Child(Workflow):
        news = WaitForEvent("news")

    class Family(Workflow):
        @step
        def begin(self):
            start_workflow(Child, {})

        class Both(Parallel):
            @step
            def first(self):
                wait_for_event("a")

            @step
            def second(self):
                call_workflow(Child, {})

    execution = finish(durable.start(Family))
    heard.clear()
    durable.cancel(execution, "enough")

    assert heard.names == ["execution_cancelled"] * 3
    assert {told["workflow"] for _, told in heard} == {"family", "child"}
    [own] = [told for _, told in heard if told["execution_id"] == execution.pk]
    assert (own["status"], own["error"]["message"]) == ("cancelled", "enough")


def test_what_is_cancelled_with_compensation_is_told_to_be_cancelled_at_its_end(heard):
    class Undone(Workflow):
        @step
        def charge(self):
            pass

        @charge.compensate
        def refund(self):
            pass

        news = WaitForEvent("news")

    execution = finish(durable.start(Undone))
    durable.cancel(execution, compensate=True)
    assert "execution_cancelled" not in heard.names
    drain()

    [told] = heard.of("execution_cancelled")
    assert told["status"] == "compensated"


def test_a_step_that_cancels_its_execution_is_told_as_a_cancellation(heard):
    class Gives(Workflow):
        @step
        def up(self):
            raise durable.Cancel("no use")

    finish(durable.start(Gives))

    assert heard.names == ["execution_started", "execution_cancelled"]


def test_lanes_tell_of_their_steps_only(heard):
    class Both(Workflow):
        class Checks(Parallel):
            @step
            def fraud(self):
                wait_for_event("checked")

            @step
            def stock(self):
                pass

    execution = finish(durable.start(Both))
    durable.send_event(execution, "checked")
    drain()

    assert heard.names.count("execution_started") == 1
    assert heard.names.count("execution_completed") == 1
    assert [told["waiting_for"] for told in heard.of("execution_waiting")] == [
        "the members of checks"
    ]
    steps = heard.of("step_completed")
    assert {told["step"] for told in steps} >= {"checks.fraud", "checks.stock"}
    assert {told["execution_id"] for _, told in heard} == {execution.pk}
    assert all(told["lane"] for told in steps if told["step"].startswith("checks."))


def test_asking_and_answering_is_told_once(heard):
    class Asks(Workflow):
        decision = WaitForApproval(prompt="Refund?")

    execution = finish(durable.start(Asks))
    [asked] = heard.of("input_requested")
    durable.provide_input(execution, "decision", "approved")
    drain()

    assert (asked["name"], asked["type"], asked["prompt"]) == (
        "decision",
        "approval",
        "Refund?",
    )
    [answered] = heard.of("input_provided")
    assert answered["input_id"] == asked["input_id"] == execution.inputs.get().pk
    assert (answered["workflow"], answered["user"]) == ("asks", None)
    assert heard.names.count("input_requested") == 1


def test_an_execution_begins_once_however_often_it_is_taken_up(heard):
    ends = iter([Snooze(seconds(0)), ConnectionError("down")])

    class Begins(Workflow):
        @step(retry=Retry(max_attempts=3, base=seconds(0)))
        def begin(self):
            if end := next(ends, None):
                raise end

    durable.start(Begins)
    drain()

    assert heard.names.count("execution_started") == 1


def test_an_attempt_that_is_lost_is_told_as_a_failed_one(heard):
    class LosesOne(Workflow):
        @step
        def hold(self):
            pass

    durable.start(LosesOne)
    claim()
    reap()

    [told] = heard.of("step_failed")
    assert (told["step"], told["status"]) == ("hold", "lost")
    assert told["error"]["type"] == "worker_lost"


def test_what_is_rolled_back_is_not_told(heard):
    class Expects(Workflow):
        news = WaitForEvent("news")

    execution = finish(durable.start(Expects))
    heard.clear()
    with transaction.atomic():
        durable.cancel(execution)
        assert heard == []
        transaction.set_rollback(True)

    assert heard == []
    assert fresh(execution).status == "waiting"


@pytest.mark.parametrize("atomic", [False, True])
def test_a_receiver_sees_what_is_committed_and_is_in_no_transaction(atomic):
    seen = []

    class OneStep(Workflow):
        @step(atomic=atomic)
        def answer(self):
            return {"a": 1}

    def look(execution, **_):
        seen.append((execution.result, connection.in_atomic_block))

    with connected("execution_completed", look):
        finish(durable.start(OneStep))

    assert seen == [({"a": 1}, False)]


def test_what_a_receiver_raises_is_logged_and_harms_nothing(caplog):
    class OneStep(Workflow):
        @step
        def answer(self):
            pass

    def fail(**_):
        raise RuntimeError("a broken receiver")

    with connected("step_completed", fail), connected("execution_started", fail):
        execution = finish(durable.start(OneStep))

    assert execution.status == "completed"
    assert caplog.text.count("RuntimeError: a broken receiver") == 2


def test_a_receiver_may_ask_for_one_workflow_only():
    heard = []

    class Wanted(Workflow):
        @step
        def a(self):
            pass

    class Other(Workflow):
        @step
        def a(self):
            pass

    note = lambda workflow, **_: heard.append(workflow)  # noqa: E731
    with connected("execution_completed", note, sender=Wanted):
        durable.start(Other)
        durable.start(Wanted)
        drain()

    assert heard == ["wanted"]


def test_a_receiver_may_start_and_cancel_executions():
    class OneStep(Workflow):
        @step
        def answer(self):
            pass

    class Follows(Workflow):
        @step
        def answer(self):
            pass

    def follow(**_):
        durable.start(Follows)

    with connected("execution_completed", follow, sender=OneStep):
        durable.start(OneStep)
        drain()

    [following] = durable.list_executions("follows")
    assert following.status == "completed"


def test_without_receivers_nothing_is_read():
    class OneStep(Workflow):
        @step
        def answer(self):
            pass

    def statements() -> int:
        durable.start(OneStep)
        [claimed] = claim()
        with counted() as found:
            run(claimed)
        return len(found.all)

    alone = statements()
    with connected("execution_completed", lambda **_: None):
        listened_to = statements()

    assert listened_to == alone
