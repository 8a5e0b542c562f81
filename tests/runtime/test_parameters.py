"""What a step gets by the names of its parameters, and what its return does to the data."""

from __future__ import annotations

from decimal import Decimal

import pytest

import django_durable as durable
from django_durable import (
    Branch,
    Case,
    Goto,
    Retry,
    Workflow,
    decision,
    get_context,
    step,
)
from tests.factories import attempts, drain, finish, fresh

pytestmark = pytest.mark.django_db


def test_a_step_gets_the_keys_of_the_data_that_its_parameters_name():
    got = {}

    class Names(Workflow):
        @step
        def take(self, order_id, *, note="none"):
            got.update(order_id=order_id, note=note)

    finish(durable.start(Names, {"order_id": 7, "note": "now", "other": 1}))
    assert got == {"order_id": 7, "note": "now"}


def test_a_default_stands_in_for_a_missing_key_but_not_for_none():
    got = []

    class Defaults(Workflow):
        @step
        def take(self, note="none"):
            got.append(note)

    finish(durable.start(Defaults))
    finish(durable.start(Defaults, {"note": None}))

    assert got == ["none", None]


def test_a_missing_key_fails_the_step_and_is_not_retried():
    class Missing(Workflow):
        @step(retry=5)
        def take(self, order_id):
            raise AssertionError("the body must not run")

    execution = finish(durable.start(Missing, {"order": 7}))

    assert execution.status == "failed"
    assert execution.error["type"] == "missing_parameter"
    assert execution.error["step"] == execution.current_step == "take"
    assert "'order_id'" in execution.error["message"]
    assert "traceback" not in execution.error, "it would show the engine alone"
    assert attempts(execution) == [("take", 1, "failed")]


def test_data_is_a_copy_whose_changes_count_deletions_too():
    class Changes(Workflow):
        @step
        def change(self, data):
            data["list"].append(2)
            data["new"] = True
            del data["old"]

        @step
        def look(self, data):
            assert data == {"list": [1, 2], "new": True}

    execution = finish(durable.start(Changes, {"list": [1], "old": 0}))

    assert execution.result == {"list": [1, 2], "new": True}
    assert execution.input == {"list": [1], "old": 0}
    assert execution.steps.first().output == {"list": [1, 2], "new": True}


def test_a_step_without_data_changes_nothing_in_place():
    class Untouched(Workflow):
        @step
        def change(self, items):
            items.append(2)

    assert finish(durable.start(Untouched, {"items": [1]})).result == {"items": [1]}


def test_what_a_step_returns_wins_over_its_changes_in_place():
    class Both(Workflow):
        @step
        def change(self, data):
            data["a"] = data["b"] = 1
            return {"a": 2, "c": 3}

    assert finish(durable.start(Both)).result == {"a": 2, "b": 1, "c": 3}


def test_none_adds_nothing_and_a_mapping_is_merged():
    class Merge(Workflow):
        @step
        def nothing(self):
            return None

        @step
        def something(self, a):
            return {"b": a + 1}

    execution = finish(durable.start(Merge, {"a": 1}))

    assert execution.result == {"a": 1, "b": 2}
    assert [one.output for one in execution.steps.all()] == [{}, {"b": 2}]


def test_a_key_that_is_set_to_what_it_was_still_counts_as_output():
    class Same(Workflow):
        @step
        def keep(self, a):
            return {"a": a}

    execution = finish(durable.start(Same, {"a": 1}))

    assert execution.steps.get().output == {"a": 1}


@pytest.mark.parametrize("value", [7, "text", [1], ("a", 1), True, 0, "", []])
def test_anything_else_that_is_returned_fails_the_step_without_retry(value):
    class Wrong(Workflow):
        @step(retry=5)
        def give(self):
            return value

    execution = finish(durable.start(Wrong))

    assert execution.error["type"] == "invalid_step_return"
    assert type(value).__name__ in execution.error["message"]
    assert attempts(execution) == [("give", 1, "failed")]


def test_the_context_says_what_runs():
    seen = {}

    class Context(Workflow):
        @step
        def change(self, data):
            data["order_id"] = 8

        @step
        def look(self, ctx, order_id):
            seen.update(
                execution_id=ctx.execution_id,
                workflow=ctx.workflow,
                step=ctx.step,
                attempt=ctx.attempt,
                input=ctx.input,
                same=get_context() is ctx,
                loop=(ctx.iteration, ctx.index),
            )

    execution = finish(durable.start(Context, {"order_id": 7}))

    assert execution.status == "completed", execution.error
    assert seen == {
        "execution_id": execution.pk,
        "workflow": "context",
        "step": "look",
        "attempt": 1,
        "input": {"order_id": 7},
        "same": True,
        "loop": (None, None),
    }


