"""The doctor's rules: silent on what the engine does, loud on what is broken by hand."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

import django_durable
from django_durable import (
    CallWorkflow,
    Each,
    Fail,
    Lane,
    Loop,
    Parallel,
    Retry,
    Sleep,
    WaitForApproval,
    WaitForEvent,
    Workflow,
    clock,
    days,
    hours,
    seconds,
    step,
)
from django_durable.models import Event, Execution, InputRequest, Step, Wait
from django_durable.store import health, workers
from django_durable.store.health import Finding
from django_durable.types import WaitStatus
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def worker():
    """A living worker that serves the queue, so that nothing is due in vain."""
    return workers.register(
        queues={"default": 10}, lease=timedelta(hours=1), using="default"
    )


def rules(**options: object) -> dict[str, Finding]:
    found = health.examine(using="default", **options)
    return {finding.rule: finding for finding in found}


def change(execution: Execution, **columns: object) -> None:
    Execution.rows.filter(pk=execution.pk).update(**columns)


class Small(Workflow, name="health_small"):
    @step
    def first(self): ...

    @step
    def second(self): ...


class Patience(Workflow, name="health_patience", timeout=hours(1)):
    news = WaitForEvent("news", timeout=days(1))


class Question(Workflow, name="health_question"):
    ask = WaitForApproval(prompt="?")


class Caller(Workflow, name="health_caller"):
    answer = CallWorkflow(Question)


class Many(Workflow, name="health_many"):
    class Items(Each, max_concurrency=1):
        def items(self):
            return [1, 2, 3]

        news = WaitForEvent("news")


class Everything(Workflow, name="health_everything"):
    class Work(Parallel, on_error="complete_all"):
        @step(retry=Retry(max_attempts=3, base=hours(1)))
        def failing(self):
            raise ValueError

        class Legal(Lane):
            nap = Sleep(days(1))
            ask = WaitForApproval()

        class Rounds(Loop):
            def condition(self):
                return True

            news = WaitForEvent("news", timeout=days(2))


class Undone(Workflow, name="health_undone"):
    @step
    def charge(self):
        return {"paid": 1}

    @charge.compensate
    def refund(self):
        django_durable.wait_for_event("refunded", timeout=days(1))

    @step
    def fail(self):
        raise Fail("no")


@pytest.mark.parametrize(
    "workflow", [Small, Patience, Question, Caller, Many, Everything, Undone]
)
def test_an_execution_that_is_as_it_should_be_has_no_finding(workflow):
    execution = django_durable.start(workflow)
    assert rules() == {}
    factories.drain()
    assert rules() == {}

    if not factories.fresh(execution).is_final:
        django_durable.pause(execution)
    assert rules() == {}


def test_a_leased_execution_of_a_living_worker_has_no_finding(worker):
    from django_durable.store import leases

    django_durable.start(Small)

    leases.claim(queue="default", worker_id=worker.pk, limit=1, using="default")

    assert rules() == {}


def test_a_cancelled_family_leaves_nothing_behind():
    execution = django_durable.start(Everything)
    factories.drain()

    django_durable.cancel(execution)

    assert rules() == {}


def test_an_open_execution_that_nothing_will_move_is_found():
    execution = django_durable.start(Small)
    change(execution, available_at=None)

    finding = rules()["no_reason_to_move"]

    assert finding.ids == (str(execution.pk),)
    assert finding.remedy


def test_held_items_are_found_when_nobody_is_left_to_give_them_their_turn():
    execution = django_durable.start(Many)
    factories.drain()
    lanes = Execution.rows.filter(parent=execution.pk)
    at_work = lanes.get(started_at__isnull=False)

    lanes.filter(pk=at_work.pk).delete()
    Wait.objects.filter(lane=at_work.pk).delete()

    assert len(rules()["no_reason_to_move"].ids) == 2


def test_two_reasons_to_move_are_found():
    paused, leased = django_durable.start(Small), django_durable.start(Small)
    django_durable.pause(paused)
    change(paused, available_at=clock.now())
    [claimed] = factories.claim(limit=1)
    change(leased, available_at=clock.now())

    assert claimed.lease.execution_id == leased.pk
    assert rules()["two_reasons_to_move"].ids == (str(paused.pk), str(leased.pk))


def test_a_lease_in_a_status_in_which_none_holds_is_found(worker):
    execution = django_durable.start(Small)
    change(execution, leased_by=worker.pk, available_at=None)

    assert "leased_in_wrong_status" in rules()


def test_a_time_limit_without_a_timer_is_found():
    execution = django_durable.start(Patience)
    factories.drain()
    change(execution, available_at=None)

    assert rules()["timer_not_set"].ids == (str(execution.pk),)


def test_what_a_dead_worker_holds_is_found_unless_somebody_takes_it_back(worker):
    execution = django_durable.start(Small)
    factories.claim()

    assert rules()["lost_lease"].ids == (str(execution.pk),)

    factories.reap()
    assert rules() == {}


def test_a_worker_that_was_not_heard_of_for_a_lease_counts_as_dead(worker):
    from django_durable.store import leases

    django_durable.start(Small)
    leases.claim(queue="default", worker_id=worker.pk, limit=1, using="default")

    with clock.freeze(clock.now() + timedelta(hours=2)):
        found = rules()

    assert "lost_lease" in found


def test_a_queue_with_work_that_no_worker_serves_is_found():
    django_durable.start(Small, queue="nobody")

    finding = rules()["queue_without_worker"]

    assert (finding.about, finding.ids) == ("queue", ("nobody",))


def test_an_open_lane_of_an_ended_execution_is_found():
    orphan = django_durable.start(Small)

    change(orphan, is_lane=True, parent=orphan.pk, awaited_by=uuid4(), scope="x")

    assert rules()["lane_without_parent"].ids == (str(orphan.pk),)


@pytest.mark.parametrize("count", [0, 1, 7])
def test_a_wrong_count_of_open_lanes_is_found(count):
    execution = django_durable.start(Everything)
    factories.drain()
    change(execution, open_lanes=count)

    assert rules()["open_lanes_differ"].ids == (str(execution.pk),)


def test_a_block_whose_members_have_all_ended_unnoticed_is_found():
    execution = django_durable.start(Many)
    factories.drain()
    Execution.rows.filter(parent=execution.pk).update(parent=None, awaited_by=None)
    change(execution, open_lanes=0)

    assert "open_lanes_differ" in rules()


def test_a_wait_of_an_ended_execution_is_found():
    execution = django_durable.start(Question)
    factories.drain()
    django_durable.cancel(execution)
    Wait.objects.filter(execution=execution).update(status=WaitStatus.OPEN)

    found = rules()

    assert found["wait_of_ended_execution"].ids == (str(execution.pk),)
    assert found["wait_without_input"].ids == (str(execution.pk),)


def test_an_input_that_nobody_waits_for_is_found():
    execution = django_durable.start(Question)
    factories.drain()
    django_durable.provide_input(execution, "ask", "approved")
    factories.drain()
    InputRequest.objects.update(status=WaitStatus.OPEN)

    assert rules()["input_without_wait"].ids == (str(execution.pk),)


def test_a_child_whose_end_nobody_told_is_found():
    execution = django_durable.start(Caller)
    factories.drain()
    [child] = django_durable.list_children(execution)
    Wait.objects.filter(execution=child).delete()
    InputRequest.objects.all().delete()
    Execution.rows.filter(pk=child.pk).delete()

    assert rules()["child_has_ended"].ids == (str(execution.pk),)


def test_an_event_that_its_wait_did_not_get_is_found():
    execution = django_durable.start(Patience)
    factories.drain()
    Event.objects.create(execution=execution, name="other", created_at=clock.now())
    assert rules() == {}

    Event.objects.create(execution=execution, name="news", created_at=clock.now())

    assert rules()["event_not_delivered"].ids == (str(execution.pk),)


def test_rows_whose_execution_is_gone_are_found():
    row = Step.objects.create(
        execution_id=uuid4(),
        path="a",
        kind="step",
        sequence=0,
        attempt=1,
        status="completed",
        started_at=clock.now(),
        completed_at=clock.now(),
    )

    finding = rules()["orphan"]

    assert (finding.about, finding.ids) == ("step", (str(row.pk),))


def test_an_execution_whose_code_is_gone_is_found():
    lost = django_durable.start(Small)
    change(lost, workflow="health_gone")
    moved = django_durable.start(Small)
    change(moved, current_step="third", sequence=1)

    found = [
        finding
        for finding in health.examine(using="default")
        if finding.rule == "code_not_deployed"
    ]

    assert sorted(finding.ids for finding in found) == [
        (str(lost.pk),),
        (str(moved.pk),),
    ]
    assert any("no third" in finding.message for finding in found)


def test_a_finding_names_a_few_ids_and_says_that_there_are_more():
    for execution in django_durable.start_many(Small, [None] * 5):
        change(execution, available_at=None)

    finding = rules(limit=2)["no_reason_to_move"]

    assert (len(finding.ids), finding.has_more) == (2, True)


def test_only_what_is_found_twice_is_confirmed():
    execution = django_durable.start(Small)
    change(execution, available_at=None)
    first = health.examine(using="default")
    change(execution, available_at=clock.now())

    assert health.confirmed(first, health.examine(using="default")) == []
    assert health.confirmed(first, first) == first


def test_an_examination_costs_the_same_however_much_there_is():
    counts = []
    for _ in range(2):
        django_durable.start_many(Small, [None] * 20)
        factories.drain()
        with factories.counted() as statements:
            health.examine(using="default")
        counts.append(len(statements.queries))

    assert counts[0] == counts[1]


def test_a_retry_that_is_due_later_has_no_finding():
    class Retried(Workflow, name="health_retried"):
        @step(retry=Retry(max_attempts=2, base=seconds(3600)))
        def fail(self):
            raise ValueError

    django_durable.start(Retried)
    factories.drain()

    assert rules() == {}
