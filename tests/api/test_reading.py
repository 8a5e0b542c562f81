"""Looking at executions: one, many, and the wait for a result."""

from __future__ import annotations

import threading
from uuid import UUID

import pytest
from django.db import connections

import django_durable as durable
from django_durable import (
    ExecutionFailed,
    ExecutionNotFound,
    ExecutionStatus,
    Fail,
    Retry,
    WaitForEvent,
    WaitTimeout,
    Workflow,
    clock,
    hours,
    seconds,
    step,
)
from django_durable.models import Execution
from tests.factories import NOON, drain, finish

UNKNOWN = UUID(int=7)


class Readable(Workflow):
    @step(retry=Retry(max_attempts=2, base=seconds(0)))
    def first(self, ctx):
        if ctx.attempt == 1:
            raise ConnectionError

    @step
    def second(self):
        return {"done": True}


class Failing(Workflow, name="reading_failing"):
    @step
    def work(self):
        raise Fail("no", n=1)


class Waiting(Workflow, name="reading_waiting"):
    news = WaitForEvent("news")


@pytest.mark.django_db
def test_an_execution_is_given_as_such_or_by_its_id():
    execution = durable.start(Readable)

    for given in (execution, execution.pk, str(execution.pk), execution.pk.hex):
        assert durable.get_execution(given) == execution


@pytest.mark.django_db
@pytest.mark.parametrize("unknown", [UNKNOWN, str(UNKNOWN), "nonsense", "", 7, None])
def test_what_is_not_there_is_not_found(unknown):
    calls = [
        durable.get_execution,
        durable.cancel,
        durable.retry,
        durable.pause,
        durable.resume,
        lambda one: durable.send_event(one, "news"),
        lambda one: durable.provide_input(one, "name", 1),
        lambda one: durable.wait_for_result(one, timeout=0.01),
    ]

    for call in calls:
        with pytest.raises(ExecutionNotFound):
            call(unknown)


@pytest.mark.django_db
def test_steps_come_in_the_order_in_which_they_began(django_assert_num_queries):
    execution = durable.start(Readable)
    drain()

    with django_assert_num_queries(2):
        found = durable.get_execution(execution, include_steps=True)
        steps = [(one.path, one.attempt, one.status) for one in found.steps.all()]

    assert steps == [
        ("first", 1, "failed"),
        ("first", 2, "completed"),
        ("second", 1, "completed"),
    ]


@pytest.mark.django_db
def test_the_public_fields_tell_how_it_went():
    with clock.freeze(NOON) as time:
        execution = durable.start(Waiting)
        time.advance(hours(1))
        drain()
        time.advance(hours(1))
        durable.send_event(execution, "news", 1)
        drain()
        found = durable.get_execution(execution)

    assert found.created_at == NOON
    assert found.started_at == NOON + hours(1)
    assert found.completed_at == NOON + hours(2)
    assert found.duration == hours(1)
    assert found.status == "completed" == ExecutionStatus.COMPLETED
    assert type(found.status) is str
    assert found.current_step == "news"
    (one,) = found.steps.all()
    assert (one.path, one.kind, one.status) == ("news", "wait", "completed")
    assert one.output == {"news": 1}
    assert (one.started_at, one.completed_at) == (NOON + hours(1), NOON + hours(2))


@pytest.mark.django_db
def test_executions_are_listed_newest_first_and_filtered():
    one = durable.start(Readable, tags=["red"])
    two = durable.start(Failing, tags=["red", "blue"])
    three = durable.start(Waiting, queue="other")
    drain("default", "other")

    listed = durable.list_executions
    assert listed() == [three, two, one]
    assert listed(workflow=Readable) == listed(workflow="readable") == [one]
    assert listed(status="failed") == listed(status=ExecutionStatus.FAILED) == [two]
    assert listed(status=["failed", "waiting"]) == [three, two]
    assert listed(status=[]) == []
    assert listed(queue="other") == [three]
    assert listed(tag="red") == [two, one]
    assert listed(tag="blue", workflow=Failing) == [two]
    assert listed(tag="green") == []
    assert listed(limit=1) == [three]
    assert listed(limit=1, offset=1) == [two]
    assert listed(offset=3) == []
    assert listed(workflow="unknown") == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    "tag",
    ["plain", "ünï 🚚", 'a"b', "a\\b", "100%", "a_b", "it's", "[1]", "a, b", "red"],
)
def test_a_tag_is_found_as_it_was_given(tag):
    execution = durable.start(Readable, tags=["other", tag])
    lookalikes = ["xplain", "plainx", "Red", "aXb", "b", "a", "10000", "1", "red!"]
    durable.start(Readable, tags=lookalikes)
    durable.start(Readable, tags=[f"x{tag}", f"{tag}x", f'x"{tag}', f'{tag}"x'])

    assert durable.list_executions(tag=tag) == [execution]


@pytest.mark.django_db
def test_there_are_no_children_without_calls():
    assert durable.list_children(durable.start(Readable)) == []


@pytest.mark.django_db
def test_the_result_of_what_has_ended_is_there_at_once():
    completed, failed = durable.start(Readable), durable.start(Failing)
    cancelled = durable.start(Waiting)
    drain()
    durable.cancel(cancelled, "enough")

    assert durable.wait_for_result(completed) == {"done": True}
    with pytest.raises(ExecutionFailed, match="failed: no") as caught:
        durable.wait_for_result(failed)
    assert caught.value.status == "failed"
    assert caught.value.error["details"] == {"n": 1}
    with pytest.raises(ExecutionFailed) as caught:
        durable.wait_for_result(cancelled)
    assert caught.value.status == "cancelled"


@pytest.mark.django_db
@pytest.mark.parametrize("timeout", [0.02, seconds(0.02), 0])
def test_waiting_for_a_result_ends_with_its_timeout(timeout):
    execution = finish(durable.start(Waiting))

    with pytest.raises(WaitTimeout):
        durable.wait_for_result(execution, timeout=timeout)


@pytest.mark.usefixtures("transactional_db")
def test_waiting_for_a_result_sees_the_end_that_another_brings():
    execution = finish(durable.start(Waiting))
    results: list[object] = []

    def wait():
        try:
            results.append(durable.wait_for_result(execution, timeout=20))
        finally:
            connections.close_all()

    thread = threading.Thread(target=wait)
    thread.start()
    durable.send_event(execution, "news", 5)
    drain()
    thread.join(30)

    assert results == [{"news": 5}]


@pytest.mark.django_db
def test_executions_are_ordinary_rows():
    durable.start(Readable, {"customer": "ann"})
    durable.start(Readable, {"customer": "bob"})

    found = Execution.objects.filter(input__customer="bob", workflow="readable")

    assert found.count() == 1
    assert isinstance(found.get().pk, UUID)
    assert str(found.get()).startswith("readable ")
