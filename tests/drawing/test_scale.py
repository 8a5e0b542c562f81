"""Time -> places: to scale, with ticks at round moments, and breaks in idle stretches."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from django_durable.drawing.scale import (
    BREAK_WIDTH,
    MOST_BREAKS,
    Scale,
    merged,
    scale_for,
)
from tests.drawing.histories import at
from tests.factories import NOON

HOUR, DAY = 3600.0, 86_400.0


def scale(end: float, *busy: tuple[float, float], **fields: object) -> Scale:
    stretches = [(at(one), at(other)) for one, other in busy]
    fields = {"x": 100, "width": 1000, **fields}
    return scale_for(NOON, at(end), stretches, **fields)


def seconds(scale: Scale) -> list[tuple[float, bool]]:
    return [(tick.seconds, tick.is_relative) for tick in scale.ticks()]


def clocks(scale: Scale) -> list[str]:
    return [f"{timezone.localtime(tick.at):%d %H:%M:%S}" for tick in scale.ticks()]


def test_a_moment_is_placed_to_scale():
    found = scale(10, (0, 10))

    assert [found.x(at(n)) for n in (-5, 0, 5, 10, 15)] == [100, 100, 600, 1100, 1100]


def test_an_execution_that_took_no_time_can_be_drawn():
    found = scale(0)

    assert found.x(NOON) == 100
    assert list(found.ticks())


def test_a_wait_of_days_does_not_squash_the_seconds_around_it():
    found = scale(3 * DAY, (0, 5), (3 * DAY - 5, 3 * DAY))

    [cut] = found.breaks()
    assert cut.width == BREAK_WIDTH
    assert found.x(at(5)) - found.x(NOON) > 400
    assert found.x(at(3 * DAY)) - found.x(at(3 * DAY - 5)) > 400
    assert found.x(at(3 * DAY)) == pytest.approx(1100)


def test_it_is_to_scale_throughout_where_that_is_wanted():
    assert scale(3 * DAY, (0, 5), cuts_idle=False).breaks() == []


@pytest.mark.parametrize(
    ("end", "busy"),
    [
        # As long as what was done, or too short to be worth a mark.
        (20, [(0, 10), (18, 20)]),
        (1.9, [(0, 0.1), (1.8, 1.9)]),
        (100, [(0, 100)]),
    ],
)
def test_an_idle_stretch_that_leaves_room_for_the_rest_is_not_cut(end, busy):
    assert scale(end, *busy).breaks() == []


def test_several_waits_of_the_same_length_are_all_cut():
    busy = [(n * DAY, n * DAY + 1) for n in range(4)]

    assert len(scale(3 * DAY + 1, *busy).breaks()) == 3


def test_of_two_waits_the_one_that_leaves_room_is_not_cut():
    found = scale(2 * HOUR, (0, 2), (4, 6), (2 * HOUR - 1, 2 * HOUR))

    [cut] = found.breaks()
    assert cut.starts > at(6)


def test_where_there_are_too_many_to_be_cut_none_is():
    busy = [(n * HOUR, n * HOUR + 1) for n in range(4 * MOST_BREAKS)]

    assert scale(4 * MOST_BREAKS * HOUR, *busy).breaks() == []


def test_a_bar_is_seen_to_go_on_into_a_break():
    [cut] = scale(DAY, (0, 12)).breaks()

    assert cut.starts > at(12)
    assert cut.ends < at(DAY)


@settings(deadline=None, database=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 1e6), st.floats(0, 1e5)).map(
            lambda pair: (pair[0], pair[0] + pair[1])
        ),
        max_size=12,
    )
)
def test_time_goes_on_from_left_to_right_whatever_was_done(busy):
    end = max((stop for _, stop in busy), default=0)
    found = scale(end, *busy)

    moments = sorted(one for stretch in busy for one in stretch)
    places = [found.x(at(moment)) for moment in moments]
    ticks = [tick.x for tick in found.ticks()]
    for line in (places, ticks):
        assert line == sorted(line)
        assert all(99.9 <= x <= 1100.1 for x in line)
    assert len(ticks) <= 12


# --- Ticks ----------------------------------------------------------------------------


def test_less_than_a_minute_is_counted_from_its_beginning():
    assert seconds(scale(4, (0, 4))) == [
        (0, False),
        (0.5, True),
        (1.0, True),
        (1.5, True),
        (2.0, True),
        (2.5, True),
        (3.0, True),
        (3.5, True),
        (4.0, True),
    ]


def test_milliseconds_have_ticks_too():
    assert [round(one, 3) for one, _ in seconds(scale(0.05, (0, 0.05)))][:3] == [
        0,
        0.01,
        0.02,
    ]


def test_more_is_told_by_the_clock_at_round_moments():
    found = scale_for(
        NOON + timedelta(seconds=17), at(600), [(NOON, at(600))], x=0, width=1000
    )

    assert clocks(found)[:3] == ["01 12:00:17", "01 12:02:00", "01 12:04:00"]


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/New_York", "Asia/Kathmandu"]
)
def test_hours_and_days_are_round_where_the_reader_is(zone):
    with timezone.override(zone):
        hours = clocks(scale(20 * HOUR, (0, 20 * HOUR)))
        days = clocks(scale(9 * DAY, (0, 9 * DAY)))

    assert all(one.endswith(":00:00") for one in hours[1:])
    assert all(one.endswith("00:00:00") for one in days[1:])


def test_midnight_stays_midnight_when_the_clocks_change():
    # On the tenth of March, 2030.
    with timezone.override("America/New_York"):
        found = scale(20 * DAY, (0, 20 * DAY))

        assert {one.split()[1] for one in clocks(found)[1:]} == {"00:00:00"}


def test_stretches_that_meet_become_one():
    found = merged([(at(3), at(4)), (at(0), at(2)), (at(1), at(3)), (at(6), at(7))])

    assert found == [(at(0), at(4)), (at(6), at(7))]
