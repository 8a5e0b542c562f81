"""What a schedule that is due starts: tables over plain values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from django_durable.engine import scheduling
from django_durable.engine.scheduling import MAX_CATCH_UP, Starts, plan_round

NOON = datetime(2030, 3, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


class Every:
    """Fires at multiples of an interval, and counts how often it is asked."""

    def __init__(self, interval: timedelta) -> None:
        self.interval = interval
        self.count = 0

    def __call__(self, after: datetime) -> datetime:
        self.count += 1
        day = after.replace(hour=0, minute=0, second=0, microsecond=0)
        return day + ((after - day) // self.interval + 1) * self.interval


def plan(catch_up: str, *, missed: int, late: timedelta = timedelta(seconds=1)):
    """Plan an hourly schedule that missed so many times before the one at noon."""
    return plan_round(
        NOON - missed * HOUR, now=NOON + late, catch_up=catch_up, following=Every(HOUR)
    )


@pytest.mark.parametrize("catch_up", ["none", "one", "all"])
def test_a_time_that_has_just_come_is_fired(catch_up):
    found = plan(catch_up, missed=0)

    assert found.fire_times == (NOON,)
    assert found.next_fire_at == NOON + HOUR
    assert not found.is_cut


@pytest.mark.parametrize(
    ("catch_up", "hours"), [("none", []), ("one", [12]), ("all", [9, 10, 11, 12])]
)
def test_what_was_missed_is_made_up_for_as_told(catch_up, hours):
    found = plan(catch_up, missed=3, late=HOUR / 2)

    assert [time.hour for time in found.fire_times] == hours
    assert found.next_fire_at == NOON + HOUR


def test_none_fires_the_time_that_has_just_come_after_others_were_missed():
    assert plan("none", missed=3).fire_times == (NOON,)


def test_all_is_bounded_to_the_latest():
    found = plan("all", missed=MAX_CATCH_UP)

    assert len(found.fire_times) == MAX_CATCH_UP
    assert found.fire_times[-1] == NOON
    assert found.is_cut


def test_all_of_exactly_the_bound_is_not_cut():
    found = plan("all", missed=MAX_CATCH_UP - 1)

    assert len(found.fire_times) == MAX_CATCH_UP
    assert not found.is_cut


@pytest.mark.parametrize("catch_up", ["none", "one", "all"])
@pytest.mark.parametrize("interval", [MINUTE, HOUR])
def test_a_year_without_workers_costs_no_more_than_a_day(catch_up, interval):
    every = Every(interval)

    found = plan_round(
        NOON - timedelta(days=365), now=NOON, catch_up=catch_up, following=every
    )

    assert found.fire_times[-1] == NOON
    assert every.count < 500


@pytest.mark.parametrize(
    ("overlap", "is_open", "starts"),
    [
        ("allow", False, Starts(fire_times=(1, 2, 3))),
        ("allow", True, Starts(fire_times=(1, 2, 3))),
        ("skip", False, Starts(fire_times=(1,))),
        ("skip", True, Starts(fire_times=())),
        ("cancel", False, Starts(fire_times=(3,))),
        ("cancel", True, Starts(fire_times=(3,), cancels=True)),
    ],
)
def test_overlap(overlap, is_open, starts):
    times = (1, 2, 3)

    assert scheduling.settle_overlap(times, overlap=overlap, is_open=is_open) == starts


def test_nothing_to_fire_cancels_nothing():
    found = scheduling.settle_overlap((), overlap="cancel", is_open=True)

    assert found == Starts(fire_times=())


def test_jitter_spreads_evenly_from_nothing_to_all_of_it():
    jitter = timedelta(minutes=10)

    assert scheduling.delay_of(jitter, draw=0.0) == timedelta(0)
    assert scheduling.delay_of(jitter, draw=0.5) == timedelta(minutes=5)
    assert scheduling.delay_of(None, draw=0.5) == timedelta(0)


def test_the_fifth_failure_in_a_row_is_one_too_many():
    assert [scheduling.is_worn_out(count) for count in range(3, 7)] == [
        False,
        False,
        True,
        True,
    ]


BASE = {"cron": "old", "queue": None}


@pytest.mark.parametrize(
    ("stored", "code", "changes"),
    [
        ({}, {}, {}),
        ({}, {"cron": "new"}, {"cron": "new"}),
        ({"cron": "mine"}, {"cron": "new"}, {}),
        ({"cron": "mine"}, {"queue": "slow"}, {"queue": "slow"}),
        ({"cron": "new"}, {"cron": "new"}, {}),
        ({"cron": "mine"}, {}, {}),
    ],
)
def test_new_code_changes_what_no_person_has_changed(stored, code, changes):
    merged = scheduling.merge(BASE | stored, base=BASE, code=BASE | code)

    assert merged == changes


def test_a_value_that_the_code_says_for_the_first_time_is_not_taken_for_a_persons():
    merged = scheduling.merge({"queue": None}, base={}, code={"queue": "slow"})

    assert merged == {"queue": "slow"}
