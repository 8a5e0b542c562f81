"""Facts -> how nodes stand and which ways were gone, as tables."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from django_durable import (
    Branch,
    Case,
    Default,
    Each,
    Goto,
    Lane,
    Loop,
    Parallel,
    Sleep,
    WaitForEvent,
    Workflow,
    days,
    decision,
    minutes,
    seconds,
    step,
)
from django_durable.drawing import Counts, Standing, State
from django_durable.drawing.facts import Ended, Facts, OpenWait, Standers
from django_durable.drawing.judging import judge, judge_open
from tests.factories import NOON


def nothing(self): ...


class Order(Workflow, abstract=True):
    """One of each."""

    @step(retry=5)
    def charge(self): ...

    class Route(Branch):
        def on(self): ...

        class Small(Case, when="small"):
            cheap = step(nothing)

        class Large(Case, when="large"):
            dear = step(nothing)
            dearer = step(nothing)

    class Checks(Parallel):
        fraud = step(nothing)

        class Legal(Lane):
            read = step(nothing)
            sign = step(nothing)

    class Letters(Each):
        def items(self): ...

        send = step(nothing)

    class Again(Loop):
        def condition(self): ...

        poll = step(nothing)

    @decision(targets=["done", "charge"])
    def enough(self):
        return Goto("done")

    paid = WaitForEvent("paid")
    done = step(nothing)


CHART = Order.graph()
LATER = NOON + timedelta(seconds=90)
THERE = NOON - timedelta(minutes=5)


def ended(path: str, **fields: Any) -> Ended:
    fields = {"kind": "step", "status": "completed", **fields}
    return Ended(path=path, **fields)


def at(path: str, status: str, scope: str = "", **fields: Any) -> Standers:
    return Standers(scope=scope, path=path, status=status, **fields)


def judged(status: str = "running", *, chart: Any = CHART, **fields: Any) -> Standing:
    return judge(chart, Facts(status=status, **fields), now=NOON)


def states(standing: Standing) -> dict[str, str]:
    """State by path, of what was reached or was left out."""
    return {
        path: one.state.value
        for path, one in standing.nodes.items()
        if one.state is not State.NOT_REACHED
    }


# --- Single nodes ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("here", "fields", "state", "words"),
    [
        (at("charge", "running"), {}, State.RUNNING, ""),
        (at("charge", "running", attempt=2), {}, State.RUNNING, "attempt 2 of 5"),
        # Lost attempts are made again though none is left.
        (at("charge", "running", attempt=7), {}, State.RUNNING, "attempt 7"),
        (at("charge", "pending"), {}, State.READY, ""),
        (
            at("charge", "pending", attempt=3, is_told=True, due=LATER),
            {},
            State.RETRYING,
            "attempt 3 of 5 at 12:01:30",
        ),
        # A snooze uses no attempt.
        (
            at("charge", "pending", is_told=True, due=LATER),
            {},
            State.WAITING,
            "until 12:01:30",
        ),
        (at("charge", "waiting"), {}, State.WAITING, ""),
        (
            at("charge", "waiting"),
            {"waits": [OpenWait(path="charge", kind="sleep", until=NOON + days(3))]},
            State.WAITING,
            "until 4 Mar 12:00",
        ),
        (at("charge", "paused"), {}, State.PAUSED, ""),
        (
            at("charge", "failed"),
            {"failed_at": "charge", "error_type": "ConnectionError"},
            State.FAILED,
            "failed: ConnectionError",
        ),
        (
            at("charge", "failed"),
            {
                "failed_at": "charge",
                "error_type": "failed",
                "error_message": "the order is empty",
            },
            State.FAILED,
            "failed: the order is empty",
        ),
        (at("charge", "cancelled"), {}, State.CANCELLED, ""),
    ],
)
def test_a_node_stands_as_what_stands_there(here, fields, state, words):
    standing = judged(here.status, standers=[here], **fields)

    assert standing.nodes["charge"].state is state
    assert standing.nodes["charge"].words == words


@pytest.mark.parametrize(
    ("done", "words"),
    [
        (ended("charge"), ""),
        (
            ended("charge", started_at=THERE, completed_at=THERE + seconds(1.5)),
            "completed in 1.5s",
        ),
        (ended("charge", count=3), "completed 3 times"),
    ],
)
def test_a_completed_step_says_how_long_it_took_or_how_often_it_ran(done, words):
    standing = judged(ended=[done], standers=[at("done", "running")])

    assert standing.nodes["charge"].state is State.COMPLETED
    assert standing.nodes["charge"].words == words


def test_a_step_says_how_often_it_was_tried():
    tries = [ended("charge", status="failed", count=2, attempts=2)]

    standing = judged(
        ended=[*tries, ended("charge", attempts=3)], standers=[at("done", "running")]
    )

    assert standing.nodes["charge"].attempts == 3


def test_what_is_waited_for_and_what_went_wrong_is_told_in_full():
    waits = [OpenWait(path="paid", kind="event", sentence="event paid, until noon")]

    waiting = judged(waits=waits, standers=[at("paid", "waiting")])
    failed = judged(
        "failed",
        failed_at="charge",
        error_type="ValueError",
        error_message="x" * 1000,
        standers=[at("charge", "failed")],
    )

    assert waiting.nodes["paid"].detail == "waits for event paid, until noon"
    assert failed.nodes["charge"].detail == "x" * 300


@pytest.mark.parametrize(
    ("due", "status", "state", "words"),
    [
        (NOON, "pending", State.READY, ""),
        (LATER, "pending", State.READY, "starts 12:01:30"),
        (None, "paused", State.PAUSED, ""),
        (None, "cancelled", State.CANCELLED, ""),
    ],
)
def test_what_has_not_started_stands_at_the_start(due, status, state, words):
    standing = judged(status, has_started=False, due=due, standers=[at("", status)])

    assert states(standing) == {"(start)": state.value}
    assert standing.nodes["(start)"].words == words


def test_before_its_first_step_has_ended_a_running_execution_stands_at_that():
    standing = judged(standers=[at("", "running")])

    assert states(standing) == {"(start)": "completed", "charge": "running"}


# --- Undoing --------------------------------------------------------------------------


def test_what_is_being_undone_was_undone_and_has_failed_are_told_apart():
    undo = ended("charge", kind="compensation")
    done = [ended("charge"), ended("route.small.cheap"), undo]

    standing = judged(
        "compensating",
        failed_at="done",
        error_type="Refused",
        ended=[*done, ended("done", status="failed")],
        standers=[at("route.small.cheap", "compensating")],
    )

    assert standing.nodes["charge"].state is State.COMPENSATED
    assert standing.nodes["route.small.cheap"].state is State.COMPENSATING
    assert standing.nodes["done"].state is State.FAILED


def test_what_could_not_be_undone_says_so():
    standing = judged(
        "compensation_failed",
        failed_at="done",
        ended=[ended("charge"), ended("charge", kind="compensation", status="failed")],
        standers=[at("done", "compensation_failed")],
    )

    assert standing.nodes["charge"].state is State.COMPENSATION_FAILED
    assert standing.nodes["done"].state is State.FAILED


def test_a_compensation_that_went_well_at_last_went_well():
    tries = [
        ended("charge", kind="compensation", status="failed"),
        ended("charge", kind="compensation"),
    ]

    standing = judged("compensated", ended=[ended("charge"), *tries])

    assert standing.nodes["charge"].state is State.COMPENSATED


def test_what_was_cancelled_and_undone_has_not_failed():
    standing = judged(
        "compensated",
        error_type="cancelled",
        failed_at="paid",
        ended=[ended("charge"), ended("charge", kind="compensation")],
        standers=[at("paid", "compensated")],
    )

    assert standing.nodes["paid"].state is State.CANCELLED


# --- Blocks ---------------------------------------------------------------------------


def test_a_case_that_was_taken_leaves_out_the_other():
    standing = judged(
        ended=[ended("charge"), ended("route.large.dear")],
        standers=[at("route.large.dearer", "running")],
    )

    assert states(standing) == {
        "(start)": "completed",
        "charge": "completed",
        "route": "completed",
        "route.small": "skipped",
        "route.small.cheap": "skipped",
        "route.large": "running",
        "route.large.dear": "completed",
        "route.large.dearer": "running",
    }
    assert standing.nodes["route"].words == "took large"


def test_a_branch_without_a_match_was_gone_past():
    standing = judged(
        ended=[ended("charge")],
        standers=[at("checks", "waiting"), at("", "pending", "checks.fraud")],
    )

    assert standing.nodes["route"].words == "no match"
    assert standing.nodes["route.small"].state is State.SKIPPED
    assert ("none", "route", "checks") in standing.taken


def test_members_are_counted_and_stand_on_their_own():
    standing = judged(
        ended=[ended("charge"), ended("checks.fraud"), ended("checks.legal.read")],
        standers=[
            at("checks", "waiting"),
            at("checks.fraud", "completed", "checks.fraud"),
            at("checks.legal.sign", "waiting", "checks.legal"),
        ],
    )

    assert standing.nodes["checks"].state is State.WAITING
    assert standing.nodes["checks"].words == "1 of 2 done"
    assert standing.nodes["checks.fraud"].state is State.COMPLETED
    assert standing.nodes["checks.legal"].state is State.WAITING
    assert standing.nodes["checks.legal.sign"].state is State.WAITING
    assert standing.nodes["letters"].state is State.NOT_REACHED


def test_a_member_that_has_failed_fails_its_block_and_cancels_the_others():
    standing = judged(
        "failed",
        failed_at="checks.fraud",
        error_type="Refused",
        ended=[ended("checks.fraud", status="failed")],
        standers=[
            # The execution names the step of its lane.
            at("checks.fraud", "failed"),
            at("checks.fraud", "failed", "checks.fraud"),
            at("checks.legal.read", "cancelled", "checks.legal"),
        ],
    )

    assert standing.nodes["checks"].state is State.FAILED
    assert standing.nodes["checks"].words == "0 of 2 done, 1 failed, 1 cancelled"
    assert standing.nodes["checks.fraud"].words == "failed: Refused"
    assert standing.nodes["checks.legal"].state is State.CANCELLED


def test_ten_thousand_items_are_counted():
    standing = judged(
        ended=[ended("letters.send", count=9_000)],
        standers=[
            at("letters", "waiting"),
            at("letters.send", "completed", "letters[]", count=9_000),
            at("letters.send", "failed", "letters[]", count=12),
            at("letters.send", "running", "letters[]", count=20),
            at("", "waiting", "letters[]", count=968, is_told=True),
        ],
    )

    letters, send = standing.nodes["letters"], standing.nodes["letters.send"]
    assert letters.state is State.RUNNING
    assert letters.counts == Counts(total=10_000, done=9_000, failed=12)
    assert letters.words == "9,000 of 10,000 done, 12 failed"
    assert send.state is State.RUNNING
    assert send.words == "9,000 done, 12 failed, 20 running"


def test_items_that_have_failed_do_not_fail_a_block_that_went_on():
    standing = judged(
        "completed",
        ended=[ended("letters.send", count=7), ended("letters", kind="each")],
        standers=[
            at("done", "completed"),
            at("letters.send", "completed", "letters[]", count=7),
            at("letters.send", "failed", "letters[]", count=3),
        ],
    )

    assert standing.nodes["letters"].state is State.COMPLETED
    assert standing.nodes["letters"].words == "7 of 10 done, 3 failed"
    assert standing.nodes["letters.send"].state is State.FAILED


def test_a_block_without_items_says_so():
    standing = judged("completed", ended=[ended("letters", kind="each")])

    assert standing.nodes["letters"].state is State.COMPLETED
    assert standing.nodes["letters"].words == "no items"
    assert standing.nodes["letters.send"].state is State.SKIPPED


class Sorted(Workflow, abstract=True):
    class Letters(Each):
        def items(self): ...

        class Route(Branch):
            def on(self): ...

            class Abroad(Case, when="abroad"):
                stamp = step(nothing)

        class Rounds(Loop):
            def condition(self): ...

            poll = step(nothing)

        send = step(nothing)


def test_without_items_nothing_in_the_block_was_gone_through():
    standing = judged(
        "completed",
        chart=Sorted.graph(),
        ended=[ended("letters", kind="each")],
        standers=[at("letters", "completed")],
    )

    inside = [path for path in standing.nodes if path.startswith("letters.")]
    assert {standing.nodes[path].state for path in inside} == {State.SKIPPED}
    assert {standing.nodes[path].words for path in inside} == {""}
    assert standing.taken == {
        ("flow", "(start)", "letters"),
        ("flow", "letters", "(end)"),
    }


def test_a_block_that_could_not_say_its_items_is_not_one_without_items():
    standing = judged("failed", failed_at="letters", standers=[at("letters", "failed")])

    assert standing.nodes["letters"].state is State.FAILED
    assert standing.nodes["letters"].words == ""


class Both(Workflow, abstract=True):
    class Checks(Parallel):
        fraud = step(nothing)

        class Letters(Each):
            def items(self): ...

            send = step(nothing)


def test_a_member_is_not_counted_among_its_own_items():
    standing = judged(
        chart=Both.graph(),
        ended=[ended("checks.letters.send", count=2)],
        standers=[
            at("checks", "waiting"),
            at("", "running", "checks.fraud"),
            at("checks.letters", "waiting", "checks.letters"),
            at("checks.letters.send", "completed", "checks.letters[]", count=2),
            at("", "running", "checks.letters[]"),
        ],
    )

    assert standing.nodes["checks"].counts == Counts(total=2)
    assert standing.nodes["checks.letters"].counts == Counts(total=3, done=2)
    assert standing.nodes["checks.letters"].state is State.RUNNING
    assert standing.nodes["checks.letters.send"].words == "2 done, 1 running"


def test_a_member_that_was_cancelled_before_it_began_has_no_items_yet():
    standing = judged(
        "failed",
        failed_at="checks.fraud",
        chart=Both.graph(),
        ended=[ended("checks.fraud", status="failed")],
        standers=[
            at("checks.fraud", "failed"),
            at("checks.fraud", "failed", "checks.fraud"),
            at("", "cancelled", "checks.letters"),
        ],
    )

    letters = standing.nodes["checks.letters"]
    assert (letters.state, letters.words, letters.counts) == (State.CANCELLED, "", None)
    assert standing.nodes["checks"].words == "0 of 2 done, 1 failed, 1 cancelled"
    assert standing.nodes["checks.letters.send"].state is State.NOT_REACHED
    assert ("enter", "checks", "checks.letters") in standing.taken
    assert ("leave", "checks.letters", "checks") not in standing.taken


def test_items_of_a_block_that_the_code_no_longer_has_name_the_block():
    standing = judged(standers=[at("", "running", "parcels[]", count=2)])

    assert standing.gone == ("parcels",)


def test_a_loop_says_in_which_round_it_is_and_how_many_there_were():
    rounds = [ended("again.poll", count=3, last_index=2)]

    inside = judged(
        ended=rounds, standers=[at("again.poll", "running", position="again[3].poll")]
    )
    after = judged(ended=rounds, standers=[at("done", "running")])
    without = judged(
        ended=[ended("letters", kind="each"), ended("enough", kind="decision")],
        standers=[at("paid", "waiting")],
        moves=frozenset({("letters", "enough"), ("enough", None)}),
    )

    assert inside.nodes["again"].words == "round 4"
    assert after.nodes["again"].words == "3 rounds"
    assert without.nodes["again"].words == "no round"
    assert ("flow", "letters", "again") in without.taken
    assert ("flow", "again", "enough") in without.taken


# --- Ways -----------------------------------------------------------------------------


def gone(*moves: tuple[str, str | None], at_: str, **fields: Any) -> set[Any]:
    paths = {path for move in moves for path in move if path} | {"enough"}
    done = [ended(path) for path in paths - {at_}]
    standing = judged(
        ended=done,
        standers=[at(at_, fields.pop("status", "running"))],
        moves=frozenset(moves),
        **fields,
    )
    return {way for way in standing.taken if "enough" in way[1:]}


@pytest.mark.parametrize(
    ("moves", "at_", "ways"),
    [
        # It went on, as the next node was visited after it.
        ([("enough", "paid"), ("paid", None)], "done", {("flow", "enough", "paid")}),
        ([("enough", "done")], "done", {("jump", "enough", "done")}),
        ([("enough", None)], "paid", {("flow", "enough", "paid")}),
        ([("enough", None)], "done", {("jump", "enough", "done")}),
        ([("enough", "charge")], "charge", {("jump", "enough", "charge")}),
        # Back at first, on then.
        (
            [("enough", "charge"), ("charge", "enough"), ("enough", "paid")],
            "paid",
            {("jump", "enough", "charge"), ("flow", "enough", "paid")},
        ),
    ],
)
def test_a_decision_has_gone_where_the_execution_was_next(moves, at_, ways):
    found = gone(*moves, at_=at_)

    assert {way for way in found if way[1] == "enough"} == ways


class Hidden(Workflow, abstract=True):
    @decision(targets=["rounds"])
    def hurry(self): ...

    slow = step(nothing)

    class Rounds(Loop):
        def condition(self): ...

        poll = step(nothing)

    done = step(nothing)


def test_a_jump_to_what_leaves_no_trace_is_seen_by_what_stands_behind_it():
    standing = judged(
        chart=Hidden.graph(),
        ended=[ended("hurry", kind="decision")],
        standers=[at("done", "running")],
        moves=frozenset({("hurry", "done")}),
    )

    assert standing.taken == {
        ("flow", "(start)", "hurry"),
        ("jump", "hurry", "rounds"),
        ("flow", "rounds", "done"),
    }
    assert standing.nodes["rounds"].words == "no round"
    assert standing.nodes["slow"].state is State.SKIPPED


class Nested(Workflow, abstract=True):
    class Outer(Loop):
        def condition(self): ...

        wake = step(nothing)

        class Inner(Loop):
            def condition(self): ...

            @decision(targets=["route"])
            def hurry(self): ...

            slow = step(nothing)

            class Route(Branch):
                def on(self): ...

                class Small(Case, when="small"):
                    cheap = step(nothing)

            class Rest(Loop):
                def condition(self): ...

                poll = step(nothing)


class Polling(Workflow, abstract=True):
    class Rounds(Loop):
        def condition(self): ...

        news = WaitForEvent("news")

        class Route(Branch):
            def on(self): ...

            class Small(Case, when="small"):
                cheap = step(nothing)

            class Large(Case, when="large"):
                dear = step(nothing)
                dearer = step(nothing)

        note = step(nothing)

        class Alarm(Branch):
            def on(self): ...

            class Loud(Case, when="loud"):
                ring = step(nothing)


def test_a_round_that_has_ended_has_gone_past_what_left_no_trace_at_its_end():
    standing = judged(
        chart=Polling.graph(),
        ended=[
            ended("rounds.news", kind="wait", last_index=0),
            ended("rounds.route.small.cheap", last_index=0),
            ended("rounds.note", last_index=0),
        ],
        standers=[at("rounds.news", "waiting", position="rounds[1].news")],
    )

    assert ("flow", "rounds.note", "rounds.alarm") in standing.taken
    assert ("none", "rounds.alarm", "rounds") in standing.taken
    assert standing.nodes["rounds.alarm"].words == "no match"
    assert standing.nodes["rounds"].words == "round 2"


def test_what_comes_next_in_a_later_round_is_not_left_out():
    standing = judged(
        chart=Polling.graph(),
        ended=[
            ended("rounds.news", kind="wait", count=2, last_index=1),
            ended("rounds.route.small.cheap", last_index=0),
            ended("rounds.note", last_index=0),
        ],
        standers=[
            at(
                "rounds.route.large.dear",
                "running",
                position="rounds[1].route.large.dear",
            )
        ],
    )

    assert standing.nodes["rounds.route.large"].state is State.RUNNING
    assert standing.nodes["rounds.route.large.dear"].state is State.RUNNING
    assert standing.nodes["rounds.route.large.dearer"].state is State.NOT_REACHED


def test_a_jump_to_what_leaves_no_trace_is_seen_in_the_next_round_too():
    standing = judged(
        chart=Nested.graph(),
        ended=[ended("outer.wake"), ended("outer.inner.hurry", kind="decision")],
        standers=[at("outer.wake", "waiting", position="outer[1].wake")],
        moves=frozenset(
            {
                ("outer.wake", "outer.inner.hurry"),
                ("outer.inner.hurry", "outer.wake"),
            }
        ),
    )

    assert ("jump", "outer.inner.hurry", "outer.inner.route") in standing.taken
    assert ("none", "outer.inner.route", "outer.inner.rest") in standing.taken
    assert ("again", "outer.inner.rest", "outer.inner") in standing.taken
    assert standing.nodes["outer.inner.route"].words == "no match"
    assert standing.nodes["outer.inner.rest"].words == "no round"


def test_what_a_jump_led_past_is_left_out():
    standing = judged(
        ended=[ended("enough", kind="decision")],
        standers=[at("done", "running")],
        moves=frozenset({("enough", "done")}),
    )

    assert standing.nodes["paid"].state is State.SKIPPED
    assert ("flow", "paid", "done") not in standing.taken


def test_the_ways_of_a_whole_execution():
    standing = judged(
        "completed",
        ended=[
            ended("charge"),
            ended("route.large.dear"),
            ended("route.large.dearer"),
            ended("checks.fraud"),
            ended("checks.legal.read"),
            ended("checks.legal.sign"),
            ended("checks", kind="parallel"),
            ended("letters", kind="each"),
            ended("again.poll"),
            ended("enough", kind="decision"),
            ended("done"),
        ],
        standers=[
            at("done", "completed"),
            at("checks.fraud", "completed", "checks.fraud"),
            at("checks.legal.sign", "completed", "checks.legal"),
        ],
        moves=frozenset({("enough", "done"), ("done", None)}),
    )

    assert standing.taken == {
        ("flow", "(start)", "charge"),
        ("flow", "charge", "route"),
        ("enter", "route", "route.large"),
        ("enter", "route.large", "route.large.dear"),
        ("flow", "route.large.dear", "route.large.dearer"),
        ("leave", "route.large.dearer", "route.large"),
        ("flow", "route.large", "checks"),
        ("enter", "checks", "checks.fraud"),
        ("leave", "checks.fraud", "checks"),
        ("enter", "checks", "checks.legal"),
        ("enter", "checks.legal", "checks.legal.read"),
        ("flow", "checks.legal.read", "checks.legal.sign"),
        ("leave", "checks.legal.sign", "checks.legal"),
        ("leave", "checks.legal", "checks"),
        ("flow", "checks", "letters"),
        ("flow", "letters", "again"),
        ("enter", "again", "again.poll"),
        ("again", "again.poll", "again"),
        ("flow", "again", "enough"),
        ("jump", "enough", "done"),
        ("flow", "done", "(end)"),
    }


def test_a_step_that_has_failed_has_not_gone_on():
    standing = judged(
        "failed",
        failed_at="done",
        ended=[ended("paid", kind="wait"), ended("done", status="failed")],
        standers=[at("done", "failed")],
    )

    assert ("flow", "paid", "done") in standing.taken
    assert ("flow", "done", "(end)") not in standing.taken
    assert standing.nodes["(end)"].state is State.NOT_REACHED


# --- Other code -----------------------------------------------------------------------


def test_what_the_code_no_longer_has_is_named():
    standing = judged(
        ended=[ended("charge"), ended("billing.send")],
        standers=[at("shipping", "waiting")],
    )

    assert standing.gone == ("billing.send", "shipping")
    assert standing.nodes["charge"].state is State.COMPLETED


class OnlyEmpty(Workflow, abstract=True):
    class Route(Branch):
        def on(self): ...

        class Small(Case, when="small"):
            pass

        class Other(Default):
            dear = step(nothing)

    nap = Sleep(minutes(5))


def test_an_empty_case_was_taken_if_nothing_else_is_possible():
    standing = judged(chart=OnlyEmpty.graph(), standers=[at("nap", "waiting")])

    assert ("flow", "route.small", "nap") in standing.taken
    assert standing.nodes["route.other"].state is State.SKIPPED


class Unsure(Workflow, abstract=True):
    class Route(Branch):
        def on(self): ...

        class Small(Case, when="small"):
            class Rounds(Loop):
                def condition(self): ...

                poll = step(nothing)

        class Large(Case, when="large"):
            dear = step(nothing)

    nap = Sleep(minutes(5))


def test_which_of_two_ways_without_a_trace_was_gone_is_not_made_up():
    standing = judged(chart=Unsure.graph(), standers=[at("nap", "waiting")])

    assert standing.nodes["route"].state is State.COMPLETED
    assert standing.nodes["route.small"].words == "perhaps taken"
    assert standing.nodes["route.large"].words == ""
    assert {way for way in standing.taken if "route" in way[1]} == set()


# --- All open executions of a workflow ------------------------------------------------


def test_open_executions_are_counted_where_they_stand():
    standing = judge_open(
        CHART,
        [
            at("charge", "running", count=3),
            at("charge", "pending", count=2, attempt=2, is_told=True),
            at("paid", "waiting", count=1200),
            at("", "pending", count=7),
            at("letters", "waiting"),
            at("letters.send", "running", "letters[]", count=20),
            at("unknown", "waiting"),
        ],
    )

    told = {path: (one.state.value, one.words) for path, one in standing.nodes.items()}
    assert told == {
        "(start)": ("ready", "7 ready"),
        "charge": ("running", "3 running, 2 retrying"),
        "paid": ("waiting", "1,200 waiting"),
        "letters": ("waiting", "1 waiting"),
        "letters.send": ("running", "20 running"),
    }
    assert standing.taken == frozenset()
    assert standing.gone == ("unknown",)
