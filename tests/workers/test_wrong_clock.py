"""A machine whose clock is an hour wrong: timers, timeouts and leases do not notice."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import DateTimeField, ExpressionWrapper
from django.utils import timezone

import django_durable as durable
from django_durable import (
    CallWorkflow,
    Retry,
    Sleep,
    Snooze,
    WaitForApproval,
    WaitForEvent,
    Workflow,
    clock,
    hours,
    step,
)
from django_durable.models import Execution, Wait, Worker
from tests.factories import drain, fresh

pytestmark = pytest.mark.django_db

A_MOMENT = timedelta(seconds=30)


@pytest.fixture(params=[hours(1), -hours(1)], ids=["fast", "slow"])
def wrong_clock(request, monkeypatch):
    """What Python takes for the time; the database has its own."""
    now = timezone.now  # noqa: TID251
    monkeypatch.setattr(timezone, "now", lambda: now() + request.param)


class Timed(Workflow, name="wrong_clock_timed", timeout=hours(5)):
    rest = Sleep(hours(2))


class Awaiting(Workflow, name="wrong_clock_awaiting"):
    news = WaitForEvent("news", timeout=hours(2))


class Asking(Workflow, name="wrong_clock_asking"):
    ok = WaitForApproval(timeout=hours(2))


class Calling(Workflow, name="wrong_clock_calling"):
    call = CallWorkflow(Awaiting, input={}, timeout=hours(2))


IN_TWO_HOURS = Retry(backoff="constant", base=hours(2), max_backoff=hours(2), jitter=0)


class Failing(Workflow, name="wrong_clock_failing"):
    @step(retry=IN_TWO_HOURS)
    def work(self):
        raise ConnectionError


class Snoozing(Workflow, name="wrong_clock_snoozing"):
    @step
    def work(self):
        raise Snooze(hours(2))


def from_now(column: str, rows) -> timedelta:
    """Return how far a moment is away on the database's clock."""
    now = ExpressionWrapper(clock.db_now(), output_field=DateTimeField())
    moment, at = rows.annotate(database_now=now).values_list(column, "database_now")[0]
    return moment - at


@pytest.mark.parametrize(
    "workflow", [Timed, Awaiting, Asking, Calling, Failing, Snoozing]
)
def test_a_timer_is_due_by_the_clock_of_the_database(wrong_clock, workflow):
    execution = durable.start(workflow)
    # By the wrong clock it would not even begin, or have ended.
    drain()

    assert fresh(execution).status in ("waiting", "pending")
    rows = Execution.rows.filter(pk=execution.pk)
    assert abs(from_now("available_at", rows) - hours(2)) < A_MOMENT


def test_the_time_of_a_workflow_and_of_an_input_is_the_databases(wrong_clock):
    timed, asking = durable.start(Timed), durable.start(Asking)
    drain()

    rows = Execution.rows.filter(pk=timed.pk)
    assert abs(from_now("expires_at", rows) - hours(5)) < A_MOMENT
    waits = Wait.objects.filter(execution=asking)
    assert abs(from_now("until", waits) - hours(2)) < A_MOMENT
    assert abs(from_now("input__until", waits) - hours(2)) < A_MOMENT


def test_a_lease_is_as_long_as_it_ought_to_be(wrong_clock, make_worker):
    worker = make_worker()

    rows = Worker.objects.filter(pk=worker.pk)
    assert abs(from_now("expires_at", rows) - timedelta(seconds=30)) < A_MOMENT / 3
