"""Compensation: last completed first, through blocks, crashes, waits and failures."""

from __future__ import annotations

import pytest

import django_durable as durable
from django_durable import (
    Branch,
    Case,
    Each,
    Fail,
    Goto,
    Lane,
    Loop,
    Parallel,
    Retry,
    Sleep,
    WaitForEvent,
    Workflow,
    checkpoint,
    clock,
    days,
    decision,
    minutes,
    seconds,
    sleep,
    step,
    wait_for_event,
)
from django_durable.models import Execution, Step, Wait
from django_durable.runtime import attempts
from tests.composition.crashing import DiesAt, Killed, drain_with
from tests.factories import NOON, claim, drain, finish, fresh, reap, run

pytestmark = pytest.mark.django_db


def undone(execution):
    """Return path and status of the compensations, in the order in which they ended."""
    steps = Step.objects.filter(execution=execution, kind="compensation")
    return list(
        steps.order_by("completed_at", "id").values_list("path", "attempt", "status")
    )


def undoable(body=None, *, undo=None, **options):
    """Return a step with a compensation; both do nothing, unless told."""

    def nothing(self): ...

    made = step(**options)(body or nothing)
    made.compensate(undo or nothing)
    return made


def test_what_was_completed_is_undone_last_completed_first_blocks_included():
    class Saga(Workflow):
        first = undoable()

        class Route(Branch):
            def on(self):
                return 1

            class One(Case, when=1):
                inside = undoable()

        class Again(Loop):
            def condition(self, rounds=0):
                return rounds < 2

            @step
            def count(self, rounds=0):
                return {"rounds": rounds + 1}

            @count.compensate
            def uncount(self): ...

        class Both(Parallel):
            class Left(Lane):
                first = undoable()
                second = undoable()

            right = undoable()

        class Every(Each, max_concurrency=1):
            def items(self):
                return [1, 2]

            send = undoable()

        without = step(lambda self: None)

        @step
        def fail(self):
            raise Fail("no")

        fail.compensate(lambda self: 1 / 0)

    Saga.without.function.__name__ = "without"
    with clock.freeze(NOON) as time:
        execution = durable.start(Saga)
        while claimed := claim(limit=1):
            run(claimed[0])
            time.advance(seconds(1))
    execution = fresh(execution)

    assert execution.status == "compensated"
    assert execution.error["type"] == "failed"
    assert execution.error["step"] == "fail"
    assert execution.current_step == "fail"
    completed = Step.objects.filter(execution=execution, status="completed")
    done = [
        path
        for path in completed.exclude(kind="compensation")
        .order_by("completed_at", "id")
        .values_list("path", flat=True)
        if path not in ("both", "every", "without")
    ]
    assert [path for path, _, _ in undone(execution)] == done[::-1]
    assert len(done) == 9


def test_a_compensation_sees_the_data_the_output_of_its_step_and_the_error():
    seen = {}

    class Seeing(Workflow):
        @step
        def charge(self, total):
            return {"receipt": "first", "total": total + 1}

        @charge.compensate
        def refund(self, data, receipt, total, error, ctx):
            seen["charge"] = (dict(data), receipt, total, error["type"], error["step"])
            seen["key"] = ctx.idempotency_key
            data["receipt"] = "changed by the compensation"
            return {"total": 0}

        @step
        def change(self, ctx):
            seen["own key"] = ctx.idempotency_key
            return {"receipt": "second", "total": 50, "more": True}

        @change.compensate
        def unchange(self, total):
            seen["change"] = total

        @step
        def fail(self):
            raise ValueError("no")

    execution = finish(durable.start(Seeing, {"total": 10}))

    data = {"total": 11, "receipt": "first", "more": True}
    assert seen["charge"] == (data, "first", 11, "ValueError", "fail")
    assert seen["change"] == 50
    assert execution.data == {"total": 50, "receipt": "second", "more": True}


