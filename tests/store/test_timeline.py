"""What an execution has done, read in a few statements and up to a limit."""

from __future__ import annotations

import pytest

import django_durable as durable
from django_durable import (
    Each,
    Fail,
    Parallel,
    Retry,
    WaitForEvent,
    Workflow,
    clock,
    minutes,
    seconds,
    step,
)
from django_durable.drawing import timeline_svg
from django_durable.drawing.bars import bars_of
from django_durable.models import Execution
from django_durable.store import timeline
from django_durable.store.timeline import history_of
from tests.factories import NOON, counted, drain, fresh

pytestmark = pytest.mark.django_db


class Timed(Workflow, name="timeline_timed"):
    @step(retry=Retry(max_attempts=2, base=seconds(10), jitter=0))
    def charge(self, ctx):
        if ctx.attempt == 1:
            raise ConnectionError("down")

    class Checks(Parallel):
        @step
        def fraud(self): ...

        @step
        def stock(self): ...

    class Letters(Each, on_error="complete_all"):
        def items(self, letters=3):
            return range(letters)

        @step
        def send(self, item):
            if item == 1:
                raise Fail("no address")

    news = WaitForEvent("news", timeout=minutes(90))

    @step
    def last(self): ...


def started(letters: int = 3) -> Execution:
    with clock.freeze(NOON) as time:
        execution = durable.start(Timed, {"letters": letters})
        for _ in range(3):
            drain()
            time.advance(seconds(20))
    return fresh(execution)


def test_attempts_waits_and_lanes_are_read():
    history = history_of(started(), using="default")

    assert history.execution.status == "waiting"
    assert history.execution.path == "news"
    assert sorted(lane.scope for lane in history.lanes) == [
        "checks.fraud",
        "checks.stock",
        "letters[0]",
        "letters[1]",
        "letters[2]",
    ]
    assert sorted((one.path, one.attempt, one.error) for one in history.attempts) == [
        ("charge", 1, "ConnectionError"),
        ("charge", 2, ""),
        ("checks", 1, ""),
        ("checks.fraud", 1, ""),
        ("checks.stock", 1, ""),
        ("letters", 1, ""),
        ("letters[0].send", 1, ""),
        ("letters[1].send", 1, "failed"),
        ("letters[2].send", 1, ""),
    ]
    assert [(one.path, one.kind) for one in history.pauses if not one.closed_at] == [
        ("news", "event")
    ]


def test_it_can_be_drawn():
    execution = started()

    history = history_of(execution, using="default")
    svg = timeline_svg(history, now=NOON + minutes(5))

    assert "letters[1].send" in svg
    bars = {(bar.path, bar.kind.value) for bar in bars_of(history)}
    assert ("charge", "between") in bars
    assert ("news", "wait") in bars
    assert ("checks", "block") in bars


@pytest.mark.parametrize("letters", [1, 40])
def test_it_takes_as_many_statements_for_many_items_as_for_one(letters):
    execution = started(letters)

    with counted() as statements:
        history_of(execution, using="default")

    assert len(statements.all) == 4


def test_lanes_that_are_too_many_are_gathered_by_the_database(monkeypatch):
    monkeypatch.setattr(timeline, "_MOST_IN_LANES", 20)
    execution = started(30)

    with counted() as statements:
        history = history_of(execution, using="default")

    assert len(statements.all) == 5
    assert history.lanes == []
    found = {one.path: (one.count, one.failed) for one in history.bulks}
    assert found == {
        "checks.fraud": (1, 0),
        "checks.stock": (1, 0),
        "letters.send": (30, 1),
    }
    assert not history.is_cut


def test_of_a_long_history_the_latest_part_is_read(monkeypatch):
    monkeypatch.setattr(timeline, "_MOST", 2)
    execution = started()

    history = history_of(execution, using="default")

    own = [one.path for one in history.attempts if one.lane is None]
    assert own == ["letters", "checks"]
    assert history.is_cut


def test_what_a_step_remembers_is_no_wait():
    class Remembers(Workflow, name="timeline_remembers"):
        @step
        def work(self):
            durable.checkpoint("once", int)

    execution = durable.start(Remembers)
    drain()

    assert history_of(fresh(execution), using="default").pauses == []
