"""What the engine that this one re-creates gets wrong, done right here.

The docstrings name the defect. Most have more tests in the files beside this one.
"""

from __future__ import annotations

import pytest

import django_durable as durable
from django_durable import (
    Branch,
    CallWorkflow,
    Case,
    Fail,
    Goto,
    Lane,
    Parallel,
    Sleep,
    WaitForEvent,
    Workflow,
    call_workflow,
    clock,
    days,
    decision,
    hours,
    minutes,
    step,
    wait_for_event,
)
from django_durable.models import Execution, Step, Wait
from tests.composition.crashing import DiesAt, drain_with
from tests.factories import NOON, claim, drain, finish, fresh, run

pytestmark = pytest.mark.django_db


def paths(execution):
    """Return the paths of the completed steps, in order."""
    steps = Step.objects.filter(execution=execution, status="completed")
    return list(steps.order_by("completed_at", "id").values_list("path", flat=True))


def noted(self): ...


class OldBranches(Workflow):
    class Route(Branch):
        def on(self, way):
            return way

        class A(Case, when="a"):
            one = step(noted)
            news = WaitForEvent("news")
            two = step(noted)

            class Nested(Branch):
                def on(self):
                    return True

                class Yes(Case, when=True):
                    deep = step(noted)

            @decision(targets=["after"])
            def jump(self):
                return Goto("after")

            skipped = step(noted)

        class B(Case, when="b"):
            other = step(noted)

    between = step(noted)
    after = step(noted)


def test_a_wait_in_a_branch_goes_on_in_its_own_case_in_order():
    """B.5: resuming inside a branch ran other clauses and skipped later steps; nested
    branches were dropped; a goto inside a branch crashed."""
    execution = finish(durable.start(OldBranches, {"way": "a"}))
    durable.send_event(execution, "news")

    assert finish(execution).status == "completed"
    assert paths(execution) == [
        "route.a.one",
        "route.a.news",
        "route.a.two",
        "route.a.nested.yes.deep",
        "route.a.jump",
        "after",
    ]


def test_paths_are_the_same_each_time_the_code_is_imported():
    """B.6: block ids were minted at compile time, so a deploy lost what was running."""

    def compiled():
        return [node.path for node in OldBranches.definition.walk()]

    before = compiled()
    body = dict(vars(OldBranches))
    body.pop("definition")
    again = type("OldBranches", (Workflow,), body, abstract=True)

    assert [node.path for node in again.definition.walk()] == before


class OldParallel(Workflow):
    class Checks(Parallel):
        class Waits(Lane):
            @step
            def ask(self):
                return {"word": wait_for_event("word")}

        quick = step(noted)

    @step
    def after(self, count=0):
        return {"count": count + 1}


def test_a_wait_in_parallel_does_not_run_the_rest_of_the_workflow():
    """B.7: a suspended parallel child ran every following step of the workflow too."""
    execution = finish(durable.start(OldParallel))
    durable.send_event(execution, "word", "go")
    execution = finish(execution)

    assert execution.result["count"] == 1
    assert paths(execution) == ["checks.quick", "checks.waits.ask", "checks", "after"]


def test_a_crash_while_a_block_is_opened_makes_no_second_members():
    """B.7: fan-out was not one transaction: duplicates and lost wake-ups."""
    for number in range(60):
        execution = durable.start(OldParallel)
        durable.send_event(execution, "word", "early")
        drain_with(DiesAt(number, after=bool(number % 2)))

        assert finish(execution).status == "completed", number
        assert Execution.rows.filter(parent=execution).count() == 2
        assert paths(execution).count("checks") == 1


def test_a_failed_member_cancels_its_siblings_and_completed_ones_are_undone():
    """B.7: fail_fast waited for all children; inner steps were never compensated."""

    class OldFailFast(Workflow):
        class Checks(Parallel):
            @step
            def paid(self): ...

            @paid.compensate
            def refund(self): ...

            @step
            def fail(self):
                raise Fail("no")

            nap = Sleep(days(30))

    execution = finish(durable.start(OldFailFast))

    assert execution.status == "compensated"
    assert not Execution.rows.open().exists()


def test_a_jump_inside_a_member_is_taken():
    """B.7: a decision inside parallel failed with parallel_decision_not_supported."""

    class OldDecision(Workflow):
        class Checks(Parallel):
            class One(Lane):
                @decision(targets=["last"])
                def choose(self):
                    return Goto("last", {"jumped": True})

                never = step(lambda self: 1 / 0)
                last = step(noted)

    assert finish(durable.start(OldDecision)).result == {"one": {"jumped": True}}


