"""Loop: the condition before each round, its limit, jumps, and paths that stay."""

from __future__ import annotations

import pytest

import django_durable as durable
from django_durable import (
    Branch,
    CallWorkflow,
    Case,
    Each,
    Goto,
    Lane,
    Loop,
    Parallel,
    Retry,
    WaitForEvent,
    Workflow,
    clock,
    decision,
    minutes,
    seconds,
    sleep,
    step,
    wait_for_event,
)
from django_durable.models import Step
from tests.factories import NOON, claim, drain, finish, fresh, reap, run

pytestmark = pytest.mark.django_db


def paths(execution):
    """Return the paths of the completed steps, in order."""
    steps = Step.objects.filter(execution=execution, status="completed")
    return list(steps.order_by("completed_at", "id").values_list("path", flat=True))


class CountUp(Workflow):
    class UntilReady(Loop, max_iterations=3):
        def condition(self, count, wanted):
            return count < wanted

        @step
        def poll(self, ctx, count):
            return {"count": count + 1, "iteration": ctx.iteration}

    @step
    def after(self, ctx):
        assert ctx.iteration is None


@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_the_condition_is_asked_before_each_round(rounds):
    execution = finish(durable.start(CountUp, {"count": 0, "wanted": rounds}))

    assert execution.status == "completed"
    assert execution.result["count"] == rounds
    assert execution.result.get("iteration") == (rounds - 1 if rounds else None)
    assert paths(execution) == [
        *(f"until_ready[{number}].poll" for number in range(rounds)),
        "after",
    ]


def test_more_rounds_than_max_iterations_fail_with_loop_limit():
    execution = finish(durable.start(CountUp, {"count": 0, "wanted": 4}))

    assert execution.status == "failed"
    assert execution.error["type"] == "loop_limit"
    assert execution.error["step"] == "until_ready"
    assert len(paths(execution)) == 3


def test_a_condition_that_raises_fails_the_execution_with_its_error():
    execution = finish(durable.start(CountUp, {"count": 0}))

    assert execution.status == "failed"
    assert execution.error["type"] == "missing_parameter"
    assert execution.error["step"] == "until_ready"


def test_a_decision_jumps_out_of_a_loop_and_back_into_a_new_one():
    class Rounds(Workflow):
        class Again(Loop):
            def condition(self):
                return True

            @step
            def count(self, n, ctx):
                return {"n": n + 1, "seen": ctx.iteration}

            @decision(targets=["outside"])
            def enough(self, n):
                return Goto("outside") if n % 2 == 0 else None

        @decision(targets=["again"])
        def outside(self, n):
            return Goto("again") if n < 4 else None

    execution = finish(durable.start(Rounds, {"n": 0}))

    assert execution.status == "completed"
    assert execution.result == {"n": 4, "seen": 1}
    one_loop = [
        "again[0].count",
        "again[0].enough",
        "again[1].count",
        "again[1].enough",
        "outside",
    ]
    assert paths(execution) == one_loop * 2


def test_a_jump_inside_a_round_stays_in_the_round():
    class Inside(Workflow):
        class Again(Loop):
            def condition(self, rounds=0):
                return rounds < 2

            @step
            def begin(self, rounds=0):
                return {"rounds": rounds + 1}

            @step
            def try_it(self, tries=0):
                return {"tries": tries + 1}

            @decision(targets=["try_it"])
            def enough(self, tries, rounds):
                return Goto("try_it") if tries < rounds * 2 else None

    execution = finish(durable.start(Inside))

    assert execution.result == {"rounds": 2, "tries": 4}
    assert paths(execution).count("again[1].begin") == 1
    assert paths(execution).count("again[1].try_it") == 2


def test_loops_nest_and_the_innermost_round_is_the_iteration():
    class Nested(Workflow):
        class Outer(Loop):
            def condition(self, seen):
                return len(seen) < 4

            class Inner(Loop):
                def condition(self, seen, ctx_free=0):
                    return len(seen) % 2 == 0 or not seen

                @step
                def one(self, ctx, seen):
                    return {"seen": [*seen, ["one", ctx.iteration]]}

            @step
            def two(self, ctx, seen):
                return {"seen": [*seen, ["two", ctx.iteration]]}

    result = finish(durable.start(Nested, {"seen": []})).result

    assert result["seen"] == [["one", 0], ["two", 0], ["one", 0], ["two", 1]]


