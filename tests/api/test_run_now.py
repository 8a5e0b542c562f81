"""``run_now`` skips what is only a matter of time, and nothing else."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from django.db import connection, connections, transaction

import django_durable as durable
from django_durable import (
    CallWorkflow,
    Each,
    ExecutionClosed,
    ExecutionNotFound,
    Fail,
    Lane,
    NothingToSkip,
    Parallel,
    Retry,
    RetryAfter,
    Sleep,
    Snooze,
    WaitForEvent,
    WaitForText,
    Workflow,
    clock,
    days,
    hours,
    minutes,
    step,
    wait_for_any,
)
from django_durable.models import Execution, Wait
from django_durable.store import skipping, wakeups
from tests.factories import (
    NOON,
    attempts,
    claim,
    drain,
    finish,
    fresh,
    run,
    wait_until_somebody_waits,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def time():
    with clock.freeze(NOON) as frozen:
        yield frozen


class Rests(Workflow, name="run_now_rests"):
    """Stands still in the way that its input names."""

    @step(retry=Retry(max_attempts=2, base=days(1), jitter=0))
    def rest(self, ctx, how):
        if how == "sleep":
            durable.sleep(days(3))
        elif how == "sleep until":
            durable.sleep_until(NOON + days(3))
        elif how == "backoff" and ctx.attempt == 1:
            raise ConnectionError
        elif how == "retry after" and ctx.attempt == 1:
            raise RetryAfter(days(2))
        elif how == "snooze" and ctx.idempotency_key not in snoozed:
            snoozed.add(ctx.idempotency_key)
            raise Snooze(days(2))
        return {"rested": ctx.attempt}


snoozed: set[str] = set()


class Naps(Workflow, name="run_now_naps"):
    nap = Sleep(days(3))

    @step
    def rise(self):
        return {"up": True}


class NapsUntil(Workflow, name="run_now_naps_until"):
    nap = Sleep(until=lambda end: end)


class Asks(Workflow, name="run_now_asks"):
    news = WaitForEvent("news", timeout=days(2))
    note = WaitForText(group="finance")
    child = CallWorkflow(Naps)

    @step
    def last(self):
        wait_for_any(["red", "blue"])


class Members(Workflow, name="run_now_members"):
    class Both(Parallel):
        class Sleeper(Lane):
            nap = Sleep(days(3))

            @step
            def wake(self):
                return {"awake": True}

        @step(retry=Retry(max_attempts=2, base=days(1), jitter=0))
        def tries(self, ctx):
            if ctx.attempt == 1:
                raise ConnectionError
            return {"tried": 2}

        class Nested(Lane):
            class Inner(Parallel):
                @step
                def deep(self):
                    durable.sleep(days(1))
                    return {"deep": True}

        class Asking(Lane):
            news = WaitForEvent("news")


class Undoes(Workflow, name="run_now_undoes"):
    @step
    def work(self):
        return {}

    @work.compensate(retry=Retry(max_attempts=2, base=days(1), jitter=0))
    def undo(self, ctx):
        if ctx.attempt == 1:
            raise ConnectionError
        durable.sleep(days(1))

    @step
    def fails(self):
        raise Fail("no")


@pytest.mark.parametrize(
    ("how", "attempt"),
    [
        ("sleep", 1),
        ("sleep until", 1),
        ("backoff", 2),
        ("retry after", 2),
        ("snooze", 1),
    ],
)
def test_a_step_that_rests_goes_on_at_once(time, how, attempt):
    execution = finish(durable.start(Rests, {"how": how}))
    assert execution.available_at > time.instant

    durable.run_now(execution)

    execution = fresh(execution)
    assert execution.status == "pending"
    assert execution.available_at == time.instant
    assert execution.waiting_for == ""
    execution = finish(execution)
    assert execution.status == "completed"
    assert execution.result["rested"] == attempt
    assert execution.completed_at == time.instant


@pytest.mark.parametrize(
    ("workflow", "given"),
    [(Naps, {}), (NapsUntil, {"end": datetime(2040, 1, 1, tzinfo=UTC)})],
)
def test_a_sleep_of_its_own_counts_as_over(time, workflow, given):
    execution = finish(durable.start(workflow, given))
    until = execution.waits.get().until

    durable.run_now(execution)

    wait = execution.waits.get()
    assert (wait.status, wait.closed_at, wait.until) == (
        "satisfied",
        time.instant,
        until,
    )
    assert finish(execution).status == "completed"


def test_a_later_start_starts(time):
    execution = durable.start(Naps, scheduled_at=NOON + days(9), timeout=days(1))

    durable.run_now(execution)

    execution = finish(execution)
    assert execution.current_step == "nap"
    assert execution.started_at == time.instant
    assert execution.expires_at == time.instant + days(1)
    assert execution.scheduled_at == NOON + days(9)


def test_the_timeout_of_the_workflow_stays_as_it_was(time):
    execution = finish(durable.start(Rests, {"how": "backoff"}, timeout=days(5)))
    ends = execution.expires_at
    time.advance(hours(1))

    durable.run_now(execution)

    assert fresh(execution).expires_at == ends


def test_what_waits_in_its_queue_is_next_in_it(time):
    before = durable.start(Naps)
    time.advance(minutes(1))
    urgent = durable.start(Naps, priority=5)
    time.advance(minutes(1))
    execution = durable.start(Naps)
    other = durable.start(Naps, queue="other")
    time.advance(minutes(1))

    durable.run_now(execution)
    durable.run_now(other)

    order = [one.lease.execution_id for one in claim()]
    assert order == [urgent.pk, execution.pk, before.pk]
    assert fresh(other).available_at < time.instant


def test_what_slept_is_next_in_its_queue_too(time):
    asleep = finish(durable.start(Naps))
    time.advance(hours(1))
    waiting = durable.start(Naps)
    time.advance(hours(1))

    durable.run_now(asleep)

    assert [one.lease.execution_id for one in claim()] == [asleep.pk, waiting.pk]


def test_code_that_was_missing_is_looked_for_at_once(time):
    execution = durable.start(Naps)
    Execution.rows.update(workflow="run_now_not_here")
    drain()
    assert "deployed" in fresh(execution).waiting_for
    Execution.rows.update(workflow="run_now_naps")

    durable.run_now(execution)

    assert finish(execution).current_step == "nap"


def test_an_undoing_that_rests_goes_on(time):
    execution = finish(durable.start(Undoes))
    assert execution.status == "compensating"

    durable.run_now(execution)
    execution = finish(execution)
    assert execution.status == "compensating"
    assert execution.waits.get().kind == "sleep"

    durable.run_now(execution)
    assert fresh(execution).status == "compensating"
    assert finish(execution).status == "compensated"


# --- Lanes ----------------------------------------------------------------------------


def test_every_lane_that_rests_goes_on_and_the_others_wait(time):
    execution = finish(durable.start(Members))

    durable.run_now(execution)
    execution = finish(execution)

    done = {path for path, _, status in attempts(execution) if status == "completed"}
    assert done >= {
        "both.sleeper.nap",
        "both.sleeper.wake",
        "both.tries",
        "both.nested.inner.deep",
    }
    assert execution.status == "waiting"
    with pytest.raises(NothingToSkip, match=r"members.*wait for the event news"):
        durable.run_now(execution)
    durable.send_event(execution, "news", 1)
    assert finish(execution).status == "completed"


def test_one_lane_may_be_named(time):
    execution = finish(durable.start(Members))
    lanes = {lane.scope: lane for lane in Execution.rows.filter(is_lane=True)}

    durable.run_now(lanes["both.nested"])
    drain()

    done = [path for path, _, status in attempts(execution) if status == "completed"]
    assert done == ["both.nested.inner.deep", "both.nested.inner"]
    with pytest.raises(NothingToSkip, match="the event news"):
        durable.run_now(lanes["both.asking"])


def test_an_item_that_waits_for_its_turn_is_not_pushed_in(time):
    class Items(Workflow):
        class All(Each, max_concurrency=1):
            def items(self):
                return [1, 2]

            @step
            def nap(self, item):
                durable.sleep(days(item))

    execution = finish(durable.start(Items))
    first, second = Execution.rows.filter(is_lane=True).order_by("id")

    with pytest.raises(NothingToSkip, match=r"its turn.*begins when one of them ends"):
        durable.run_now(second)
    durable.run_now(execution)
    drain()

    assert Execution.rows.get(pk=first.pk).status == "completed"
    second.refresh_from_db()
    assert second.status == "waiting"
    assert second.current_step == "all[1].nap"


# --- What is not skipped --------------------------------------------------------------


def test_what_waits_for_more_than_time_says_for_what(time):
    execution = finish(durable.start(Asks))
    with pytest.raises(NothingToSkip, match=r"the event news.*send_event\(\)"):
        durable.run_now(execution)

    durable.send_event(execution, "news")
    drain()
    with pytest.raises(NothingToSkip, match=r"note by group finance.*provide_input"):
        durable.run_now(execution)

    durable.provide_input(execution, "note", "x")
    drain()
    [child] = durable.list_children(execution)
    with pytest.raises(NothingToSkip, match=f"run_now_naps.*{child.pk}"):
        durable.run_now(execution)

    durable.run_now(child)
    drain()
    with pytest.raises(NothingToSkip, match="one of the events red, blue"):
        durable.run_now(execution)
    assert not Wait.objects.filter(status="open").exclude(kind="any").exists()
    assert fresh(execution).status == "waiting"


def test_what_runs_is_paused_or_has_ended_is_left_alone(time):
    running = durable.start(Naps)
    claim()
    with pytest.raises(NothingToSkip, match="runs already"):
        durable.run_now(running)

    paused = finish(durable.start(Naps))
    durable.pause(paused)
    with pytest.raises(NothingToSkip, match=r"paused.*resume\(\)"):
        durable.run_now(paused)

    durable.cancel(paused)
    with pytest.raises(ExecutionClosed, match="cancelled"):
        durable.run_now(paused)
    with pytest.raises(ExecutionNotFound):
        durable.run_now("00000000-0000-7000-8000-000000000000")


# --- Transactions and races -----------------------------------------------------------


def test_rolled_back_it_never_happened(time):
    execution = finish(durable.start(Naps))

    with transaction.atomic():
        durable.run_now(execution)
        transaction.set_rollback(True)

    assert fresh(execution).status == "waiting"
    assert execution.waits.get().status == "open"


@pytest.mark.skipif(connection.vendor == "postgresql", reason="it sends a NOTIFY")
def test_workers_are_woken_by_the_commit(time, django_capture_on_commit_callbacks):
    execution = finish(durable.start(Naps))
    woken = []
    stop = wakeups.listen(lambda: woken.append(True))
    try:
        with django_capture_on_commit_callbacks(execute=True):
            durable.run_now(execution)
            assert woken == []
    finally:
        stop()

    assert woken == [True]


def test_a_sleep_that_has_ended_by_itself_is_no_fault(time):
    execution = finish(durable.start(Naps))
    time.advance(days(3))

    durable.run_now(execution)

    assert finish(execution).status == "completed"
    assert [path for path, _, _ in attempts(execution)] == ["nap", "rise"]


def test_what_a_worker_has_claimed_before_runs_as_it_would_have(time):
    execution = finish(durable.start(Naps))
    time.advance(days(3))
    [claimed] = claim()

    with pytest.raises(NothingToSkip, match="runs already, at nap"):
        durable.run_now(execution)
    run(claimed)

    assert fresh(execution).status == "completed"


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_claims_meanwhile_takes_it_once(monkeypatch):
    """The worker looks while ``run_now`` holds the row, and again after its commit."""
    execution = finish(durable.start(Naps))
    seen: list[int] = []

    def look():
        try:
            seen.append(len(claim()))
        finally:
            connections.close_all()

    go_first = skipping._go_first

    def while_it_is_locked(rows, using):
        go_first(rows, using)
        if connection.vendor == "postgresql":
            thread = threading.Thread(target=look)
            thread.start()
            thread.join(20)

    monkeypatch.setattr(skipping, "_go_first", while_it_is_locked)
    durable.run_now(execution)

    assert seen == ([0] if connection.vendor == "postgresql" else [])
    [claimed] = claim()
    run(claimed)
    assert fresh(execution).status == "completed"


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(
    connection.vendor != "postgresql", reason="a transaction locks all of SQLite"
)
def test_it_waits_for_a_claim_that_is_not_committed_yet():
    """The claim comes first, so there is nothing left to skip."""
    with clock.freeze(NOON) as time:
        execution = finish(durable.start(Naps))
        time.advance(days(3))
        told: list[str] = []

        def run_it_now():
            try:
                durable.run_now(execution)
            except NothingToSkip as refusal:
                told.append(str(refusal))
            finally:
                connections.close_all()

        with transaction.atomic():
            [claimed] = claim()
            thread = threading.Thread(target=run_it_now)
            thread.start()
            wait_until_somebody_waits()
        thread.join(20)

        assert "runs already" in told[0]
        run(claimed)
        assert fresh(execution).status == "completed"
