"""Child workflows: started once, and whatever becomes of one reaches who waits."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

import pytest
from django.db import connection

import django_durable as durable
from django_durable import (
    CallWorkflow,
    Cancel,
    ChildFailed,
    Each,
    Fail,
    Lane,
    Parallel,
    Retry,
    Sleep,
    WaitForEvent,
    WaitTimeout,
    Workflow,
    call_workflow,
    checkpoint,
    clock,
    days,
    hours,
    minutes,
    seconds,
    start_workflow,
    step,
    wait_for_event,
)
from django_durable.models import Execution, Wait
from tests.composition.crashing import DiesAt, Killed, drain_with
from tests.factories import NOON, claim, drain, finish, fresh, reap, run

pytestmark = pytest.mark.django_db


class KidDoubles(Workflow):
    @step
    def double(self, n):
        return {"twice": n * 2}


class KidFails(Workflow):
    @step
    def fail(self):
        raise Fail("the child says no", code=7)


class KidWaits(Workflow):
    news = WaitForEvent("news")


class KidUndone(Workflow):
    @step
    def pay(self): ...

    @pay.compensate
    def refund(self, fails=False):
        if fails:
            raise ValueError("no refund")

    @step
    def fail(self):
        raise Fail("after paying")


class KidCancels(Workflow):
    @step
    def stop(self):
        raise Cancel("enough")


def caller(kid, **options):
    """Return a workflow that calls ``kid`` and says what it got."""

    class Caller(Workflow):
        @step
        def call(self, data):
            try:
                return {"got": call_workflow(kid, data, **options)}
            except ChildFailed as failed:
                found = Execution.objects.get(pk=failed.execution_id)
                return {"got": [found.status, failed.error["type"]]}

    return Caller


def only_child(execution):
    (child,) = durable.list_children(execution)
    return child


# --- Starting -------------------------------------------------------------------------


def test_call_workflow_returns_the_childs_result():
    workflow = caller(KidDoubles)
    execution = durable.start(workflow, {"n": 4})
    run(claim()[0])

    parked = fresh(execution)
    child = only_child(execution)
    assert parked.status == "waiting"
    assert parked.waiting_for == "the workflow kid_doubles"
    assert child.status == "pending"
    assert child.pk > execution.pk

    assert finish(execution).result == {"n": 4, "got": {"n": 4, "twice": 8}}


def test_the_child_and_the_parked_parent_are_one_transaction():
    workflow = caller(KidDoubles)
    for number in range(12):
        execution = durable.start(workflow, {"n": 1})
        death = DiesAt(number, after=bool(number % 2))
        with connection.execute_wrapper(death), suppress(Killed):
            run(claim()[0])
        is_parked = fresh(execution).status == "waiting"
        assert len(durable.list_children(execution)) == is_parked
        reap()
        assert finish(execution).result["got"]["twice"] == 2
        assert len(durable.list_children(execution)) == 1


def test_a_crash_at_any_statement_leaves_one_child_and_one_result():
    workflow = caller(KidDoubles)
    for number in range(45):
        execution = durable.start(workflow, {"n": 3})
        drain_with(DiesAt(number, after=bool(number % 2)))
        assert finish(execution).result["got"]["twice"] == 6
        assert len(durable.list_children(execution)) == 1


def test_a_body_that_runs_again_finds_its_children_by_ref_and_count():
    class Repeating(Workflow):
        @step
        def call(self):
            first = call_workflow(KidDoubles, {"n": 1})
            second = call_workflow(KidDoubles, {"n": 2})
            named = call_workflow(KidDoubles, {"n": 3}, ref="named")
            word = wait_for_event("word")
            again = call_workflow(KidDoubles, {"n": 4}, ref="named")
            found = [first, second, named, again]
            return {"found": [one["twice"] for one in found], "word": word}

    execution = finish(durable.start(Repeating))
    durable.send_event(execution, "word", "go")

    assert finish(execution).result == {"found": [2, 4, 6, 8], "word": "go"}
    assert len(durable.list_children(execution)) == 4


def test_start_workflow_starts_once_and_does_not_wait():
    class Launching(Workflow):
        @step(retry=Retry(max_attempts=2, base=seconds(1), jitter=0))
        def launch(self, ctx):
            ids = [start_workflow(KidWaits), start_workflow(KidWaits)]
            wait_for_event("go")
            if ctx.attempt == 1:
                raise ConnectionError
            return {"ids": ids}

    with clock.freeze(NOON) as time:
        execution = finish(durable.start(Launching))
        children = durable.list_children(execution)
        durable.send_event(execution, "go")
        drain()
        time.advance(minutes(1))
        result = finish(execution).result

    assert result["ids"] == [child.pk for child in children]
    assert all(isinstance(one, UUID) for one in result["ids"])
    assert [child.status for child in durable.list_children(execution)] == [
        "waiting"
    ] * 2


def test_an_unawaited_child_lives_on_when_its_parent_has_ended():
    class Leaving(Workflow):
        @step
        def launch(self):
            start_workflow(KidWaits)

    execution = finish(durable.start(Leaving))
    assert execution.status == "completed"
    child = only_child(execution)
    durable.send_event(child, "news", 1)

    assert finish(child).status == "completed"


def test_a_child_runs_in_the_queue_that_is_asked_for():
    class Queued(Workflow):
        child = CallWorkflow(KidDoubles, input={"n": 1}, queue="kids")

    execution = finish(durable.start(Queued))

    assert only_child(execution).queue == "kids"
    assert finish(execution, "default", "kids").result == {
        "child": {"n": 1, "twice": 2}
    }


def test_a_wrong_input_or_an_unknown_workflow_fails_the_calling_step():
    class Wrong(Workflow):
        @step
        def call(self, name, given):
            call_workflow(name, given)

    unknown = finish(durable.start(Wrong, {"name": "nobody", "given": {}}))
    refused = finish(durable.start(Wrong, {"name": "kid_doubles", "given": [1]}))

    assert unknown.error["type"] == "UnknownWorkflow"
    assert refused.error["type"] == "InvalidInput"
    assert durable.list_children(unknown) == durable.list_children(refused) == []


# --- What a child comes to ------------------------------------------------------------


@pytest.mark.parametrize(
    ("kid", "given", "got"),
    [
        (KidFails, {}, ["failed", "failed"]),
        (KidUndone, {}, ["compensated", "failed"]),
        (KidUndone, {"fails": True}, ["compensation_failed", "failed"]),
        (KidCancels, {}, ["cancelled", "cancelled"]),
    ],
)
def test_however_a_child_ends_its_parent_is_told(kid, given, got):
    workflow = caller(kid)
    execution = finish(durable.start(workflow, given))

    assert execution.result["got"] == got


@pytest.mark.parametrize("compensate", [True, False])
def test_a_child_that_is_cancelled_on_its_own_reaches_its_parent(compensate):
    workflow = caller(KidWaits)
    execution = finish(durable.start(workflow))

    durable.cancel(only_child(execution), "by hand", compensate=compensate)

    assert finish(execution).result["got"] == ["cancelled", "cancelled"]


def test_an_uncaught_failure_is_child_failed():
    class Uncaught(Workflow):
        child = CallWorkflow(KidFails)

    execution = finish(durable.start(Uncaught))

    assert execution.status == "failed"
    assert execution.error["type"] == "child_failed"
    assert execution.error["step"] == "child"
    assert "the child says no" in execution.error["message"]


def test_each_attempt_calls_a_new_child():
    class Again(Workflow):
        @step(retry=Retry(max_attempts=3, base=seconds(1), jitter=0))
        def call(self, ctx):
            kid = KidFails if ctx.attempt < 3 else KidDoubles
            return call_workflow(kid, {"n": ctx.attempt}, ref="kid")

    with clock.freeze(NOON) as time:
        execution = durable.start(Again)
        for _ in range(4):
            drain()
            time.advance(minutes(1))
        execution = fresh(execution)

    assert execution.result["twice"] == 6
    assert [child.status for child in durable.list_children(execution)] == [
        "failed",
        "failed",
        "completed",
    ]
    assert durable.list_children(execution, status="completed")[0].input == {"n": 3}


def test_a_caught_failure_stays_caught_while_the_body_waits_on():
    class Caught(Workflow):
        @step
        def call(self):
            try:
                call_workflow(KidFails)
            except ChildFailed as failed:
                error = failed.error
            return {"word": wait_for_event("word"), "details": error["details"]}

    execution = finish(durable.start(Caught))
    durable.send_event(execution, "word", "on")

    assert finish(execution).result == {"word": "on", "details": {"code": 7}}
    assert len(durable.list_children(execution)) == 1


@pytest.mark.parametrize("value", ["late", None, {"a": 1}])
def test_a_timeout_cancels_the_child_with_its_family_and_gives_the_value(value):
    class Middle(Workflow):
        class Both(Parallel):
            kid = CallWorkflow(KidWaits)
            nap = Sleep(days(9))

    with clock.freeze(NOON) as time:
        workflow = caller(Middle, timeout=hours(1), timeout_value=value)
        execution = finish(durable.start(workflow))
        assert "until 2030-03-01 13:00" in execution.waiting_for
        time.advance(hours(1))
        execution = finish(execution)

    assert execution.result["got"] == value
    (middle,) = durable.list_children(execution)
    assert middle.status == "cancelled"
    assert middle.error["message"] == "it took too long"
    assert only_child(middle).status == "cancelled"
    assert not Execution.rows.open().exists()
    assert not Wait.objects.filter(status="open").exists()


def test_a_timeout_without_a_value_raises():
    class Impatient(Workflow):
        @step
        def call(self):
            try:
                call_workflow(KidWaits, timeout=hours(1))
            except WaitTimeout:
                return {"got": "timeout"}

    with clock.freeze(NOON) as time:
        execution = finish(durable.start(Impatient))
        time.advance(hours(1))
        assert finish(execution).result == {"got": "timeout"}

    assert only_child(execution).status == "cancelled"


def test_children_of_children_return_through_all_levels():
    class Inner(Workflow):
        kid = CallWorkflow(KidDoubles, input=lambda n: {"n": n + 1})

    class Outer(Workflow):
        inner = CallWorkflow(Inner, input=lambda data: data)

    execution = finish(durable.start(Outer, {"n": 1}))

    assert execution.result["inner"]["kid"]["twice"] == 4
    assert only_child(only_child(execution)).workflow == "kid_doubles"


def test_lanes_and_items_call_children_of_the_workflows_execution():
    class Fanned(Workflow):
        class Every(Each):
            def items(self):
                return [1, 2]

            class Both(Parallel):
                class One(Lane):
                    kid = CallWorkflow(KidDoubles, input=lambda item: {"n": item})

                @step
                def two(self, item):
                    return call_workflow(KidDoubles, {"n": item * 10})

    execution = finish(durable.start(Fanned))

    assert [
        [value["one"]["kid"]["twice"], value["two"]["twice"]]
        for value in execution.result["every"]
    ] == [[2, 20], [4, 40]]
    assert len(durable.list_children(execution)) == 4


def test_a_checkpoint_and_a_child_of_one_name_are_two_things():
    class Named(Workflow):
        @step
        def call(self):
            first = checkpoint("x", lambda: 1)
            second = call_workflow(KidDoubles, {"n": 1}, ref="x")
            return {"found": [first, second["twice"]]}

    assert finish(durable.start(Named)).result == {"found": [1, 2]}