def test_everything_nests_in_everything_on_stable_paths():
    class Child(Workflow):
        @step
        def answer(self, n):
            return {"n": n * 10}

    class Deep(Workflow):
        class Rounds(Loop):
            def condition(self, done=0):
                return done < 2

            class Checks(Parallel):
                class Items(Each, max_concurrency=1):
                    def items(self):
                        return [1, 2]

                    class Which(Branch):
                        def on(self, item):
                            return item

                        class Two(Case, when=2):
                            class Inner(Loop):
                                def condition(self, k=0):
                                    return k < 2

                                @step
                                def more(self, ctx, item, index, k=0):
                                    assert (ctx.iteration, index) == (k, 1)
                                    return {"k": k + item - 1}

                        class One(Case, when=1):
                            @step
                            def wait(self, ctx):
                                sleep(minutes(1))
                                return {"round": ctx.iteration}

                            child = CallWorkflow(Child, input=lambda item: {"n": item})

                class Side(Lane):
                    news = WaitForEvent("news")

                    @step(retry=Retry(max_attempts=2, base=seconds(1), jitter=0))
                    def flaky(self, ctx, news):
                        if ctx.attempt == 1:
                            raise ConnectionError
                        return {"got": [news, ctx.iteration]}

                def join(self, results, done=0, log=()):
                    values = {name: one.value for name, one in results.items()}
                    return {"done": done + 1, "log": [*log, values]}

    with clock.freeze(NOON) as time:
        execution = durable.start(Deep)
        for number in range(2):
            drain()
            durable.send_event(execution, "news", number)
            for _ in range(4):
                time.advance(minutes(1))
                drain()
    execution = fresh(execution)

    assert execution.status == "completed", execution.error
    one = {"round": 0, "child": {"n": 10}}
    assert execution.result["log"] == [
        {
            "items": {"items": [one | {"round": number}, {"k": 2}]},
            "side": {"news": number, "got": [number, number]},
        }
        for number in range(2)
    ]
    found = paths(execution)
    for number in range(2):
        assert {
            f"rounds[{number}].checks",
            f"rounds[{number}].checks.items",
            f"rounds[{number}].checks.items[0].which.one.wait",
            f"rounds[{number}].checks.items[0].which.one.child",
            f"rounds[{number}].checks.items[1].which.two.inner[1].more",
            f"rounds[{number}].checks.side.flaky",
        } <= set(found)
    assert len(found) == len(set(found))


def test_a_jump_does_not_leave_the_member_that_makes_it():
    with pytest.raises(durable.DefinitionError, match=r"E005.*leave"):

        class Leaving(Workflow):
            class Checks(Parallel):
                class One(Lane):
                    @decision(targets=["leave"])
                    def choose(self): ...

            @step
            def leave(self): ...


def test_a_wait_in_a_loop_takes_a_new_event_each_round():
    class Listening(Workflow):
        class Rounds(Loop):
            def condition(self, got=()):
                return "stop" not in got

            @step
            def listen(self, got=()):
                return {"got": [*got, wait_for_event("word")]}

    execution = durable.start(Listening)
    for word in ("a", "b"):
        durable.send_event(execution, "word", word)
    drain()
    durable.send_event(execution, "word", "stop")

    assert finish(execution).result == {"got": ["a", "b", "stop"]}


class Killing(Workflow):
    class Every(Each):
        def items(self):
            return []

        @step
        def never(self): ...


def test_a_block_whose_question_kills_its_worker_each_time_fails_in_the_end(
    monkeypatch,
):
    from django_durable.runtime import blocks
    from tests.composition.crashing import Killed

    def die(*_):
        raise Killed

    monkeypatch.setattr(blocks, "_answer", die)
    monkeypatch.setattr(blocks, "move_after_error", die)
    with clock.freeze(NOON) as time:
        execution = durable.start(Killing)
        for _ in range(4):
            time.advance(minutes(2))
            with pytest.raises(Killed):
                run(claim()[0])
            reap()
        time.advance(minutes(2))
        execution = finish(execution)

    assert execution.status == "failed"
    assert execution.error["type"] == "worker_lost"
    assert execution.error["step"] == "every"


def test_attempts_lost_by_a_block_are_not_those_of_its_first_step(monkeypatch):
    from django_durable.runtime import blocks
    from tests.composition.crashing import Killed

    ask = blocks.ask

    class Fragile(Workflow):
        class Route(Branch):
            def on(self):
                return 1

            class One(Case, when=1):
                @step
                def first(self, ctx):
                    return {"attempt": ctx.attempt}

    def die_once(*arguments):
        monkeypatch.setattr(blocks, "ask", ask)
        raise Killed

    monkeypatch.setattr(blocks, "ask", die_once)
    monkeypatch.setattr(blocks, "move_after_error", lambda run, action, error: 1 / 0)
    execution = durable.start(Fragile)
    with pytest.raises(ZeroDivisionError):
        run(claim()[0])
    reap()

    assert finish(execution).result == {"attempt": 1}
