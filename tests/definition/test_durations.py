"""Delays by name, and moments that follow from a given now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_durable.definition.durations import (
    WEEKDAYS,
    brief,
    business_day_after,
    days,
    end_of_day_after,
    hours,
    minutes,
    seconds,
    spelled,
    weekday_after,
    weeks,
)

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Africa/Cairo",
]
nows = st.datetimes(
    min_value=datetime(1990, 1, 1),  # noqa: DTZ001
    max_value=datetime(2037, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([ZoneInfo(name) for name in ZONES]),
)


def berlin(*parts: int, fold: int = 0) -> datetime:
    return datetime(*parts, tzinfo=BERLIN, fold=fold)  # type: ignore[misc,arg-type]


def test_delays_are_named():
    assert seconds(90) == timedelta(seconds=90)
    assert minutes(1.5) == seconds(90)
    assert hours(2) == minutes(120)
    assert days(3) == hours(72)
    assert weeks(2) == days(14)
    assert seconds(-1) == timedelta(seconds=-1)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (berlin(2024, 5, 6, 8), berlin(2024, 5, 7, 9)),  # Monday, before nine
        (berlin(2024, 5, 9, 23, 59, 59), berlin(2024, 5, 10, 9)),  # Thursday
        (berlin(2024, 5, 10, 0), berlin(2024, 5, 13, 9)),  # Friday
        (berlin(2024, 5, 11, 12), berlin(2024, 5, 13, 9)),  # Saturday
        (berlin(2024, 5, 12, 12), berlin(2024, 5, 13, 9)),  # Sunday
        (berlin(2024, 12, 31, 12), berlin(2025, 1, 1, 9)),
    ],
)
def test_the_next_business_day_is_never_today_and_never_on_a_weekend(now, expected):
    assert business_day_after(now) == expected


@pytest.mark.parametrize(
    ("weekday", "expected"),
    [
        ("thursday", berlin(2024, 5, 9, 17)),
        ("friday", berlin(2024, 5, 10, 17)),
        ("Tue", berlin(2024, 5, 14, 17)),
        ("WEDNESDAY", berlin(2024, 5, 15, 17)),
        ("wed", berlin(2024, 5, 15, 17)),
    ],
)
def test_the_next_weekday_is_in_seven_days_if_today_is_one(weekday, expected):
    assert weekday_after(berlin(2024, 5, 8, 12), weekday) == expected


@pytest.mark.parametrize("weekday", ["frday", "", "fr", "Friday!", 4, None])
def test_an_unknown_weekday_is_refused_with_the_known_ones(weekday):
    with pytest.raises(ValueError, match=r"monday, tuesday, .*sunday"):
        weekday_after(berlin(2024, 5, 8), weekday)


def test_the_hour_can_be_chosen():
    now = berlin(2024, 5, 8, 12)

    assert business_day_after(now, hour=0) == berlin(2024, 5, 9)
    assert weekday_after(now, "thu", hour=23) == berlin(2024, 5, 9, 23)
    with pytest.raises(ValueError, match=r"hour must be in 0\.\.23"):
        business_day_after(now, hour=24)


def test_the_day_ends_one_second_before_midnight():
    assert end_of_day_after(berlin(2024, 5, 8)) == berlin(2024, 5, 8, 23, 59, 59)
    assert end_of_day_after(berlin(2024, 5, 8, 23, 59, 59, 999)).second == 59


def test_a_wall_time_follows_the_change_of_the_clocks():
    friday = berlin(2024, 3, 29, 12)

    monday = business_day_after(friday)

    assert (monday.hour, monday.utcoffset()) == (9, timedelta(hours=2))
    assert monday.astimezone(UTC) - friday.astimezone(UTC) == hours(68)


def test_a_wall_time_that_is_skipped_moves_forward():
    # In Cairo the clocks go from 00:00 to 01:00 on the last Friday of April.
    cairo = ZoneInfo("Africa/Cairo")
    thursday = datetime(2024, 4, 25, 12, tzinfo=cairo)

    moment = business_day_after(thursday, hour=0)

    assert moment.isoformat() == "2024-04-26T01:00:00+03:00"


def test_a_wall_time_that_comes_twice_is_the_first_but_the_end_of_a_day_the_last():
    saturday = berlin(2024, 10, 26, 12)
    first = weekday_after(saturday, "sunday", hour=2)
    assert first.isoformat() == "2024-10-27T02:00:00+02:00"

    # In Cairo the clocks go from 24:00 back to 23:00.
    cairo = datetime(2023, 10, 26, 12, tzinfo=ZoneInfo("Africa/Cairo"))
    assert end_of_day_after(cairo).isoformat() == "2023-10-26T23:59:59+02:00"


def test_a_now_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="give an aware datetime"):
        business_day_after(datetime(2024, 5, 8))  # noqa: DTZ001


@given(nows, st.integers(0, 23))
def test_a_business_day_is_the_first_one_after_today(now, hour):
    moment = business_day_after(now, hour=hour)

    assert moment.astimezone(UTC) > now.astimezone(UTC)
    assert moment.tzinfo is now.tzinfo
    assert 0 <= moment.weekday() <= 4
    assert 1 <= (moment.date() - now.date()).days <= 3
    # A skipped hour or half hour moves forward within the day.
    assert 0 <= moment.hour - hour <= 1


@given(nows, st.sampled_from(WEEKDAYS), st.integers(0, 23))
def test_a_weekday_is_within_the_next_seven_days(now, weekday, hour):
    moment = weekday_after(now, weekday, hour=hour)

    assert WEEKDAYS[moment.weekday()] == weekday
    assert 1 <= (moment.date() - now.date()).days <= 7


@given(nows)
def test_the_end_of_the_day_is_today_and_not_past(now):
    moment = end_of_day_after(now)

    assert moment.date() == now.date()
    assert now.astimezone(UTC) - moment.astimezone(UTC) < seconds(1)


@pytest.mark.parametrize(
    ("delay", "words", "letters"),
    [
        (seconds(0), "0 ms", "0ms"),
        (seconds(-3), "0 ms", "0ms"),
        (seconds(0.35), "350 ms", "350ms"),
        (seconds(1), "1 second", "1s"),
        (seconds(1.25), "1.2 seconds", "1.2s"),
        (seconds(45.4), "45 seconds", "45s"),
        (seconds(59.7), "1 minute", "1m"),
        (minutes(90), "1 hour 30 minutes", "1h 30m"),
        (hours(2), "2 hours", "2h"),
        (hours(24) + minutes(5), "1 day", "1d"),
        (days(20) + hours(7) + minutes(5), "20 days 7 hours", "20d 7h"),
    ],
)
def test_a_delay_is_told_by_its_two_largest_units(delay, words, letters):
    assert spelled(delay) == words
    assert brief(delay) == letters