def test_a_compensation_in_an_item_gets_its_item_index_and_the_data_of_its_lane():
    seen = []

    class Items(Workflow):
        class Every(Each, on_error="complete_all"):
            def items(self):
                return ["a", "b"]

            @step
            def prepare(self, item):
                return {"slot": f"slot {item}"}

            class Inner(Parallel):
                class Only(Lane):
                    @step
                    def look(self):
                        return {"deep": True}

                    @step
                    def book(self, slot, item):
                        return {"booking": f"{slot} booked"}

                    @book.compensate
                    def unbook(self, ctx, item, index, slot, booking, deep, base):
                        seen.append((item, index, ctx.index, slot, booking, deep, base))

        @step
        def fail(self):
            raise Fail("no")

    execution = finish(durable.start(Items, {"base": 1}))

    assert execution.status == "compensated"
    assert sorted(seen) == [
        ("a", 0, 0, "slot a", "slot a booked", True, 1),
        ("b", 1, 1, "slot b", "slot b booked", True, 1),
    ]


def test_compensations_are_retried_and_one_that_fails_does_not_stop_the_others():
    class Stubborn(Workflow):
        first = undoable()

        @step
        def second(self): ...

        @second.compensate(retry=Retry(max_attempts=2, base=minutes(1), jitter=0))
        def never(self):
            raise OSError("cannot be undone")

        @step
        def third(self): ...

        @third.compensate(retry=3)
        def at_last(self, ctx):
            if ctx.attempt < 3:
                raise ConnectionError

        @step
        def fail(self):
            raise Fail("the original one")

    with clock.freeze(NOON) as time:
        execution = finish(durable.start(Stubborn))
        assert execution.status == "compensating"
        assert "attempt 2 of 3 of third" in execution.waiting_for
        assert execution.available_at > NOON
        for _ in range(8):
            time.advance(minutes(1))
            drain()
    execution = fresh(execution)

    assert execution.status == "compensation_failed"
    assert execution.error["message"] == "the original one"
    assert undone(execution) == [
        ("third", 1, "failed"),
        ("third", 2, "failed"),
        ("third", 3, "completed"),
        ("second", 1, "failed"),
        ("second", 2, "failed"),
        ("first", 1, "completed"),
    ]
    rows = Step.objects.filter(kind="compensation", path="third")
    (step_id,) = {row.undoes for row in rows}
    assert Step.objects.get(pk=step_id).path == "third"
    with pytest.raises(durable.ExecutionClosed):
        durable.retry(execution)


def test_without_anything_to_undo_an_execution_is_failed_and_can_be_retried():
    class Early(Workflow):
        @step
        def fail(self, ctx):
            if not checkpoint("once", lambda: True) or not allowed:
                raise Fail("no")

        later = undoable()

    allowed = []
    execution = finish(durable.start(Early))
    assert execution.status == "failed"

    allowed.append(True)
    durable.retry(execution)

    assert finish(execution).status == "completed"


def fail_by_fail(self):
    raise Fail("no")


def fail_by_jump(self):
    return Goto("elsewhere")


@pytest.mark.parametrize(
    ("end", "word"),
    [
        (step(fail_by_fail), "failed"),
        (decision(targets=["paid"])(fail_by_jump), "decision_error"),
        (step(lambda self, absent: None), "missing_parameter"),
        (step(lambda self: 3), "invalid_step_return"),
        (WaitForEvent("news", timeout=minutes(1)), "wait_timeout"),
    ],
)
def test_every_way_to_fail_compensates(end, word):
    body = {"paid": undoable(), "end": end, "__qualname__": "<locals>.Ending"}
    workflow = type("Ending", (Workflow,), body)

    with clock.freeze(NOON) as time:
        execution = finish(durable.start(workflow))
        time.advance(minutes(1))
        execution = finish(execution)

    assert execution.status == "compensated"
    assert execution.error["type"] == word
    assert undone(execution) == [("paid", 1, "completed")]