class OldKid(Workflow):
    @step
    def pay(self): ...

    @pay.compensate
    def refund(self): ...

    news = WaitForEvent("news")

    @step
    def fail(self):
        raise Fail("no")


class OldCaller(Workflow):
    @step
    def call(self):
        try:
            call_workflow(OldKid, timeout=hours(1), timeout_value="late")
        except durable.ChildFailed as failed:
            return {"told": failed.error["type"]}
        return {"told": "timeout"}


@pytest.mark.parametrize("ending", ["cancelled", "failed", "undone", "timeout"])
def test_a_parent_never_hangs_on_its_child(ending):
    """F.1, F.2: parents of cancelled and of compensated children waited for ever; the
    timeout value was stored where the call never looked."""
    with clock.freeze(NOON) as time:
        execution = finish(durable.start(OldCaller))
        (child,) = durable.list_children(execution)
        if ending == "cancelled":
            durable.cancel(child)
        elif ending == "undone":
            durable.cancel(child, compensate=True)
        elif ending == "failed":
            durable.send_event(child, "news")
        else:
            time.advance(hours(1))
        execution = finish(execution)

    told = {"cancelled": "cancelled", "undone": "cancelled", "failed": "failed"}
    assert execution.result == {"told": told.get(ending, "timeout")}


def test_compensated_stays_compensated_and_keeps_the_error():
    """F.1: ``compensated`` was overwritten with ``failed``; it had no completed_at."""
    execution = finish(durable.start(OldKid))
    durable.send_event(execution, "news")
    execution = finish(execution)
    drain()

    assert fresh(execution).status == "compensated"
    assert execution.completed_at is not None
    assert execution.error["message"] == "no"


def test_a_compensation_that_was_interrupted_goes_on():
    """F.1, M-1: a crash in the middle left an execution compensating for ever."""
    execution = finish(durable.start(OldKid))
    durable.send_event(execution, "news")
    drain_with(DiesAt(9))

    assert finish(execution).status == "compensated"


def test_cancel_ends_members_and_children_and_their_waits():
    """F.3: cancelled parents left pending events and waits behind."""

    class OldTree(Workflow):
        class Both(Parallel):
            kid = CallWorkflow(OldKid)
            nap = Sleep(days(1))

    execution = finish(durable.start(OldTree))
    durable.cancel(execution)

    assert not Execution.rows.open().exists()
    assert not Wait.objects.filter(status="open").exists()


def test_members_get_the_data_and_a_join_that_cannot_be_stored_is_an_error():
    """J.2 1 and 2: parallel steps lost the context; raw results broke storage."""

    class OldJoin(Workflow):
        class Checks(Parallel):
            @step
            def one(self, base):
                return {"sum": base + 1}

            def join(self, results):
                return {"raw": lambda: results}

    execution = finish(durable.start(OldJoin, {"base": 1}))

    assert execution.status == "failed"
    assert execution.error["type"] == "not_storable"
    assert execution.error["step"] == "checks"


def test_a_goto_takes_its_data_along():
    """J.2 H-6: a goto lost the context."""

    class OldGoto(Workflow):
        @decision(targets=["there"])
        def jump(self, data):
            data["changed"] = True
            return Goto("there", {"merged": 1})

        never = step(lambda self: 1 / 0)

        @step
        def there(self, changed, merged):
            return {"seen": [changed, merged]}

    assert finish(durable.start(OldGoto)).result["seen"] == [True, 1]


def test_each_round_and_item_is_isolated():
    """J.2 L-5: iterations of a future each must not share state."""

    class OldEach(Workflow):
        class Every(durable.Each):
            def items(self):
                return [[], [], []]

            @step
            def grow(self, item, data):
                item.append(1)
                data["shared"].append(1)
                return {"seen": [len(item), len(data["shared"])]}

    result = finish(durable.start(OldEach, {"shared": []})).result

    assert [value["seen"] for value in result["every"]] == [[1, 1]] * 3
    assert result["shared"] == []


def test_nobody_is_left_waiting_for_nothing():
    """J.2 4: runs stuck waiting for nothing: whoever waits has an open wait or a time."""

    class OldMixed(Workflow):
        class Both(Parallel):
            news = WaitForEvent("news")
            nap = Sleep(minutes(1))

            class Kids(Lane):
                kid = CallWorkflow(OldKid)

    with clock.freeze(NOON):
        execution = durable.start(OldMixed)
        while claimed := claim(limit=1):
            run(claimed[0])
            for row in Execution.rows.open().filter(status="waiting"):
                waits = Wait.objects.filter(status="open")
                own = waits.filter(lane=row.pk) | waits.filter(
                    execution=row.pk, lane=None
                )
                assert own.count() == 1
        durable.cancel(execution)
