"""Cancel, pause and retry of what has lanes, items and children."""

from __future__ import annotations

import pytest

import django_durable as durable
from django_durable import (
    CallWorkflow,
    ChildFailed,
    Each,
    Fail,
    Lane,
    Parallel,
    Retry,
    Sleep,
    WaitForApproval,
    WaitForEvent,
    Workflow,
    call_workflow,
    checkpoint,
    clock,
    days,
    minutes,
    seconds,
    start_workflow,
    step,
)
from django_durable.models import Execution, InputRequest, Step, Wait
from django_durable.store import families
from tests.factories import NOON, claim, drain, finish, fresh, run

pytestmark = pytest.mark.django_db


def nothing_is_open():
    return not (
        Execution.rows.open().exists()
        or Wait.objects.filter(status="open").exists()
        or InputRequest.objects.filter(status="open").exists()
    )


def runs(execution, path):
    """Return how often a step has completed."""
    return Step.objects.filter(
        execution=execution, path=path, status="completed"
    ).count()


# --- Cancel ---------------------------------------------------------------------------


class OpsGrandchild(Workflow):
    class Both(Parallel):
        ok = WaitForApproval(prompt="Go?")
        nap = Sleep(days(1))


class OpsChild(Workflow):
    @step
    def launch(self):
        start_workflow(OpsGrandchild, ref="left")

    kid = CallWorkflow(OpsGrandchild)


class OpsDone(Workflow):
    @step
    def done(self): ...


class OpsParent(Workflow):
    done = CallWorkflow(OpsDone)

    class Every(Each, max_concurrency=2):
        def items(self):
            return range(4)

        kid = CallWorkflow(OpsChild)


def test_cancel_ends_all_levels_and_leaves_what_has_ended():
    execution = finish(durable.start(OpsParent))
    assert Execution.rows.open().count() == 1 + 4 + 2 + 4 + 4 * 2

    durable.cancel(execution, "enough")

    assert nothing_is_open()
    finished = durable.list_children(execution, status="completed")
    assert [child.workflow for child in finished] == ["ops_done"]
    assert fresh(execution).error["message"] == "enough"
    below = Execution.rows.exclude(pk=execution.pk).filter(status="cancelled")
    assert {row.error["message"] for row in below} == {"its parent was cancelled"}
    assert drain() == 0


def test_what_runs_when_its_grandparent_is_cancelled_writes_nothing_more():
    class CancelledMeanwhile(Workflow):
        class Every(Each):
            def items(self):
                return [1]

            @step
            def cut(self, ctx):
                durable.cancel(ctx.execution_id)
                return {"written": True}

            @step
            def never(self):
                raise AssertionError

    execution = finish(durable.start(CancelledMeanwhile))

    assert execution.status == "cancelled"
    assert not Step.objects.filter(execution=execution).exists()
    assert nothing_is_open()


# --- Pause ----------------------------------------------------------------------------


class OpsPausable(Workflow):
    class Every(Each, max_concurrency=2):
        def items(self):
            return range(4)

        @step
        def first(self): ...

        news = WaitForEvent("news")

    @step
    def last(self):
        return {"last": True}


def test_a_lane_whose_family_was_cancelled_and_deleted_is_left_alone(caplog):
    caplog.set_level("INFO", logger="django_durable.runtime")
    execution = durable.start(OpsPausable)
    run(claim()[0])
    (lane, *_) = claim()
    durable.cancel(execution)
    durable.cleanup(seconds(0))
    families._data_before.cache_clear()

    run(lane)

    assert "nothing more is written" in caplog.text
    assert not Execution.rows.exists()


class OpsVanishing(Workflow):
    class Both(Parallel):
        @step
        def work(self, ctx):
            durable.cancel(ctx.execution_id)
            durable.cleanup(seconds(0))
            durable.wait_for_event("news")


def test_a_lane_that_waits_when_its_family_was_deleted_is_left_alone(caplog):
    caplog.set_level("INFO", logger="django_durable.runtime")
    durable.start(OpsVanishing)
    drain()

    assert "nothing more is written" in caplog.text
    assert not Execution.rows.exists()


def test_no_lane_starts_while_paused_and_all_go_on_when_resumed():
    execution = durable.start(OpsPausable)
    run(claim()[0])
    held = claim(limit=1)

    durable.pause(execution)
    assert set(Execution.rows.values_list("status", flat=True)) == {"paused"}
    assert drain() == 0
    run(held[0])
    assert drain() == 0

    durable.resume(execution)
    for number in range(4):
        drain()
        started = Execution.rows.filter(is_lane=True, started_at__isnull=False)
        assert started.open().count() == min(2, 4 - number)
        durable.send_event(execution, "news", number)

    assert finish(execution).result["last"]


