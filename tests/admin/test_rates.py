"""The past hour in pictures and in words."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from django_durable import minutes, seconds
from django_durable.admin.overview.rates import NOTHING, rates, rows
from django_durable.drawing.sparkline import Figure, bars_svg, line_svg
from django_durable.store.throughput import Minute

START = datetime(2030, 3, 1, 11, 1, tzinfo=UTC)
HOSTILE = "<script>alert('x')</script>\"&"


def minute(number: int, completed: int, **spans: timedelta) -> Minute:
    return Minute(starts=START + minutes(number), completed=completed, **spans)


def figures(*values: float | None) -> list[Figure]:
    return [Figure(value=value, text=str(value)) for value in values]


def test_bars_are_as_high_as_their_share_and_what_is_nothing_has_none():
    found = bars_svg(figures(1, None, 0, 4), "so many")

    assert re.findall(r'height="([\d.]+)"/>', found)[:2] == ["12", "48"]
    assert found.count("durable-spark-bar") == 2
    assert found.count("<title>") == 4


def test_what_is_little_beside_the_rest_is_seen_all_the_same():
    found = bars_svg(figures(1, 100_000), "so many")

    assert 'height="1.5"' in found


def test_a_line_is_broken_where_there_is_nothing_and_one_alone_is_a_dot():
    found = line_svg(figures(1, 2, None, 4, None), "how long")

    assert re.findall(r' d="([^"]*)"', found) == [
        "M2 35.2 L6 24",
        "M14 1.5h0.01",
    ]
    assert found.count("durable-spark-dot") == 1


@pytest.mark.parametrize("draw", [bars_svg, line_svg])
@pytest.mark.parametrize("values", [[], [None, None], [0, 0]])
def test_nothing_at_all_can_be_drawn(draw, values):
    found = draw(figures(*values), "nothing")

    assert found.startswith("<svg")
    assert "nan" not in found.lower()


@pytest.mark.parametrize("draw", [bars_svg, line_svg])
def test_texts_are_escaped_and_there_is_no_style(draw):
    found = draw([Figure(value=1, text=HOSTILE)], HOSTILE)

    assert "<script>" not in found
    assert "style=" not in found
    assert 'role="img"' in found


def test_the_figure_beside_a_picture_is_that_of_the_last_minute_that_is_over():
    hour = [minute(0, 7, took=seconds(9)), minute(1, 3, took=seconds(2)), minute(2, 1)]

    completed, queued, took = rates(hour)

    assert (completed.now, completed.most) == ("3", "7")
    assert (queued.now, queued.most) == (NOTHING, NOTHING)
    assert (took.now, took.most) == ("2s", "9s")
    assert "Completed per minute: 3 in the last minute" in completed.svg
    assert "11:03: 1, so far" in completed.svg
    assert "durable-spark-partial" in completed.svg
    assert "50" in took.note


def test_the_table_has_the_minutes_in_which_something_was_completed():
    hour = [minute(0, 10_000, queued=seconds(1)), minute(1, 0), minute(2, 2)]

    with timezone.override("Asia/Tokyo"):
        found = rows(hour)

    assert found == [
        ("20:03", "2", NOTHING, NOTHING),
        ("20:01", "10,000+", "1s", NOTHING),
    ]
