"""Slots of a queue: who has one, who waits for one, and how much is claimed ahead."""

from __future__ import annotations

import pytest

from django_durable.workers import slots as module
from django_durable.workers.slots import Slots


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch) -> Time:
    time = Time()
    monkeypatch.setattr(module, "time", time)
    return time


def taken(slots: Slots[str], *jobs: str) -> list[str]:
    """Hand in jobs; return those that may run."""
    return [job for job in jobs if slots.take(job)]


def hurry(slots: Slots[str], time: Time, *, ended: int, seconds: float) -> None:
    """Let so many executions run and end within so many seconds."""
    for _ in range(ended):
        assert slots.take("quick")
        slots.free()
        slots.ended()
    time.now += seconds


def test_at_first_there_is_room_for_as_many_as_there_are_slots(time):
    slots = Slots(3)
    assert slots.room() == 3

    assert taken(slots, "a", "b", "c") == ["a", "b", "c"]

    assert slots.room() == 0
    assert not slots.is_low


def test_while_steps_take_long_nothing_is_claimed_ahead(time):
    slots = Slots(3)
    taken(slots, "a", "b", "c")
    time.now += 60

    assert slots.free() is None
    slots.ended()

    assert slots.is_low
    assert slots.room() == 1


def test_at_a_quick_pace_as_much_is_claimed_ahead_as_is_soon_done(time):
    slots = Slots(10)
    hurry(slots, time, ended=100, seconds=1)
    assert slots.room() == 10 + 100 * module.AHEAD_SECONDS

    time.now += 10
    assert slots.room() == 10


def test_no_more_is_claimed_ahead_than_a_few_times_the_slots(time):
    slots = Slots(4)
    hurry(slots, time, ended=10_000, seconds=1)

    assert slots.room() == 4 + 4 * module.AHEAD_TIMES


def test_a_slot_that_gets_free_goes_to_who_has_waited_longest(time):
    slots = Slots(1)
    assert taken(slots, "a", "b", "c") == ["a"]

    assert slots.free() == "b"
    assert slots.free() == "c"
    assert slots.free() is None


def test_more_is_wanted_once_half_of_what_was_claimed_ahead_is_used_up(time):
    slots = Slots(4)
    hurry(slots, time, ended=10_000, seconds=1)
    assert len(taken(slots, *range(slots.room()))) == 4
    ahead = 4 * module.AHEAD_TIMES

    seen = []
    for _ in range(ahead):
        seen.append(slots.is_low)
        slots.free()

    assert seen == [False] * (ahead // 2) + [True] * (ahead // 2)


def test_those_that_are_being_stored_are_no_more_than_a_few_times_the_slots(time):
    slots = Slots(2)
    for _ in range(2 * module.AHEAD_TIMES):
        assert slots.room() == 2
        assert taken(slots, "a") == ["a"]
        slots.free()
    # Else the dispatcher would ask again and again, and keep them from being stored.
    assert (slots.room(), slots.is_low) == (0, False)

    slots.ended()

    assert (slots.room(), slots.is_low) == (2, True)


def test_what_waits_for_too_long_is_let_go_of(time):
    slots = Slots(1)
    taken(slots, "a", "b")
    time.now += 0.75
    taken(slots, "c")
    time.now += 0.75

    assert slots.drop(older_than=1.0) == ["b"]
    assert slots.drop() == ["c"]
    assert slots.free() is None