def test_an_item_that_ends_while_paused_gives_its_turn_after_the_pause():
    execution = durable.start(OpsPausable)
    drain()
    held = None
    durable.send_event(execution, "news", 0)
    held = claim(limit=1)
    durable.pause(execution)
    run(held[0])
    assert drain() == 0

    durable.resume(execution)
    drain()

    started = Execution.rows.filter(is_lane=True, started_at__isnull=False)
    assert started.open().count() == 2
    for number in range(1, 4):
        durable.send_event(execution, "news", number)
        drain()
    assert fresh(execution).status == "completed"


def test_lanes_that_are_opened_while_paused_are_paused():
    class PausedInItems(Workflow):
        class Every(Each, max_concurrency=1):
            def items(self, me):
                durable.pause(Execution.objects.get())
                return [1, 2]

            @step
            def work(self):
                return {"done": True}

    execution = durable.start(PausedInItems, {"me": 1})
    drain()
    assert set(Execution.rows.values_list("status", flat=True)) == {"paused"}

    durable.resume(execution)

    assert finish(execution).result["every"] == [{"done": True}] * 2


def test_timers_of_lanes_keep_their_time_while_paused():
    class PausedNap(Workflow):
        class Both(Parallel):
            nap = Sleep(minutes(10))

    with clock.freeze(NOON) as time:
        execution = finish(durable.start(PausedNap))
        durable.pause(execution)
        time.advance(minutes(5))
        durable.resume(execution)
        assert drain() == 0
        time.advance(minutes(5))
        assert finish(execution).status == "completed"


# --- Retry ----------------------------------------------------------------------------


def broken_until(allowed):
    def body(self, ctx):
        if not allowed:
            raise Fail(f"attempt {ctx.attempt}")
        return {"fixed": ctx.attempt}

    return body


def test_retry_goes_on_in_the_lane_that_failed_and_keeps_what_others_finished():
    allowed = []

    class RetriedLane(Workflow):
        class Both(Parallel):
            class Bad(Lane):
                @step
                def before(self):
                    return {"before": True}

                @step
                def asks(self):
                    return {"checked": checkpoint("once", lambda: 5)}

                broken = step(broken_until(allowed))

            @step
            def good(self):
                return {"good": True}

            class Asleep(Lane):
                @step
                def first(self): ...

                nap = Sleep(days(1))

    with clock.freeze(NOON) as time:
        execution = finish(durable.start(RetriedLane))
        assert execution.status == "failed"
        assert nothing_is_open()
        allowed.append(True)
        time.advance(minutes(1))
        durable.retry(execution)
        execution = finish(execution)
        assert execution.status == "waiting"
        assert execution.error is None
        assert execution.current_step == "both"
        time.advance(days(2))
        execution = finish(execution)

    assert execution.status == "completed"
    assert execution.result == {
        "bad": {"before": True, "checked": 5, "fixed": 1},
        "good": {"good": True},
        "asleep": {},
    }
    for path in ("both.bad.before", "both.good", "both.asleep.first"):
        assert runs(execution, path) == 1


def test_retry_goes_on_in_a_nested_lane_of_an_item():
    allowed = []

    class RetriedDeep(Workflow):
        @step
        def paid(self): ...

        class Every(Each, max_concurrency=2):
            def items(self):
                return range(3)

            @step
            def before(self): ...

            class Inner(Parallel):
                @step
                def good(self, index):
                    return {"index": index}

                @step
                def bad(self, index):
                    if index == 1 and not allowed:
                        raise Fail("no")

    execution = finish(durable.start(RetriedDeep))
    assert execution.error["step"] == "every[1].inner.bad"
    assert execution.current_step == "every[1].inner.bad"
    allowed.append(True)

    durable.retry(execution)
    execution = finish(execution)

    assert execution.status == "completed"
    assert [value["good"] for value in execution.result["every"]] == [
        {"index": number} for number in range(3)
    ]
    assert {runs(execution, f"every[{n}].before") for n in range(3)} == {1}
    assert runs(execution, "every[1].inner.good") == 1
    assert runs(execution, "paid") == 1


def test_retry_keeps_max_concurrency():
    allowed = []

    class RetriedItems(Workflow):
        class Every(Each, max_concurrency=2):
            def items(self):
                return range(6)

            @step
            def send(self, index):
                if index == 1 and not allowed:
                    raise Fail("no")

            news = WaitForEvent("news")

    execution = finish(durable.start(RetriedItems))
    assert execution.status == "failed"
    allowed.append(True)

    durable.retry(execution)
    for number in range(6):
        drain()
        claimable = Execution.rows.filter(is_lane=True, status="waiting").open()
        assert claimable.filter(waiting_for="the event news").count() == min(
            2, 6 - number
        )
        durable.send_event(execution, "news", number)

    assert finish(execution).status == "completed"


def test_retry_counts_the_attempts_of_a_lane_anew():
    class RetriedAttempts(Workflow):
        class Both(Parallel):
            @step(retry=Retry(max_attempts=2, base=seconds(1), jitter=0))
            def flaky(self, ctx):
                raise ConnectionError(ctx.attempt)

    with clock.freeze(NOON) as time:
        execution = durable.start(RetriedAttempts)
        for number in range(2):
            for _ in range(2):
                drain()
                time.advance(minutes(1))
            assert fresh(execution).status == "failed"
            assert fresh(execution).error["message"] == "2"
            if number == 0:
                durable.retry(execution)

    assert list(execution.steps.values_list("attempt", flat=True)) == [1, 2, 1, 2]


