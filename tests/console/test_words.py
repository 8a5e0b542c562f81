"""Durations and moments in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from django_durable.console.answers import UsageError
from django_durable.console.words import (
    count,
    duration,
    moment,
    parse_age,
    parse_since,
    relative,
)
from tests.factories import NOON


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0ms"),
        (0.35, "350ms"),
        (1, "1s"),
        (45.25, "45.2s"),
        (60, "1m"),
        (125, "2m 5s"),
        (3780, "1h 3m"),
        (93_600, "1d 2h"),
        (-5, "0ms"),
    ],
)
def test_durations_show_their_two_largest_units(seconds, words):
    assert duration(timedelta(seconds=seconds)) == words


def test_what_is_not_there_is_a_dash():
    assert (duration(None), moment(None), relative(None, NOON)) == ("—", "—", "—")


def test_moments_are_relative_to_now():
    assert relative(NOON + timedelta(hours=2), NOON) == "in 2h 0m"
    assert relative(NOON - timedelta(minutes=5), NOON) == "overdue 5m"


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("30d", timedelta(days=30)),
        ("24h", timedelta(hours=24)),
        ("60m", timedelta(hours=1)),
        ("90S", timedelta(seconds=90)),
        ("2 w", timedelta(days=14)),
    ],
)
def test_ages_are_a_number_and_a_unit(text, age):
    assert parse_age(text) == age


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1.5h", "1y", "9" * 20 + "w"])
def test_what_is_no_age_is_refused(text):
    with pytest.raises(UsageError):
        parse_age(text)


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("2h", NOON - timedelta(hours=2)),
        ("2030-02-01", datetime(2030, 2, 1, tzinfo=UTC)),
        ("2030-02-01T10:30", datetime(2030, 2, 1, 10, 30, tzinfo=UTC)),
        ("2030-02-01T10:30+02:00", datetime(2030, 2, 1, 8, 30, tzinfo=UTC)),
    ],
)
def test_since_is_an_age_or_a_moment(text, since):
    assert parse_since(text, NOON) == since


@pytest.mark.parametrize("text", ["yesterday", "2030-13-01", "2030-02-30T10:00"])
def test_what_is_no_moment_is_refused(text):
    with pytest.raises(UsageError, match="no moment"):
        parse_since(text, NOON)


def test_numbers_have_their_noun():
    assert (count(1, "row"), count(2000, "row")) == ("1 row", "2,000 rows")
