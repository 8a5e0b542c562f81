"""The code changes while executions wait inside: they go on by path, or are parked."""

from __future__ import annotations

import pytest

import django_durable as durable
from django_durable import (
    Branch,
    Case,
    Each,
    Lane,
    Parallel,
    WaitForEvent,
    Workflow,
    clock,
    minutes,
    step,
)
from django_durable.models import Execution, Step
from tests.factories import NOON, drain, finish, fresh

pytestmark = pytest.mark.django_db


def noted(self, log=()):
    return {"log": [*log, "noted"]}


def deploy(**nodes):
    """Register the workflow anew, as a restarted worker would: same name, new body."""
    body = {**nodes, "__qualname__": "changed_code", "__module__": __name__}
    return type("ChangedCode", (Workflow,), body)


def inside(**nodes):
    """Return a lane in a case in an item that holds ``nodes``."""
    lane = type("Lane1", (Lane,), nodes)
    both = type("Both", (Parallel,), {"Lane1": lane})
    case = type("One", (Case,), {"Both": both}, when=1)
    route = type("Route", (Branch,), {"on": lambda self: 1, "One": case})
    return type("Every", (Each,), {"items": lambda self: [1], "Route": route})


PATH = "every[0].route.one.both.lane1"


def test_nodes_added_before_and_after_are_no_hindrance():
    deploy(Every=inside(news=WaitForEvent("news")))
    execution = finish(durable.start("changed_code"))

    deploy(
        early=step(noted),
        Every=inside(first=step(noted), news=WaitForEvent("news"), last=step(noted)),
        late=step(lambda self: {"late": True}),
    )
    durable.send_event(execution, "news", 1)
    execution = finish(execution)

    assert execution.status == "completed"
    assert execution.result["late"]
    steps = Step.objects.filter(execution=execution).order_by("completed_at", "id")
    assert list(steps.values_list("path", flat=True)) == [
        f"{PATH}.news",
        f"{PATH}.last",
        "every[0].route.one.both",
        "every",
        "late",
    ]


def test_a_node_removed_elsewhere_is_not_missed():
    deploy(
        early=step(noted),
        Every=inside(first=step(noted), news=WaitForEvent("news"), last=step(noted)),
        late=step(noted),
    )
    execution = finish(durable.start("changed_code"))

    deploy(Every=inside(news=WaitForEvent("news")))
    durable.send_event(execution, "news", 1)

    assert finish(execution).status == "completed"


def test_one_whose_node_is_gone_is_parked_until_it_returns():
    old = {"Every": inside(news=WaitForEvent("news"), last=step(noted))}
    deploy(**old)
    execution = finish(durable.start("changed_code"))

    with clock.freeze(NOON) as time:
        deploy(Every=inside(last=step(noted)))
        durable.send_event(execution, "news", 1)
        drain()
        lane = Execution.rows.get(scope=PATH)
        assert lane.status == "waiting"
        assert lane.waiting_for == f"code for {PATH}.news is not deployed here"
        assert fresh(execution).status == "waiting"
        time.advance(minutes(1))
        assert drain() == 1

        deploy(**old)
        time.advance(minutes(1))
        assert finish(execution).status == "completed"


def test_one_whose_workflow_is_gone_is_parked_with_its_lanes(monkeypatch):
    from django_durable.definition import registry

    deploy(Every=inside(news=WaitForEvent("news")))
    execution = finish(durable.start("changed_code"))
    with clock.freeze(NOON) as time:
        with monkeypatch.context() as gone:
            gone.setattr(registry, "_workflows", {})
            durable.send_event(execution, "news", 1)
            drain()
            reasons = set(Execution.rows.values_list("waiting_for", flat=True))
            assert "code for its workflow is not deployed here" in reasons
        time.advance(minutes(1))
        assert finish(execution).status == "completed"


@pytest.mark.parametrize("limit", [None, 1, 5])
def test_items_that_wait_for_their_turn_get_it_whatever_the_limit_is_now(limit):
    def every(limit):
        body = {"items": lambda self: range(6), "news": WaitForEvent("news")}
        return type("Every", (Each,), body, max_concurrency=limit)

    deploy(Every=every(2))
    execution = finish(durable.start("changed_code"))

    deploy(Every=every(limit))
    for _ in range(6):
        durable.send_event(execution, "news")
        drain()

    assert fresh(execution).status == "completed"


def test_a_failed_one_is_undone_by_the_code_that_is_there_now():
    seen = []

    def paying(**options):
        pay = step(noted)
        if options:
            pay.compensate(lambda self, error: seen.append(error["type"]))
        return pay

    def fail(self):
        raise ValueError

    deploy(pay=paying(), gone=step(noted), news=WaitForEvent("news"), fail=step(fail))
    execution = finish(durable.start("changed_code"))

    deploy(pay=paying(undo=True), news=WaitForEvent("news"), fail=step(fail))
    durable.send_event(execution, "news")

    assert finish(execution).status == "compensated"
    assert seen == ["ValueError"]