def test_retry_goes_on_in_the_grandchild_that_failed():
    allowed = []

    class RetriedInner(Workflow):
        @step
        def before(self): ...

        broken = step(broken_until(allowed))

    class RetriedMiddle(Workflow):
        class Both(Parallel):
            inner = CallWorkflow(RetriedInner)

    class RetriedOuter(Workflow):
        middle = CallWorkflow(RetriedMiddle)

    execution = finish(durable.start(RetriedOuter))
    (middle,) = durable.list_children(execution)
    (inner,) = durable.list_children(middle)
    statuses = {fresh(one).status for one in (execution, middle, inner)}
    assert statuses == {"failed"}
    allowed.append(True)

    durable.retry(execution)
    execution = finish(execution)

    assert execution.result["middle"]["inner"]["inner"]["fixed"] == 1
    assert len(durable.list_children(execution)) == 1
    assert len(durable.list_children(middle)) == 1
    assert runs(inner, "before") == 1


def test_retry_takes_what_a_child_has_come_to_meanwhile():
    allowed = []

    class RetriedKid(Workflow):
        broken = step(broken_until(allowed))

    class RetriedParent(Workflow):
        kid = CallWorkflow(RetriedKid)

    execution = finish(durable.start(RetriedParent))
    (child,) = durable.list_children(execution)
    allowed.append(True)
    durable.retry(child)
    assert finish(child).status == "completed"
    assert fresh(execution).status == "failed"

    durable.retry(execution)

    assert finish(execution).result == {"kid": {"fixed": 1}}
    assert fresh(child).status == "completed"
    assert runs(child, "broken") == 1


def test_retry_calls_another_child_when_the_first_cannot_go_on():
    allowed = []

    class Undone(Workflow):
        @step
        def pay(self): ...

        @pay.compensate
        def refund(self): ...

        broken = step(broken_until(allowed))

    class RetriedUndone(Workflow):
        kid = CallWorkflow(Undone)

    execution = finish(durable.start(RetriedUndone))
    assert execution.status == "failed"
    allowed.append(True)

    durable.retry(execution)
    execution = finish(execution)

    assert execution.status == "completed", execution.error
    children = durable.list_children(execution)
    assert [child.status for child in children] == ["compensated", "completed"]


def test_retry_of_a_step_that_called_several_children_counts_anew():
    class OnlyFails(Workflow):
        @step
        def fail(self, n):
            raise Fail(f"number {n}")

    class RetriedCalls(Workflow):
        @step(retry=Retry(max_attempts=2, base=seconds(1), jitter=0))
        def call(self, ctx):
            try:
                call_workflow(OnlyFails, {"n": ctx.attempt})
            except ChildFailed as failed:
                raise RuntimeError(failed.error["message"]) from None

    with clock.freeze(NOON) as time:
        execution = durable.start(RetriedCalls)
        for _ in range(3):
            drain()
            time.advance(minutes(1))
        assert fresh(execution).error["message"] == "number 2"
        durable.retry(execution)
        for _ in range(3):
            drain()
            time.advance(minutes(1))

    assert fresh(execution).status == "failed"
    attempts = list(execution.steps.values_list("attempt", flat=True))
    assert attempts == [1, 2, 1, 2]
    # The second one goes on, and then each attempt calls one of its own.
    assert len(durable.list_children(execution)) == 3


def test_retry_of_a_failed_join_runs_the_join_alone():
    allowed = []

    class RetriedJoin(Workflow):
        class Both(Parallel, on_error="complete_all"):
            @step
            def good(self): ...

            @step
            def bad(self):
                raise Fail("tolerated")

            def join(self, results):
                if not allowed:
                    raise ValueError("not yet")
                return {"ok": [result.ok for result in results.values()]}

    execution = finish(durable.start(RetriedJoin))
    assert execution.error["step"] == "both"
    allowed.append(True)
    durable.retry(execution)

    assert finish(execution).result == {"ok": [True, False]}
    assert runs(execution, "both.good") == 1


def test_retry_gives_a_timed_out_workflow_its_time_again():
    class RetriedTimeout(Workflow, timeout=minutes(10)):
        class Both(Parallel):
            nap = Sleep(minutes(8))

            @step
            def good(self): ...

        news = WaitForEvent("news")

    with clock.freeze(NOON) as time:
        execution = finish(durable.start(RetriedTimeout))
        time.advance(minutes(8))
        drain()
        time.advance(minutes(2))
        assert finish(execution).error["type"] == "workflow_timeout"
        durable.retry(execution)
        drain()
        durable.send_event(execution, "news")
        assert finish(execution).status == "completed"
