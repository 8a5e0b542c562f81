"""What the overview reads: bounded, in a constant number of statements, and true."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

import django_durable as durable
from django_durable import Workflow, clock, hours, minutes, seconds, step
from django_durable.models import Execution, Worker
from django_durable.store import bounded, failures, leases, workers
from django_durable.store.bounded import CountUpTo, EarliestOf, evaluate, first_of_each
from django_durable.store.failures import MOST_READ
from django_durable.store.overview import overview
from django_durable.store.throughput import past_hour
from tests.factories import NOON, WORKER, counted, stored

pytestmark = pytest.mark.django_db

ROWS = Execution.rows


class Overseen(Workflow):
    @step
    def work(self): ...


@pytest.fixture(autouse=True)
def noon():
    with clock.freeze(NOON) as frozen:
        yield frozen


def ended(count: int = 1, *, ago: timedelta, status: str = "completed", **columns):
    return stored(count, status=status, completed_at=NOON - ago, **columns)


def failed(count: int = 1, *, ago: timedelta = timedelta(minutes=5), **error):
    error = {"type": "ConnectionError", "message": "no answer", "step": "pay", **error}
    return ended(count, ago=ago, status="failed", error=error)


# --- counts that stop -----------------------------------------------------------------


def test_a_count_goes_no_further_than_it_is_told():
    stored(5)

    found = evaluate(
        {
            "three": CountUpTo(ROWS.all(), 3),
            "five": CountUpTo(ROWS.all(), 9),
            "none": CountUpTo(ROWS.none()),
        },
        using="default",
    )

    assert found == {"three": 3, "five": 5, "none": 0}


def test_questions_are_answered_in_one_statement():
    with counted() as statements:
        evaluate(
            {number: CountUpTo(ROWS.filter(priority=number)) for number in range(40)},
            using="default",
        )

    assert len(statements.queries) == 1


def test_the_earliest_moment_comes_back_as_a_moment():
    for ago in (1, 3, 2):
        stored(available_at=NOON - hours(ago))
    in_order = ROWS.order_by("available_at")

    found = evaluate(
        {
            "first": EarliestOf(in_order, "available_at"),
            "none": EarliestOf(ROWS.filter(queue="nowhere"), "available_at"),
        },
        using="default",
    )

    assert found == {"first": NOON - hours(3), "none": None}


def test_the_first_rows_of_each_part_are_read_in_one_statement():
    for priority in (1, 2, 3):
        stored(3, priority=priority)
    parts = [
        ROWS.filter(priority=priority).order_by("-pk").values_list("pk", "priority")
        for priority in (1, 3)
    ]

    with counted() as statements:
        found = first_of_each(parts, 2, using="default")

    newest = {
        row
        for priority in (1, 3)
        for row in ROWS.filter(priority=priority)
        .order_by("-pk")
        .values_list("pk", "priority")[:2]
    }
    assert set(found) == newest
    assert len(found) == 4
    assert len(statements.queries) == 1
    assert first_of_each([], 2, using="default") == []


# --- overview -------------------------------------------------------------------------


def test_open_executions_are_counted_by_status_and_lanes_are_not():
    stored(2, status="pending", available_at=NOON - seconds(5))
    stored(3, status="waiting")
    stored(1, status="paused")
    stored(4, status="running", leased_by=WORKER)
    stored(5, status="running", leased_by=WORKER, is_lane=True)
    stored(6, status="waiting", is_lane=True)

    found = overview(using="default")

    assert found.open == {
        "running": 4,
        "pending": 2,
        "waiting": 3,
        "paused": 1,
        "compensating": 0,
    }


def test_what_ended_in_the_past_day_is_counted_without_children():
    ended(3, ago=hours(23))
    ended(1, ago=hours(25))
    ended(2, ago=hours(1), parent_id=UUID(int=7))
    failed(2, ago=minutes(30))
    failed(1, ago=hours(2))

    found = overview(using="default")

    assert found.ended["completed"] == 3
    assert found.ended["failed"] == 3
    assert found.failures == 2


def test_each_queue_tells_what_is_due_since_when_what_runs_and_what_waits():
    stored(2, available_at=NOON - minutes(5))
    stored(1, available_at=NOON - minutes(9), is_lane=True)
    stored(1, available_at=NOON + minutes(5))
    stored(3, status="waiting", available_at=NOON + hours(1))
    stored(1, queue="other", available_at=NOON - hours(3), priority=9)
    stored(1, queue="other", status="running", leased_by=WORKER)

    default, idle, other = overview(queues=["idle"], using="default").queues

    assert (default.claimable, default.running, default.waiting) == (3, 0, 4)
    assert default.oldest == NOON - minutes(9)
    assert (idle.name, idle.claimable, idle.oldest) == ("idle", 0, None)
    assert (other.claimable, other.running) == (1, 1)
    assert other.oldest == NOON - hours(3)


def test_a_queue_is_found_that_nobody_has_heard_of():
    stored(2, queue="forgotten", available_at=NOON)
    stored(2, queue="Zürich", available_at=NOON)
    stored(1, queue="", available_at=NOON)

    names = [queue.name for queue in overview(using="default").queues]

    assert sorted(names) == sorted(["", "forgotten", "Zürich"])


def test_running_executions_are_counted_by_worker():
    worker = workers.register(
        queues={"default": 3, "other": 1}, lease=minutes(1), using="default"
    )
    durable.start_many(Overseen, [None] * 3)
    leases.claim(queue="default", worker_id=worker.pk, limit=2, using="default")

    found = overview(using="default")

    assert found.workers == (worker,)
    assert found.running == {worker.pk: 2}
    assert [queue.name for queue in found.queues] == ["default", "other"]


@pytest.mark.parametrize("count", [0, 300])
def test_the_number_of_statements_does_not_follow_that_of_executions(count):
    Worker.objects.all().delete()
    stored(count, available_at=NOON)
    stored(count, status="waiting")
    failed(count)
    ended(count, ago=minutes(3))

    with counted() as looking:
        overview(queues=["default"], using="default")
    with counted() as failing:
        failures.failures(NOON - hours(24), using="default")
    with counted() as completing:
        past_hour(NOON, using="default")

    assert len(looking.queries) == 5
    assert len(failing.queries) == (2 if count else 1)
    assert len(completing.queries) == 2


# --- failures -------------------------------------------------------------------------


def test_failures_of_one_kind_are_told_together_with_the_newest():
    failed(2, ago=minutes(9))
    [newest] = failed(message="no answer at all")
    failed(step="ship")
    ended(1, ago=minutes(1), status="compensated", error={"type": "Declined"})

    found = failures.failures(NOON - hours(24), using="default")

    first, *others = found.kinds
    assert (first.workflow, first.type, first.step) == (
        "stored",
        "ConnectionError",
        "pay",
    )
    assert (first.count, first.execution, first.at, first.message) == (
        3,
        newest.pk,
        NOON - minutes(5),
        "no answer at all",
    )
    assert {(one.type, one.step, one.count) for one in others} == {
        ("ConnectionError", "ship", 1),
        ("Declined", "", 1),
    }
    assert not found.is_cut


def test_all_items_of_a_block_fail_at_the_same_step():
    for number in range(3):
        failed(step=f"letters[{number}].send")

    [kind] = failures.failures(NOON - hours(24), using="default").kinds

    assert (kind.step, kind.count) == ("letters.send", 3)


def test_who_was_cancelled_and_undone_has_not_failed():
    ended(1, ago=minutes(1), status="compensated", error={"type": "cancelled"})
    failed(ago=hours(25))

    assert failures.failures(NOON - hours(24), using="default").kinds == ()


def test_only_the_newest_failures_are_looked_at_and_it_says_so(monkeypatch):
    monkeypatch.setattr(failures, "MOST_READ", 3)
    failed(5, ago=minutes(9), type="Old")
    failed(2, type="New")

    found = failures.failures(NOON - hours(24), using="default")

    assert {(one.type, one.count) for one in found.kinds} == {("New", 2), ("Old", 1)}
    assert found.is_cut
    assert MOST_READ > 3


@pytest.mark.parametrize(
    "error",
    [None, {}, {"type": None}, {"type": {"a": 1}, "step": 7, "message": ["x"]}],
)
def test_an_error_of_any_shape_is_told_of(error):
    ended(1, ago=minutes(1), status="failed", error=error)

    [kind] = failures.failures(NOON - hours(24), using="default").kinds

    assert isinstance(kind.type, str)
    assert isinstance(kind.step, str)
    assert isinstance(kind.message, str)


# --- throughput -----------------------------------------------------------------------


def test_each_minute_of_the_past_hour_tells_how_much_was_completed_and_how_quickly():
    begun = {"created_at": NOON - minutes(10), "started_at": NOON - minutes(9)}
    ended(2, ago=minutes(5), **begun)
    ended(1, ago=minutes(5) - seconds(1), **{**begun, "started_at": NOON - minutes(6)})
    ended(4, ago=minutes(61))
    failed(4)

    found = past_hour(NOON, using="default")

    assert len(found) == 60
    assert found[0].starts == NOON - minutes(59)
    assert found[-1].starts == NOON
    [busy] = [one for one in found if one.completed]
    assert busy.starts == NOON - minutes(5)
    assert busy.completed == 3
    assert (busy.queued, busy.took) == (minutes(1), minutes(4))


def test_a_start_that_was_asked_for_later_has_not_waited_before_that():
    ended(
        1,
        ago=seconds(0),
        created_at=NOON - hours(5),
        scheduled_at=NOON - minutes(2),
        started_at=NOON - minutes(1),
    )

    assert past_hour(NOON, using="default")[-1].queued == minutes(1)


def test_a_clock_that_is_ahead_makes_no_negative_times():
    ended(1, ago=seconds(0), created_at=NOON, started_at=NOON - seconds(1))

    assert past_hour(NOON, using="default")[-1].queued == timedelta(0)


def test_what_completed_without_having_begun_is_counted_all_the_same():
    ended(1, ago=seconds(0), started_at=None)

    last = past_hour(NOON, using="default")[-1]

    assert (last.completed, last.queued, last.took) == (1, None, None)


def test_no_minute_is_counted_to_its_end(monkeypatch):
    from django_durable.store import throughput

    monkeypatch.setattr(throughput, "MOST", 2)
    ended(3, ago=seconds(0))

    assert past_hour(NOON, using="default")[-1].completed == 2
    assert bounded.MOST == 10_000
