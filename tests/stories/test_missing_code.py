"""Code that is not here: an execution waits for it, and never fails because of it."""

from __future__ import annotations

import pytest

import django_durable as durable
from django_durable import WaitForEvent, Workflow, clock, hours, seconds, step
from django_durable.definition import registry
from tests.factories import NOON, claim, drain, finish, fresh, reap

pytestmark = pytest.mark.django_db


def deploy(*names: str, waits: bool = False) -> type[Workflow]:
    """Deploy a version of the workflow that has these steps; forget the one before."""

    def work(self, data):
        data["done"] = [*data.get("done", []), 1]

    body = {name: step(work) for name in names}
    if waits:
        body["news"] = WaitForEvent("news")
    return type("Deployed", (Workflow,), body)


def undeploy() -> None:
    """Take the workflow out of the code."""
    for known in (registry._workflows, registry._kept):
        known.pop("deployed", None)


def test_a_workflow_that_is_not_here_is_waited_for():
    with clock.freeze(NOON) as time:
        code = deploy("one")
        execution = durable.start(code)
        undeploy()
        execution = finish(execution)

        assert execution.status == "waiting"
        assert "code for its workflow is not deployed here" in execution.waiting_for
        assert execution.leased_by is None
        assert NOON < execution.available_at <= NOON + hours(1)
        for _ in range(10):
            time.advance(hours(1))
            drain()
        assert fresh(execution).status == "waiting"
        assert fresh(execution).attempt == 1

        code = deploy("one")
        time.advance(hours(1))
        assert finish(execution).result == {"done": [1]}


def test_a_step_that_is_not_here_is_waited_for():
    with clock.freeze(NOON) as time:
        code = deploy("one", "two", waits=True)
        execution = finish(durable.start(code))
        assert execution.current_step == "news"
        durable.send_event(execution, "news", 1)
        code = deploy("one", "two")
        execution = finish(execution)

        assert execution.status == "waiting"
        assert "code for news is not deployed here" in execution.waiting_for
        time.advance(hours(1))
        assert finish(execution).status == "waiting"

        code = deploy("one", "two", waits=True)
        time.advance(hours(1))
        execution = finish(execution)

    assert execution.result == {"done": [1, 1], "news": 1}
    assert code.definition is not None


def test_one_that_has_not_begun_begins_at_the_first_step_there_is_now():
    deploy("one", "two")
    execution = durable.start("deployed")
    assert execution.current_step == "one"
    deploy("zero", "one")

    assert finish(execution).result == {"done": [1, 1]}
    assert [one.path for one in execution.steps.all()] == ["zero", "one"]


def test_one_that_was_claimed_and_lost_before_its_first_step_ended_does_so_too():
    deploy("one")
    execution = durable.start("deployed")
    claim()
    reap()
    deploy("first")

    assert finish(execution).result == {"done": [1]}
    assert [one.path for one in execution.steps.all()] == ["one", "first"]


def test_one_whose_first_step_has_stored_something_waits_for_that_step():
    def ask(self):
        durable.checkpoint("charge", lambda: 1)
        durable.wait_for_event("news")

    type("Deployed", (Workflow,), {"ask": step(ask)})
    execution = finish(durable.start("deployed"))
    deploy("other")
    durable.send_event(execution, "news")

    assert "code for ask is not deployed here" in finish(execution).waiting_for


def test_steps_that_were_added_are_run_and_those_before_are_not_run_again():
    with clock.freeze(NOON):
        code = deploy("two", waits=True)
        execution = finish(durable.start(code))
        code = type(
            "Deployed",
            (Workflow,),
            {
                "one": step(lambda self: {"one": True}),
                "news": WaitForEvent("news"),
                "three": step(lambda self: {"three": True}),
            },
        )
        durable.send_event(execution, "news", 1)
        execution = finish(execution)

    assert execution.result == {"done": [1], "news": 1, "three": True}
    assert code.definition is not None


def test_what_waits_for_code_can_be_paused_and_cancelled():
    code = deploy("one")
    first, second = durable.start(code), durable.start(code)
    undeploy()
    drain()

    durable.pause(first)
    durable.resume(first)
    durable.cancel(second)

    assert fresh(second).status == "cancelled"
    assert fresh(first).status == "pending"
    assert finish(first).status != "failed"


def test_its_timeout_ends_it_all_the_same():
    with clock.freeze(NOON) as time:
        code = deploy("one")
        execution = durable.start(code, timeout=seconds(10))
        undeploy()
        drain()
        time.advance(seconds(10))

        assert finish(execution).error["type"] == "workflow_timeout"
