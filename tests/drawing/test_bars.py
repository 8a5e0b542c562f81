"""A history -> bars: what an execution did, and what it waited for in between."""

from __future__ import annotations

import pytest

from django_durable.drawing.bars import Bar, bars_of
from django_durable.drawing.history import Bulk, History
from tests.drawing.histories import LANES, at, attempt, history, pause, runner
from tests.factories import NOON


def told(history: History) -> list[tuple[str, str, float, float | None]]:
    """Kind, path, and the seconds of the beginning and the end."""

    def seconds(bar: Bar) -> tuple[float, float | None]:
        starts = (bar.starts - NOON).total_seconds()
        return starts, bar.ends and (bar.ends - NOON).total_seconds()

    return [(bar.kind.value, bar.path, *seconds(bar)) for bar in bars_of(history)]


def test_before_a_step_an_execution_stands_in_the_queue():
    found = told(
        history(
            runner(queued=0, started=2, ended=9),
            attempt("a", 2, 3),
            attempt("b", 3, 4, 1),
            attempt("c", 7, 9, 2),
        )
    )

    assert found == [
        ("queue", "a", 0, 2),
        ("run", "a", 2, 3),
        ("run", "b", 3, 4),
        ("queue", "c", 4, 7),
        ("run", "c", 7, 9),
    ]


def test_between_two_attempts_it_waits_for_the_next_one():
    found = told(
        history(
            runner(ended=9),
            attempt("a", 0, 1, status="failed"),
            attempt("a", 5, 6, attempt=2),
        )
    )

    assert found == [("run", "a", 0, 1), ("between", "a", 1, 5), ("run", "a", 5, 6)]


def test_a_compensation_comes_after_the_last_attempt_of_the_visit_that_failed():
    # Both have the number of that visit.
    found = list(
        bars_of(
            history(
                runner("compensated", ended=9),
                attempt("b", 1, 2, 1, status="failed"),
                attempt("b", 4, 5, 1, status="failed", attempt=2),
                attempt("a", 6, 7, 1, kind="compensation"),
            )
        )
    )

    assert [(bar.path, bar.kind.value, bar.is_undo) for bar in found][-2:] == [
        ("a", "queue", True),
        ("a", "run", True),
    ]


def test_a_lane_has_its_own_queue_and_its_block_lasts_as_long_as_it():
    lane = LANES[0]
    found = told(
        history(
            runner(ended=9),
            attempt("checks", 0, 9, kind="parallel"),
            attempt("checks.a", 3, 4, lane=lane),
            lanes=[runner(lane=lane, scope="checks.a", queued=1, started=3, ended=4)],
            pauses=[pause("checks", 1, 5, kind="lanes")],
        )
    )

    assert found == [
        ("block", "checks", 0, 9),
        ("queue", "checks.a", 1, 3),
        ("run", "checks.a", 3, 4),
    ]


def test_a_block_is_seen_while_it_lasts():
    found = told(
        history(
            runner("waiting", path="checks", at_since=0),
            pauses=[pause("checks", 1, None, kind="lanes")],
        )
    )

    assert found == [("block", "checks", 1, None)]


def test_a_node_that_waits_is_in_the_queue_when_it_has_waited():
    found = told(
        history(
            runner(ended=9),
            attempt("nap", 0, 9, kind="wait"),
            pauses=[pause("nap", 1, 8, kind="sleep")],
        )
    )

    assert found == [("queue", "nap", 0, 9), ("wait", "nap", 1, 8)]


@pytest.mark.parametrize(
    ("standing", "bars"),
    [
        (runner("pending", started=None), [("queue", "start", 0, None)]),
        (
            runner("running", path="a", at_since=2),
            [("queue", "a", 0, 2), ("run", "a", 2, None)],
        ),
        (runner("waiting", path="a", at_since=2), [("wait", "a", 0, None)]),
        (runner("paused", path="a"), [("queue", "a", 0, None)]),
    ],
)
def test_an_open_execution_lasts_until_now(standing, bars):
    assert told(history(standing)) == bars


def test_an_open_execution_that_will_try_again_waits_for_that():
    found = told(
        history(
            runner("pending", path="a", sequence=0, is_told=True),
            attempt("a", 0, 1, status="failed"),
        )
    )

    assert found[-1] == ("between", "a", 1, None)


def test_a_history_without_its_beginning_does_not_make_up_a_queue():
    found = told(history(runner(ended=999), attempt("z", 900, 901, 5000)))

    assert found == [("run", "z", 900, 901)]


def test_an_attempt_says_how_it_ended():
    [bar] = bars_of(
        history(runner(ended=1), attempt("a", 0, 1, status="timed_out", error="Late"))
    )

    assert bar.text == "attempt 1, timed out: Late"


def test_many_lanes_are_one_bar():
    bulk = Bulk(
        path="letters.send", count=9000, failed=3, started_at=at(1), completed_at=at(8)
    )

    [bar] = bars_of(history(runner(ended=9), bulks=[bulk]))

    assert (bar.kind.value, bar.text) == ("bulk", "9,000 attempts, 3 failed")