def test_the_workflows_timeout_compensates_and_does_not_cut_that_off():
    class TimedSaga(Workflow, timeout=minutes(10)):
        @step
        def pay(self): ...

        @pay.compensate(retry=Retry(max_attempts=2, base=minutes(30), jitter=0))
        def refund(self, ctx):
            if ctx.attempt == 1:
                raise ConnectionError
            sleep(minutes(20))

        nap = Sleep(days(1))

    with clock.freeze(NOON) as time:
        execution = finish(durable.start(TimedSaga))
        time.advance(minutes(10))
        execution = finish(execution)
        assert execution.status == "compensating"
        assert execution.available_at == NOON + minutes(10 + 5)
        time.advance(minutes(60))
        execution = finish(execution)
        assert execution.status == "compensating"
        assert execution.available_at == clock.now() + minutes(20)
        assert drain() == 0
        time.advance(minutes(20))
        execution = finish(execution)

    assert execution.status == "compensated"
    assert execution.error["type"] == "workflow_timeout"
    assert undone(execution) == [("pay", 1, "failed"), ("pay", 2, "completed")]


def test_a_compensation_may_wait_and_does_not_find_the_answers_of_the_failed_step():
    seen = []

    class Waiting(Workflow):
        @step
        def pay(self): ...

        @pay.compensate
        def refund(self):
            seen.append(checkpoint("name", lambda: "of the compensation"))
            sleep(minutes(5))
            seen.append(wait_for_event("go"))

        @step
        def fail(self):
            checkpoint("name", lambda: "of the step")
            sleep(minutes(1))
            wait_for_event("go")
            raise Fail("no")

    with clock.freeze(NOON) as time:
        execution = finish(durable.start(Waiting))
        time.advance(minutes(1))
        drain()
        durable.send_event(execution, "go", "for the step")
        execution = finish(execution)
        assert execution.status == "compensating"
        assert execution.available_at == clock.now() + minutes(5)
        time.advance(minutes(5))
        drain()
        durable.send_event(execution, "go", "for the compensation")
        execution = finish(execution)

    assert execution.status == "compensated"
    assert seen[-1] == "for the compensation"
    assert set(seen[:-1]) == {"of the compensation"}


def test_a_compensation_may_call_a_workflow():
    class RefundKid(Workflow):
        @step
        def refund(self):
            return {"refunded": True}

    seen = []

    class Calling(Workflow):
        @step
        def pay(self): ...

        @pay.compensate
        def refund(self):
            seen.append(durable.call_workflow(RefundKid, {}))

        @step
        def fail(self):
            raise Fail("no")

    execution = finish(durable.start(Calling))

    assert execution.status == "compensated"
    assert seen == [{"refunded": True}]


def test_the_keys_of_a_step_and_its_compensation_differ():
    keys = []

    class Keyed(Workflow):
        class Both(Parallel):
            class Only(Lane):
                @step
                def charge(self, ctx):
                    keys.append(ctx.idempotency_key)

                @charge.compensate
                def refund(self, ctx):
                    keys.append(ctx.idempotency_key)

                @step
                def fail(self):
                    raise Fail("no")

    finish(durable.start(Keyed))

    assert len(keys) == len(set(keys)) == 2


def test_a_step_that_was_completed_twice_is_undone_twice():
    seen = []

    class Backwards(Workflow):
        @step
        def charge(self, n=0):
            return {"n": n + 1}

        @charge.compensate
        def refund(self, n):
            seen.append(n)

        @decision(targets=["charge"])
        def again(self, n):
            return Goto("charge") if n < 2 else None

        @step
        def fail(self):
            raise Fail("no")

    finish(durable.start(Backwards))

    assert seen == [2, 1]


class SagaToCrash(Workflow):
    first = undoable()

    class Both(Parallel):
        left = undoable()
        right = undoable()

    @step
    def last(self): ...

    @last.compensate
    def broken(self):
        raise OSError

    @step
    def fail(self):
        raise Fail("no")