def test_the_idempotency_key_is_the_same_for_all_attempts_of_one_visit():
    keys = []

    class Keys(Workflow):
        @step(retry=Retry(base=durable.seconds(0), max_attempts=3))
        def call(self, ctx, data):
            keys.append(ctx.idempotency_key)
            if ctx.attempt < 2:
                raise ConnectionError

        @decision(targets=["call"])
        def again(self, data, rounds=0):
            return Goto("call", {"rounds": 1}) if not rounds else None

    execution = finish(durable.start(Keys))

    assert execution.status == "completed"
    assert len(keys) == 4
    assert keys[0] == keys[1] != keys[2] == keys[3]
    assert all(str(execution.pk) in key for key in keys)


def test_outside_a_step_there_is_no_context():
    with pytest.raises(durable.NotInStep):
        get_context()
    with pytest.raises(durable.NotInStep):
        durable.wait_for_event("paid")


def test_steps_stay_plain_methods():
    class Plain(Workflow):
        @step
        def double(self, n):
            return {"n": self.helper(n)}

        def helper(self, n):
            return n * 2

    assert Plain().double(n=2) == {"n": 4}
    assert finish(durable.start(Plain, {"n": 4})).result == {"n": 8}


def test_a_branch_asks_its_data_and_its_cases_reach_the_workflows_methods():
    class Routed(Workflow):
        def shout(self, text):
            return text.upper()

        class Route(Branch):
            def on(self, kind, *, default="none"):
                return kind

            def own(self):
                return "branch"

            class Invoice(Case, when=["invoice", "bill"]):
                @step
                def extract(self, kind):
                    return {"text": self.shout(kind), "block": self.own()}

        @step
        def after(self):
            return {"after": True}

    execution = finish(durable.start(Routed, {"kind": "bill"}))
    skipped = finish(durable.start(Routed, {"kind": "letter"}))

    assert execution.result == {
        "kind": "bill",
        "text": "BILL",
        "block": "branch",
        "after": True,
    }
    assert [path for path, *_ in attempts(execution)] == [
        "route.invoice.extract",
        "after",
    ]
    assert skipped.result == {"kind": "letter", "after": True}


@pytest.mark.parametrize("asks", ["missing", "raises", "waits"])
def test_a_branch_that_cannot_choose_fails_the_execution(asks):
    class Broken(Workflow):
        class Route(Branch):
            if asks == "missing":

                def on(self, nowhere): ...
            elif asks == "raises":

                def on(self, data):
                    return data["nowhere"]
            else:

                def on(self, data):
                    return durable.wait_for_event("choice")

            class Only(Case, when=1):
                @step
                def run(self): ...

    execution = finish(durable.start(Broken))

    assert execution.status == "failed"
    assert execution.error["type"] == "branch_error"
    assert execution.error["step"] == execution.current_step == "route"
    assert attempts(execution) == [("route", 1, "failed")]


def test_a_decision_jumps_merges_and_may_go_on():
    class Stock(Workflow):
        @decision(targets=["backorder"])
        def in_stock(self, data, stock):
            data["seen"] = True
            return None if stock else Goto("backorder", {"since": Decimal("1.50")})

        @step
        def ship(self):
            return {"shipped": True}

        @step
        def backorder(self, data):
            return {"done": True}

    jumped = finish(durable.start(Stock, {"stock": 0}))
    went_on = finish(durable.start(Stock, {"stock": 1}))

    assert jumped.result == {
        "stock": 0,
        "seen": True,
        "since": Decimal("1.50"),
        "done": True,
    }
    assert went_on.result["shipped"] is True
    assert list(went_on.steps.values_list("kind", flat=True)) == [
        "decision",
        "step",
        "step",
    ]


def test_a_jump_that_was_not_declared_fails_the_step():
    class Jumper(Workflow):
        @decision(targets=["b"])
        def a(self):
            return Goto("c")

        @step
        def b(self): ...

        @step
        def c(self): ...

    execution = finish(durable.start(Jumper))

    assert execution.error["type"] == "decision_error"
    assert "'c'" in execution.error["message"]


def test_an_endless_jump_ends_at_max_steps():
    class Endless(Workflow, max_steps=7):
        @step
        def work(self): ...

        @decision(targets=["work"])
        def again(self):
            return Goto("work")

    execution = durable.start(Endless)
    drain()
    execution = fresh(execution)

    assert execution.status == "failed"
    assert execution.error["type"] == "max_steps"
    assert execution.sequence == execution.steps.count() == 7
    assert execution.current_step == execution.error["step"] == "again"


def test_a_workflow_without_nodes_is_complete_with_its_input():
    class Nothing(Workflow):
        pass

    assert finish(durable.start(Nothing, {"a": 1})).result == {"a": 1}
