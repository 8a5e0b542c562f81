"""Moments counted from now, in Django's current time zone unless told otherwise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone as django_timezone

from django_durable import clock, end_of_day, next_business_day, next_weekday

# Wednesday evening in Greenwich, Thursday morning in Auckland.
NOW = datetime(2024, 5, 8, 20, tzinfo=UTC)


@pytest.fixture(autouse=True)
def frozen():
    with clock.freeze(NOW) as frozen:
        yield frozen


def test_the_current_time_zone_of_django_counts():
    with django_timezone.override("Pacific/Auckland"):
        assert next_business_day().isoformat() == "2024-05-10T09:00:00+12:00"
        assert next_weekday("thursday").isoformat() == "2024-05-16T17:00:00+12:00"
        assert end_of_day().isoformat() == "2024-05-09T23:59:59+12:00"
    with django_timezone.override(UTC):
        assert next_business_day().isoformat() == "2024-05-09T09:00:00+00:00"
        assert end_of_day().isoformat() == "2024-05-08T23:59:59+00:00"


@pytest.mark.parametrize(
    "tz",
    ["America/New_York", ZoneInfo("America/New_York"), timezone(timedelta(hours=-4))],
)
def test_a_zone_may_be_a_name_or_a_tzinfo(tz):
    assert next_business_day(8, tz).isoformat() == "2024-05-09T08:00:00-04:00"
    assert next_weekday("fri", 12, tz=tz).isoformat() == "2024-05-10T12:00:00-04:00"
    assert end_of_day(tz).isoformat() == "2024-05-08T23:59:59-04:00"


def test_time_goes_on(frozen):
    frozen.advance(timedelta(days=2))

    assert next_business_day(tz="UTC") == datetime(2024, 5, 13, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "tz", ["Europe/Nowhere", "", "Europe", "../etc/passwd", "a\0b"]
)
def test_an_unknown_zone_is_refused_with_the_right_form(tz):
    with pytest.raises(ValueError, match=r"no such time zone\. Use an IANA name"):
        end_of_day(tz)
