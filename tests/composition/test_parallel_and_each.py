"""Parallel and Each: copies of the data, joins, errors, turns, queues."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User

import django_durable as durable
from django_durable import (
    Branch,
    Cancel,
    Case,
    Each,
    Fail,
    Lane,
    Parallel,
    Retry,
    Sleep,
    WaitForApproval,
    WaitForEvent,
    Workflow,
    clock,
    days,
    minutes,
    seconds,
    sleep,
    step,
    wait_for_approval,
    wait_for_event,
)
from django_durable.models import Execution, InputRequest, Step, Wait
from tests.factories import NOON, claim, drain, finish, fresh, run

pytestmark = pytest.mark.django_db


def lanes_of(execution, **which):
    return Execution.rows.filter(parent=execution, is_lane=True, **which).order_by("id")


def paths(execution):
    """Return the paths of the completed steps, in order."""
    steps = Step.objects.filter(execution=execution, status="completed")
    return list(steps.order_by("completed_at", "id").values_list("path", flat=True))


# --- What members see and give --------------------------------------------------------


def test_each_members_value_is_stored_under_its_name():
    class TwoChecks(Workflow):
        class Checks(Parallel):
            @step
            def fraud(self, total):
                return {"score": total / 10}

            class Legal(Lane):
                @step
                def read(self):
                    return {"pages": 3}

                @step
                def sign(self, pages):
                    return {"signed": pages > 2, "total": 99}

        @step
        def after(self, total, fraud, legal):
            return {"seen": [total, fraud["score"], legal["signed"]]}

    execution = finish(durable.start(TwoChecks, {"total": 30}))

    assert execution.result == {
        "total": 30,
        "fraud": {"score": 3.0},
        "legal": {"pages": 3, "signed": True, "total": 99},
        "seen": [30, 3.0, True],
    }
    assert sorted(paths(execution)) == [
        "after",
        "checks",
        "checks.fraud",
        "checks.legal.read",
        "checks.legal.sign",
    ]
    assert not Execution.objects.exclude(pk=execution.pk).exists()


def test_a_join_gets_the_results_by_name_and_says_what_is_stored():
    class Joined(Workflow):
        class Checks(Parallel):
            @step
            def fraud(self):
                return {"score": 3}

            @step
            def stock(self):
                return None

            def join(self, data, results, base):
                assert list(results) == ["fraud", "stock"]
                assert results["stock"].ok
                assert results["stock"].value == {}
                assert results["stock"].error is None
                del data["base"]
                return {"score": results["fraud"].value["score"] + base}

    execution = finish(durable.start(Joined, {"base": 4}))

    assert execution.result == {"score": 7}


def test_a_join_is_retried_and_fails_like_a_step():
    class StubbornJoin(Workflow, retry=Retry(max_attempts=2, jitter=0)):
        class Checks(Parallel):
            @step
            def one(self):
                return {"n": 1}

            def join(self, ctx, results):
                if ctx.attempt == 1:
                    raise ConnectionError
                raise ValueError("still not")

    with clock.freeze(NOON) as time:
        execution = finish(durable.start(StubbornJoin))
        assert execution.status == "pending"
        time.advance(minutes(1))
        execution = finish(execution)

    assert execution.status == "failed"
    assert execution.error["type"] == "ValueError"
    assert execution.error["step"] == "checks"
    assert paths(execution) == ["checks.one"]


def test_a_join_may_wait():
    class WaitingJoin(Workflow):
        class Checks(Parallel):
            @step
            def one(self):
                return {"n": 1}

            def join(self, results):
                return {"answer": wait_for_event("go") + results["one"].value["n"]}

    execution = finish(durable.start(WaitingJoin))
    assert execution.status == "waiting"

    durable.send_event(execution, "go", 41)

    assert finish(execution).result == {"answer": 42}
    assert paths(execution) == ["checks.one", "checks"]


def test_members_do_not_see_each_others_writes():
    class Isolated(Workflow):
        class Checks(Parallel):
            class Writer(Lane):
                @step
                def write(self, data):
                    data["shared"].append("writer")
                    data["mine"] = 1

                @step
                def look(self, data):
                    return {"seen": data["shared"], "keys": sorted(data)}

            class Reader(Lane):
                pause = WaitForEvent("go")

                @step
                def look(self, data):
                    return {"seen": data["shared"], "keys": sorted(data)}

    execution = finish(durable.start(Isolated, {"shared": ["start"]}))
    durable.send_event(execution, "go")
    result = finish(execution).result

    assert result["shared"] == ["start"]
    assert result["writer"]["seen"] == ["start", "writer"]
    assert result["writer"]["keys"] == ["mine", "shared"]
    assert result["reader"]["seen"] == ["start"]
    assert result["reader"]["keys"] == ["pause", "shared"]


def test_a_key_deleted_in_a_lane_is_gone_there_and_stays_elsewhere():
    class Deleting(Workflow):
        class Checks(Parallel):
            class Cleaner(Lane):
                @step
                def clean(self, data):
                    del data["hidden"]

                class Inner(Parallel):
                    @step
                    def look(self, data):
                        return {"inside": sorted(data)}

                @step
                def look_again(self, data):
                    return {"after": sorted(data)}

                @step
                def restore(self):
                    return {"hidden": "new"}

    execution = finish(durable.start(Deleting, {"hidden": 1, "name": "x"}))

    assert execution.result["hidden"] == 1
    cleaner = execution.result["cleaner"]
    assert cleaner["look"] == {"inside": ["name"]}
    assert cleaner["after"] == ["look", "name"]
    assert cleaner["hidden"] == "new"


def test_a_users_own_removed_marker_is_a_value():
    class Marked(Workflow):
        class Checks(Parallel):
            class Marker(Lane):
                @step
                def mark(self):
                    return {"x": {"$type": "removed"}}

                @step
                def look(self, x):
                    return {"seen": x}

    result = finish(durable.start(Marked)).result

    assert result["marker"]["seen"] == {"$type": "removed"}


@pytest.mark.parametrize(("before", "after"), [(1, True), (0, False), (1, 1.0)])
def test_a_lane_that_writes_an_equal_value_of_another_type_has_changed_it(
    before, after
):
    class Retyped(Workflow):
        class Checks(Parallel):
            class Writer(Lane):
                @step
                def write(self, data):
                    data["x"] = after

                @step
                def look(self, x):
                    return {"seen": repr(x)}

    result = finish(durable.start(Retyped, {"x": before})).result

    assert result["writer"]["seen"] == repr(after)
    assert repr(result["writer"]["x"]) == repr(after)


@dataclass
class Money:
    amount: Decimal
    currency: str


def test_values_of_every_type_pass_through_lanes_and_items():
    moment = datetime(2031, 2, 3, 4, 5, tzinfo=UTC)

    class Rich(Workflow):
        class Checks(Parallel):
            @step
            def one(self, price):
                assert type(price) is Money
                return {"price": Money(price.amount * 2, "EUR"), "at": moment}

        class Every(Each):
            def items(self):
                return [Money(Decimal(1), "CHF"), {"a": (1, 2)}, {3}, None, moment]

            @step
            def keep(self, item):
                return {"it": item}

    given = {"price": Money(Decimal("1.50"), "CHF")}
    result = finish(durable.start(Rich, given)).result

    assert result["price"] == Money(Decimal("1.50"), "CHF")
    assert result["one"] == {"price": Money(Decimal("3.00"), "EUR"), "at": moment}
    assert [value["it"] for value in result["every"]] == [
        Money(Decimal(1), "CHF"),
        {"a": (1, 2)},
        {3},
        None,
        moment,
    ]


def test_a_step_may_ask_for_a_key_called_results():
    class Reported(Workflow):
        @step
        def report(self, results):
            return {"count": len(results)}

    execution = finish(durable.start(Reported, {"results": [1, 2, 3]}))

    assert execution.result["count"] == 3


def test_a_member_may_be_any_block_or_ready_made_node():
    class AnyMember(Workflow):
        class All(Parallel):
            class Route(Branch):
                def on(self, kind):
                    return kind

                class A(Case, when="a"):
                    @step
                    def in_a(self):
                        return {"took": "a"}

            class Skipped(Branch):
                def on(self):
                    return "nothing"

                class A(Case, when="a"):
                    @step
                    def never(self): ...

            class Every(Each):
                def items(self):
                    return [1, 2]

                @step
                def double(self, item):
                    return {"twice": item * 2}

            class Inner(Parallel):
                @step
                def deep(self):
                    return {"deep": True}

            news = WaitForEvent("news")
            nap = Sleep(minutes(5))

    with clock.freeze(NOON) as time:
        execution = finish(durable.start(AnyMember, {"kind": "a"}))
        durable.send_event(execution, "news", "good")
        time.advance(minutes(5))
        result = finish(execution).result

    assert result == {
        "kind": "a",
        "route": {"took": "a"},
        "skipped": {},
        "every": {"every": [{"twice": 2}, {"twice": 4}]},
        "inner": {"deep": {"deep": True}},
        "news": {"news": "good"},
        "nap": {},
    }


# --- Errors ---------------------------------------------------------------------------


def test_complete_all_joins_when_all_have_ended_and_keeps_the_errors():
    class CompleteAll(Workflow):
        class Checks(Parallel, on_error="complete_all"):
            @step
            def bad(self):
                raise ValueError("no")

            class Slow(Lane):
                nap = Sleep(days(1))

                @step
                def done(self):
                    return {"done": True}

    with clock.freeze(NOON) as time:
        execution = finish(durable.start(CompleteAll))
        assert execution.status == "waiting"
        time.advance(days(1))
        execution = finish(execution)

    assert execution.status == "completed"
    assert set(execution.result) == {"slow", "checks_errors"}
    assert execution.result["checks_errors"]["bad"]["type"] == "ValueError"
    assert execution.result["checks_errors"]["bad"]["step"] == "checks.bad"


def test_complete_all_gives_the_join_every_error():
    class JoinedErrors(Workflow):
        class Every(Each, on_error="complete_all"):
            def items(self):
                return [0, 1, 2]

            @step
            def divide(self, item):
                return {"x": 1 / item}

            def join(self, results):
                assert [result.ok for result in results] == [False, True, True]
                assert results[0].value is None
                return {"error": results[0].error["type"]}

    assert finish(durable.start(JoinedErrors)).result == {"error": "ZeroDivisionError"}


def test_failed_items_are_left_out_and_kept_by_their_index():
    class SomeFail(Workflow):
        class Every(Each, on_error="complete_all"):
            def items(self):
                return ["a", "b", "c"]

            @step
            def take(self, item):
                if item == "b":
                    raise Fail("not b", item=item)
                return {"took": item}

    result = finish(durable.start(SomeFail)).result

    assert result["every"] == [{"took": "a"}, {"took": "c"}]
    assert list(result["every_errors"]) == ["1"]
    assert result["every_errors"]["1"]["details"] == {"item": "b"}
    assert result["every_errors"]["1"]["step"] == "every[1].take"


def test_fail_fast_cancels_siblings_at_once_even_those_asleep_or_waiting():
    class FailFast(Workflow):
        class Checks(Parallel):
            class Asleep(Lane):
                nap = Sleep(days(1))

                @step
                def never(self): ...

            class Expectant(Lane):
                news = WaitForEvent("news")

            class Asking(Lane):
                class Inner(Parallel):
                    ok = WaitForApproval(prompt="Go?")

            class Bad(Lane):
                gate = WaitForEvent("gate")

                @step
                def fail(self):
                    raise ValueError("no")

    with clock.freeze(NOON):
        execution = finish(durable.start(FailFast))
        assert len(durable.list_pending_inputs(execution)) == 1
        durable.send_event(execution, "gate")
        execution = finish(execution)

    assert execution.status == "failed"
    assert execution.error["type"] == "ValueError"
    assert execution.error["step"] == "checks.bad.fail"
    assert execution.current_step == "checks.bad.fail"
    assert not Execution.rows.open().exists()
    assert not Wait.objects.filter(status="open").exists()
    assert not InputRequest.objects.filter(status="open").exists()
    assert not durable.list_pending_inputs(execution)
    with pytest.raises(durable.ExecutionClosed):
        durable.send_event(execution, "news")


def test_what_a_cancelled_sibling_was_doing_is_not_recorded():
    class CutOff(Workflow):
        class Checks(Parallel):
            @step
            def slow(self):
                bad = claim()[0]
                run(bad)
                return {"slow": True}

            @step
            def bad(self):
                raise ValueError("no")

    execution = durable.start(CutOff)
    run(claim()[0])
    run(claim(limit=1)[0])

    assert paths(execution) == []
    assert lanes_of(execution, status="cancelled").get().scope == "checks.slow"
    assert finish(execution).error["type"] == "ValueError"


@pytest.mark.parametrize("on_error", ["fail_fast", "complete_all"])
def test_cancel_raised_in_a_member_cancels_the_execution(on_error):
    class SelfCancelled(Workflow):
        class Checks(Parallel, on_error=on_error):
            class Inner(Lane):
                class Every(Each):
                    def items(self):
                        return [1]

                    @step
                    def stop(self):
                        raise Cancel("the customer left")

            nap = Sleep(days(1))

        @step
        def before(self): ...

        @before.compensate
        def undo(self):
            raise AssertionError("cancel does not compensate unless told")

    execution = finish(durable.start(SelfCancelled))

    assert execution.status == "cancelled"
    assert execution.error["type"] == "cancelled"
    assert execution.error["message"] == "the customer left"
    assert not Execution.rows.open().exists()


def test_a_member_is_retried_by_its_policy_before_it_fails():
    class Retried(Workflow):
        class Checks(Parallel):
            @step(retry=Retry(max_attempts=2, base=seconds(10), jitter=0))
            def flaky(self, ctx):
                if ctx.attempt == 1:
                    raise ConnectionError
                return {"attempt": ctx.attempt}

    with clock.freeze(NOON) as time:
        execution = finish(durable.start(Retried))
        assert execution.status == "waiting"
        time.advance(seconds(20))
        assert finish(execution).result == {"flaky": {"attempt": 2}}


# --- Each -----------------------------------------------------------------------------


def test_each_gives_item_index_and_data_and_joins_in_the_order_of_the_items():
    class Ordered(Workflow):
        class Every(Each, max_concurrency=2):
            def items(self, names):
                return (name for name in names)

            @step
            def greet(self, item, index, greeting, ctx):
                assert ctx.index == index
                return {"text": f"{greeting} {item} {index}"}

            @step
            def shout(self, text, item):
                return {"text": text.upper(), "who": item}

    given = {"names": ["ann", "bo", "cy"], "greeting": "hi"}
    result = finish(durable.start(Ordered, given)).result

    assert result["every"] == [
        {"text": "HI ANN 0", "who": "ann"},
        {"text": "HI BO 1", "who": "bo"},
        {"text": "HI CY 2", "who": "cy"},
    ]
    assert "item" not in result


def test_the_results_of_each_are_in_order_whatever_ends_first():
    class Backwards(Workflow):
        class Every(Each):
            def items(self):
                return [3, 2, 1]

            @step
            def nap(self, item):
                sleep(minutes(item))
                return {"slept": item}

            def join(self, results):
                return {"slept": [result.value["slept"] for result in results]}

    with clock.freeze(NOON) as time:
        execution = finish(durable.start(Backwards))
        for _ in range(3):
            time.advance(minutes(1))
            drain()
        assert paths(execution)[:3] == ["every[2].nap", "every[1].nap", "every[0].nap"]
        assert fresh(execution).result == {"slept": [3, 2, 1]}


@pytest.mark.parametrize("with_join", [True, False])
def test_each_without_items_is_joined_at_once(with_join):
    class Empty(Workflow):
        class Every(Each):
            def items(self):
                return []

            @step
            def never(self): ...

            if with_join:

                def join(self, results):
                    return {"joined": results}

        @step
        def after(self):
            return {"after": True}

    result = finish(durable.start(Empty)).result

    assert result == ({"joined": []} if with_join else {"every": []}) | {"after": True}


def test_items_that_cannot_be_listed_or_stored_fail_the_block():
    class NoItems(Workflow):
        class Every(Each):
            def items(self, kind):
                return 3 if kind == "number" else [lambda: None]

            @step
            def never(self): ...

    number = durable.start(NoItems, {"kind": "number"})
    function = durable.start(NoItems, {"kind": "function"})
    drain()

    assert fresh(number).error["type"] == "TypeError"
    assert fresh(number).error["step"] == "every"
    assert fresh(function).error["type"] == "not_storable"
    assert "items of every[0]" in fresh(function).error["message"]


def test_items_may_be_dicts_and_model_instances():
    users = [User.objects.create(username=name) for name in ("ann", "bo")]

    class Mailing(Workflow):
        class Every(Each):
            def items(self):
                return User.objects.order_by("username")

            @step
            def name(self, item):
                assert isinstance(item, User)
                return {"name": item.username}

        class Dicts(Each):
            def items(self):
                return [{"item": 1, "index": "x"}]

            @step
            def keep(self, item, index):
                return {"kept": [item, index]}

    execution = durable.start(Mailing)
    run(claim()[0])
    users[0].username = "anna"
    users[0].save()
    result = finish(execution).result

    assert result["every"] == [{"name": "anna"}, {"name": "bo"}]
    assert result["dicts"] == [{"kept": [{"item": 1, "index": "x"}, 0]}]


def test_a_deleted_instance_is_an_error_of_its_item():
    user = User.objects.create(username="ann")

    class Gone(Workflow):
        class Every(Each, on_error="complete_all"):
            def items(self):
                return [user]

            @step
            def name(self, item):
                return {"name": item.username}

    execution = durable.start(Gone)
    run(claim()[0])
    User.objects.all().delete()
    result = finish(execution).result

    assert result["every"] == []
    assert result["every_errors"]["0"]["type"] == "not_storable"


def test_no_more_than_max_concurrency_items_are_open_at_once():
    most = 0

    class Limited(Workflow):
        class Every(Each, max_concurrency=3):
            def items(self):
                return range(10)

            news = WaitForEvent("news")

    execution = finish(durable.start(Limited))
    for number in range(10):
        open_lanes = lanes_of(execution, started_at__isnull=False).open().count()
        most = max(most, open_lanes)
        assert open_lanes == min(3, 10 - number)
        assert not lanes_of(execution, waiting_for="").open().exists()
        durable.send_event(execution, "news", number)
        drain()

    assert most == 3
    result = fresh(execution).result
    assert sorted(value["news"] for value in result["every"]) == list(range(10))


def test_nested_each_knows_both_of_its_items():
    class Grid(Workflow):
        class Rows(Each, max_concurrency=2):
            def items(self):
                return ["a", "b", "c"]

            @step
            def remember(self, item, index):
                return {"row": item, "row_index": index}

            class Columns(Each, max_concurrency=1):
                def items(self, item):
                    return [f"{item}{number}" for number in range(2)]

                @step
                def cell(self, item, index, row, row_index):
                    return {"cell": [row, row_index, item, index]}

    result = finish(durable.start(Grid)).result

    assert [column["cell"] for row in result["rows"] for column in row["columns"]] == [
        [row, number, f"{row}{column}", column]
        for number, row in enumerate("abc")
        for column in range(2)
    ]


# --- Queues ---------------------------------------------------------------------------


def test_a_step_with_a_queue_moves_there_and_back():
    seen = []

    class Moving(Workflow, queue="home"):
        @step
        def first(self, ctx):
            seen.append(("first", Execution.rows.get(pk=ctx.execution_id).queue))

        @step(queue="slow")
        def second(self, ctx):
            seen.append(("second", Execution.rows.get(pk=ctx.execution_id).queue))

        class Checks(Parallel):
            @step(queue="slow")
            def member(self, ctx):
                seen.append("member")

            class Inside(Lane):
                @step
                def at_home(self): ...

                @step(queue="slow")
                def away(self): ...

                @step
                def back(self): ...

        @step
        def last(self, ctx):
            seen.append(("last", Execution.rows.get(pk=ctx.execution_id).queue))

    execution = durable.start(Moving)
    assert drain("home") == 1
    assert fresh(execution).queue == "slow"
    run(claim("slow")[0])
    queues = dict(lanes_of(execution).values_list("scope", "queue"))
    assert queues == {"checks.member": "slow", "checks.inside": "home"}
    run(claim("home")[0])
    assert lanes_of(execution, queue="slow").count() == 2
    drain("home", "slow")

    assert fresh(execution).status == "completed"
    assert fresh(execution).queue == "home"
    assert seen == [("first", "home"), ("second", "slow"), "member", ("last", "home")]


# --- Waiting inside -------------------------------------------------------------------


def test_an_approval_in_a_lane_in_a_branch_in_an_item_goes_on_in_the_right_place():
    class DeepApproval(Workflow):
        class Orders(Each):
            def items(self, orders):
                return orders

            class Size(Branch):
                def on(self, item):
                    return "large" if item["total"] > 100 else "small"

                class Large(Case, when="large"):
                    class Checks(Parallel):
                        class Boss(Lane):
                            @step
                            def ask(self, item, index):
                                answer = wait_for_approval(f"order_{index}")
                                return {"boss": answer, "for": item["id"]}

                            @step
                            def note(self, boss):
                                return {"noted": boss}

                class Small(Case, when="small"):
                    @step
                    def pass_on(self):
                        return {"passed": True}

    orders = [
        {"id": "A", "total": 500},
        {"id": "B", "total": 5},
        {"id": "C", "total": 999},
    ]
    execution = finish(durable.start(DeepApproval, {"orders": orders}))

    assert [request.path for request in durable.list_pending_inputs(execution)] == [
        "orders[0].size.large.checks.boss.ask",
        "orders[2].size.large.checks.boss.ask",
    ]
    durable.provide_input(execution, "order_2", "rejected")
    drain()
    durable.provide_input(execution, "order_0", "approved")
    result = finish(execution).result

    assert result["orders"] == [
        {"boss": {"boss": "approved", "for": "A", "noted": "approved"}},
        {"passed": True},
        {"boss": {"boss": "rejected", "for": "C", "noted": "rejected"}},
    ]


def test_an_event_goes_to_the_lane_that_waited_first_and_each_takes_one():
    class Queueing(Workflow):
        class Every(Each):
            def items(self):
                return [0, 1]

            @step
            def wait(self):
                return {"got": wait_for_event("ticket")}

    execution = durable.start(Queueing)
    durable.send_event(execution, "ticket", "early")
    drain()
    assert fresh(execution).status == "waiting"
    durable.send_event(execution, "ticket", "late")

    got = [value["got"] for value in finish(execution).result["every"]]
    assert sorted(got) == ["early", "late"]


def test_a_wait_of_a_lane_that_has_run_out_takes_no_event():
    class RunsOut(Workflow):
        class Checks(Parallel):
            class One(Lane):
                news = WaitForEvent("news", timeout=minutes(5), timeout_value="none")

                @step
                def again(self):
                    return {"second": wait_for_event("news")}

    with clock.freeze(NOON) as time:
        execution = finish(durable.start(RunsOut))
        time.advance(minutes(6))
        drain()
        durable.send_event(execution, "news", "late")
        result = finish(execution).result

    assert result["one"] == {"news": "none", "second": "late"}


def test_the_workflows_timeout_ends_lanes_that_run_sleep_and_wait():
    class TimedLanes(Workflow, timeout=timedelta(minutes=10)):
        class Checks(Parallel, on_error="complete_all"):
            nap = Sleep(days(1))
            news = WaitForEvent("news")

            @step
            def too_late(self): ...

    with clock.freeze(NOON) as time:
        execution = durable.start(TimedLanes)
        run(claim()[0])
        for claimed in claim(limit=2):
            run(claimed)
        held = claim(limit=1)
        time.advance(minutes(10))
        drain()
        run(held[0])

    execution = fresh(execution)
    assert execution.status == "failed"
    assert execution.error["type"] == "workflow_timeout"
    assert not Execution.rows.open().exists()
    assert not Wait.objects.filter(status="open").exists()