@pytest.mark.parametrize("after", [True, False])
def test_a_crash_at_any_statement_does_not_undo_twice_or_forget(after):
    number, has_died = 0, True
    while has_died:
        execution = durable.start(SagaToCrash)
        death = DiesAt(number, after=after)
        with clock.freeze(NOON) as time:
            drain_with(death)
            time.advance(minutes(5))
            execution = finish(execution)

        assert execution.status == "compensation_failed", number
        ended = [one for one in undone(execution) if one[2] != "lost"]
        assert [(path, status) for path, _, status in ended] in (
            [
                ("last", "failed"),
                *((f"both.{side}", "completed") for side in sides),
                ("first", "completed"),
            ]
            for sides in (("left", "right"), ("right", "left"))
        )
        number, has_died = number + 3, death.has_died
    # On PostgreSQL the hot path has few statements to die at.
    assert number > 25


def test_a_compensation_that_kills_its_worker_each_time_fails_in_the_end(monkeypatch):
    class Cursed(Workflow):
        first = undoable()
        second = undoable()

        @step
        def fail(self):
            raise Fail("no")

    def call_for(run, step):
        if step.undoes and step.path == "second":
            raise Killed
        return original(run, step)

    original = attempts.call_for
    monkeypatch.setattr(attempts, "call_for", call_for)
    with clock.freeze(NOON) as time:
        execution = durable.start(Cursed)
        for _ in range(4):
            with pytest.raises(Killed):
                drain()
            reap()
            time.advance(minutes(2))
        execution = finish(execution)

    assert execution.status == "compensation_failed"
    assert execution.error["message"] == "no"
    assert [one for one in undone(execution) if one[2] != "lost"] == [
        ("first", 1, "completed")
    ]
    lost = Step.objects.filter(kind="compensation", status="lost")
    assert lost.filter(undoes__isnull=False).count() == 1


def test_cancel_with_compensate_undoes_lanes_items_and_ends_what_waits():
    class Cancellable(Workflow):
        paid = undoable()

        class Every(Each, max_concurrency=2):
            def items(self):
                return range(5)

            send = undoable()
            news = WaitForEvent("news")

    execution = finish(durable.start(Cancellable))
    assert Execution.rows.filter(is_lane=True).open().count() == 5

    durable.cancel(execution, "changed my mind", compensate=True)
    assert fresh(execution).status == "compensating"
    execution = finish(execution)

    assert execution.status == "compensated"
    assert execution.error["type"] == "cancelled"
    assert execution.error["message"] == "changed my mind"
    assert [path for path, _, _ in undone(execution)] == [
        "every[1].send",
        "every[0].send",
        "paid",
    ]
    assert not Execution.rows.open().exists()
    assert not Wait.objects.filter(status="open").exists()


def test_cancel_with_compensate_and_nothing_to_undo_is_cancelled():
    class Nothing(Workflow):
        news = WaitForEvent("news")
        later = undoable()

    execution = finish(durable.start(Nothing))
    durable.cancel(execution, compensate=True)

    assert finish(execution).status == "cancelled"


def test_an_execution_that_is_being_undone_can_be_paused_resumed_and_cancelled():
    class Pausable(Workflow):
        first = undoable()

        @step
        def second(self): ...

        @second.compensate
        def slowly(self):
            wait_for_event("go")

        @step
        def fail(self):
            raise Fail("no")

    execution = finish(durable.start(Pausable))
    assert execution.status == "compensating"
    assert execution.waiting_for == "the event go"
    durable.pause(execution)
    durable.send_event(execution, "go")
    assert drain() == 0
    durable.resume(execution)
    assert fresh(execution).status == "compensating"
    assert finish(execution).status == "compensated"

    another = finish(durable.start(Pausable))
    durable.cancel(another)
    assert fresh(another).status == "cancelled"
    assert undone(another) == []


def test_a_member_that_completed_is_undone_when_its_sibling_fails():
    class Siblings(Workflow):
        class Both(Parallel):
            good = undoable()

            class Bad(Lane):
                before = undoable()
                gate = WaitForEvent("gate")

                @step
                def fail(self):
                    raise Fail("no")

    execution = finish(durable.start(Siblings))
    durable.send_event(execution, "gate")
    execution = finish(execution)

    assert execution.status == "compensated"
    assert execution.error["step"] == "both.bad.fail"
    assert sorted(path for path, _, _ in undone(execution)) == [
        "both.bad.before",
        "both.good",
    ]
