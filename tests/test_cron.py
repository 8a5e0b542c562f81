"""When cron expressions come next, above all on the nights on which clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from django_durable import cron

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"


def fires(expression: str, zone: str, start: str, end: str) -> list[str]:
    """Return the fire times after ``start`` and before ``end``, as the zone shows them."""
    here = ZoneInfo(zone)
    time, last = (
        datetime.fromisoformat(one).replace(tzinfo=here) for one in (start, end)
    )
    found = []
    while (time := cron.next_fire(expression, zone, time)) < last.astimezone(UTC):
        assert time.utcoffset() == timedelta(0)
        found.append(time.astimezone(here).strftime("%d %H:%M%z"))
    return found


# Berlin 2026: 29 March 02:00 -> 03:00, 25 October 03:00 -> 02:00. New York 2026: 8 March
# 02:00 -> 03:00, 1 November 02:00 -> 01:00. Lord Howe 2026: 5 April 02:00 -> 01:30,
# 4 October 02:00 -> 02:30. Santiago 2026: 6 September 00:00 -> 01:00.
# Havana 2026: 1 November 01:00 -> 00:00.
@pytest.mark.parametrize(
    ("expression", "zone", "start", "end", "expected"),
    [
        # A time that the clock skips comes at the first moment after the gap.
        (
            "30 2 * * *",
            BERLIN,
            "2026-03-28",
            "2026-03-31",
            ["28 02:30+0100", "29 03:00+0200", "30 02:30+0200"],
        ),
        (
            "15 2 * * *",
            NEW_YORK,
            "2026-03-07",
            "2026-03-10",
            ["07 02:15-0500", "08 03:00-0400", "09 02:15-0400"],
        ),
        (
            "10 2 * * *",
            LORD_HOWE,
            "2026-10-03",
            "2026-10-06",
            ["03 02:10+1030", "04 02:30+1100", "05 02:10+1100"],
        ),
        (
            "0 0 * * *",
            "America/Santiago",
            "2026-09-05T12:00",
            "2026-09-08",
            ["06 01:00-0300", "07 00:00-0300"],
        ),
        # It does so once, however many times were skipped, or stand there themselves.
        (
            "*/20 2,3 * * *",
            BERLIN,
            "2026-03-29",
            "2026-03-30",
            ["29 03:00+0200", "29 03:20+0200", "29 03:40+0200"],
        ),
        # A time that the clock shows twice comes the first time only.
        (
            "30 2 * * *",
            BERLIN,
            "2026-10-24",
            "2026-10-27",
            ["24 02:30+0200", "25 02:30+0200", "26 02:30+0100"],
        ),
        (
            "0 1 * * *",
            NEW_YORK,
            "2026-10-31",
            "2026-11-03",
            ["31 01:00-0400", "01 01:00-0400", "02 01:00-0500"],
        ),
        (
            "45 1 * * *",
            LORD_HOWE,
            "2026-04-04",
            "2026-04-07",
            ["04 01:45+1100", "05 01:45+1100", "06 01:45+1030"],
        ),
        (
            "*/30 2 * * *",
            BERLIN,
            "2026-10-25",
            "2026-10-26",
            ["25 02:00+0200", "25 02:30+0200"],
        ),
        # Those around it are not moved.
        ("0 3 * * *", BERLIN, "2026-03-29", "2026-03-30", ["29 03:00+0200"]),
        ("0 3 * * *", BERLIN, "2026-10-25", "2026-10-26", ["25 03:00+0100"]),
        ("0 0 * * *", BERLIN, "2026-10-25T01:00", "2026-10-27", ["26 00:00+0100"]),
        (
            "0 */6 * * *",
            BERLIN,
            "2026-10-25T01:00",
            "2026-10-25T23:00",
            ["25 06:00+0100", "25 12:00+0100", "25 18:00+0100"],
        ),
        # What comes every hour is an interval, and goes on.
        (
            "0 * * * *",
            BERLIN,
            "2026-10-25T00:30",
            "2026-10-25T04:30",
            [
                "25 01:00+0200",
                "25 02:00+0200",
                "25 02:00+0100",
                "25 03:00+0100",
                "25 04:00+0100",
            ],
        ),
        (
            "30 * * * *",
            BERLIN,
            "2026-03-29T00:45",
            "2026-03-29T04:45",
            ["29 01:30+0100", "29 03:30+0200", "29 04:30+0200"],
        ),
        (
            "@hourly",
            NEW_YORK,
            "2026-11-01T00:30",
            "2026-11-01T02:30",
            ["01 01:00-0400", "01 01:00-0500", "01 02:00-0500"],
        ),
        # The day of the second time is the one that has ended already.
        (
            "45 * 31 10 *",
            "America/Havana",
            "2026-10-31T22:50",
            "2026-11-02",
            ["31 23:45-0400"],
        ),
        (
            "45 * 1 11 *",
            "America/Havana",
            "2026-10-31T22:50",
            "2026-11-01T02:00",
            ["01 00:45-0400", "01 00:45-0500", "01 01:45-0500"],
        ),
        (
            "15 0-23 * * *",
            NEW_YORK,
            "2026-11-01T00:30",
            "2026-11-01T02:30",
            ["01 01:15-0400", "01 01:15-0500", "01 02:15-0500"],
        ),
    ],
)
def test_the_nights_on_which_clocks_change(expression, zone, start, end, expected):
    assert fires(expression, zone, start, end) == expected


@pytest.mark.parametrize("minute", [0, 15, 30, 59])
def test_in_the_hour_that_comes_again_its_times_have_been_already(minute):
    # In Berlin the clock shows 02:00 again at 01:00 UTC.
    again = datetime(2026, 10, 25, 1, minute, tzinfo=UTC)

    found = cron.next_fire("0,30 2 * * *", BERLIN, again)

    assert found == datetime(2026, 10, 26, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "start", "end"),
    [
        (BERLIN, "2026-03-29", "2026-03-29T06:00"),
        (BERLIN, "2026-10-25", "2026-10-25T06:00"),
        (NEW_YORK, "2026-11-01", "2026-11-01T06:00"),
        (LORD_HOWE, "2026-04-05", "2026-04-05T06:00"),
        (LORD_HOWE, "2026-10-04", "2026-10-04T06:00"),
    ],
)
def test_every_five_minutes_stays_every_five_minutes(zone, start, end):
    found = fires("*/5 * * * *", zone, start, end)

    times = [datetime.strptime(f"2026 {one}", "%Y %d %H:%M%z") for one in found]
    assert {after - before for before, after in pairwise(times)} == {
        timedelta(minutes=5)
    }


def test_an_interval_of_a_day_that_the_clock_shows_twice_comes_in_both():
    # Clocks go back from midnight to 23:00, so that an hour of the 24th comes again,
    # while the next time of the expression on the wall is a year away.
    found = fires("45 * 24 4 *", "Africa/Cairo", "2025-04-24T22:00", "2025-04-26")
    back = fires("45 * 30 10 *", "Africa/Cairo", "2025-10-30T22:00", "2025-11-01")

    assert found == ["24 22:45+0200", "24 23:45+0200"]
    assert back == ["30 22:45+0300", "30 23:45+0300", "30 23:45+0200"]


@pytest.mark.parametrize(
    ("expression", "start", "expected"),
    [
        ("0 0 29 2 *", "2026-01-01", "2028-02-29T00:00"),
        ("0 0 29 2 *", "2096-03-01", "2104-02-29T00:00"),
        ("0 9 * * MON-FRI", "2026-05-01T09:00", "2026-05-04T09:00"),
        ("0 9 * jan,jul SUN", "2026-02-01", "2026-07-05T09:00"),
        ("0 9 * * 7", "2026-05-01", "2026-05-03T09:00"),
        ("0 0 L * *", "2026-02-01", "2026-02-28T00:00"),
        ("0 0 L * *", "2028-02-01", "2028-02-29T00:00"),
        ("0 0 * * FRI#2", "2026-05-01", "2026-05-08T00:00"),
        ("0 0 * * L5", "2026-05-01", "2026-05-29T00:00"),
        ("0 0 15W * *", "2026-02-01", "2026-02-16T00:00"),
        ("0 0 13 * FRI", "2026-05-01", "2026-05-08T00:00"),
        ("0 22-2 * * *", "2026-05-01T23:30", "2026-05-02T00:00"),
        ("*/5 * * * *", "2026-05-01T09:00:00.5", "2026-05-01T09:05"),
        ("5 9 * * *", "2026-05-01T09:04:59.9", "2026-05-01T09:05"),
        ("@daily", "2026-05-01", "2026-05-02T00:00"),
        (" @Weekly ", "2026-05-01", "2026-05-03T00:00"),
        ("@yearly", "2026-05-01", "2027-01-01T00:00"),
    ],
)
def test_what_comes_next(expression, start, expected):
    after = datetime.fromisoformat(start).replace(tzinfo=UTC)

    found = cron.next_fire(expression, "UTC", after)

    assert found == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("61 * * * *", "the minute (field 1) is '61'. Give 0 to 59"),
        ("*/90 * * * *", "the minute (field 1) is '*/90', a step of more than 59"),
        ("* 24 * * *", "the hour (field 2) is '24'. Give 0 to 23"),
        ("* * 32 * *", "the day of month (field 3) is '32'"),
        ("* * 0 * *", "the day of month (field 3) is '0'"),
        ("* * * FOO *", "the month (field 4) is 'FOO'"),
        ("* * * * 8", "the day of week (field 5) is '8'"),
        ("* * * * FRI#6", "the day of week (field 5) is 'FRI#6'"),
        ("* * * * MON,FRI#2", "the day of week (field 5) is 'MON,FRI#2'"),
        ("0 0 1 * FRI#2", "the day of month (field 3) cannot be '1'. Give * there"),
        ("1,,2 * * * *", "the minute (field 1) is '1,,2'"),
        ("H * * * *", "the minute (field 1) is 'H', drawn at random"),
        ("0 r(1-5) * * *", "the hour (field 2) is 'r(1-5)', drawn at random"),
        ("0 0 31 2 *", "never comes: no month 2 has a day of month 31"),
        ("0 0 30 feb *", "never comes"),
        ("* * * * * *", "has 6 fields. Give five: minute, hour,"),
        ("0 0 1 1 * 0 2030", "has 7 fields"),
        ("* * * *", "has 4 fields"),
        ("", "has 0 fields"),
        ("@reboot", "has 1 fields. Give five"),
    ],
)
def test_an_expression_is_refused_by_the_name_of_its_field(expression, says):
    assert says in (cron.validate(expression) or "")
    with pytest.raises(ValueError, match=r"cron="):
        cron.next_fire(expression, "UTC", datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("timezone", "says"),
    [
        ("Europe/Berlim", "Did you mean 'Europe/Berlin'?"),
        ("qqqqq", "Give one, as 'Europe/Berlin'."),
        ("../etc/passwd", "is no IANA time zone"),
    ],
)
def test_a_time_zone_that_does_not_exist_is_refused(timezone, says):
    assert says in (cron.validate_timezone(timezone) or "")


def test_what_is_right_has_no_problem():
    assert cron.validate("0 9 * * MON-FRI") is None
    assert cron.validate_timezone("Europe/Berlin") is None


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("0 9 * * MON-FRI", "At 09:00, Monday through Friday"),
        ("*/5 * * * *", "Every 5 minutes"),
        ("@daily", "At 00:00"),
        ("0 0 * * L5", "At 00:00, on the last Friday of the month"),
        ("nonsense", "nonsense"),
    ],
)
def test_an_expression_in_words(expression, words):
    assert cron.describe(expression) == words
