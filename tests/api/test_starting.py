"""What an execution is when it begins, and what is refused."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django import forms
from django.contrib.auth.models import Group

import django_durable as durable
from django_durable import (
    InvalidInput,
    NotStorable,
    UnknownWorkflow,
    Workflow,
    clock,
    hours,
    step,
)
from django_durable.models import Execution
from tests.factories import NOON, drain, finish, fresh

pytestmark = pytest.mark.django_db


class Startable(Workflow, queue="default", priority=4, timeout=hours(9)):
    @step
    def work(self, data):
        return {"worked": True}


class OrderForm(forms.Form):
    order_id = forms.IntegerField()
    note = forms.CharField(required=False)


class Formed(Workflow, name="formed", input_form=OrderForm):
    @step
    def work(self, order_id):
        return {"next": order_id + 1}


def test_an_execution_begins_with_what_it_was_given():
    with clock.freeze(NOON):
        execution = durable.start(
            Startable,
            {"order_id": 7, "price": Decimal("1.50")},
            queue="other",
            priority=-3,
            tags=["red", "blue"],
            idempotency_key="order 7",
            timeout=hours(2),
        )
        stored = fresh(execution)

    for one in (execution, stored):
        assert isinstance(one.id, UUID)
        assert one.workflow == "startable"
        assert one.status == "pending"
        assert one.queue == one.home_queue == "other"
        assert one.priority == -3
        assert one.tags == ["red", "blue"]
        assert one.idempotency_key == "order 7"
        assert one.input == one.data == {"order_id": 7, "price": Decimal("1.50")}
        assert one.timeout == hours(2)
        assert one.created_at == one.available_at == NOON
        assert one.result is one.error is one.started_at is one.completed_at is None
        assert one.parent is None
        assert one.waiting_for == ""
        assert one.current_step == Startable.definition.first()
    assert execution.created


def test_what_is_not_said_comes_from_the_class():
    execution = fresh(durable.start(Startable))

    assert execution.queue == "default"
    assert execution.priority == 4
    assert execution.timeout == hours(9)
    assert execution.tags == []
    assert execution.input == {}


def test_zero_is_a_priority():
    assert durable.start(Startable, priority=0).priority == 0


def test_a_workflow_is_given_as_class_or_by_its_name():
    assert durable.start("startable").workflow == "startable"

    with pytest.raises(UnknownWorkflow, match=r"'startabel'.*startable"):
        durable.start("startabel")
    with pytest.raises(UnknownWorkflow):
        durable.start(dict)
    with pytest.raises(UnknownWorkflow):
        durable.start(None)


def test_an_abstract_workflow_cannot_be_started():
    class Base(Workflow, abstract=True):
        @step
        def work(self): ...

    with pytest.raises(UnknownWorkflow, match="abstract"):
        durable.start(Base)


def test_ids_are_ordered_by_time():
    started = [durable.start(Startable).id for _ in range(20)]
    started += [one.id for one in durable.start_many(Startable, [{}] * 20)]

    assert started == sorted(started)


def test_a_later_start_waits_and_says_so():
    moment = NOON + hours(3)
    with clock.freeze(NOON) as time:
        execution = durable.start(Startable, scheduled_at=moment)
        assert execution.available_at == execution.scheduled_at == moment
        assert execution.waiting_for == "its start at 2030-03-01 15:00:00 UTC"
        assert drain() == 0
        time.advance(hours(3))
        execution = finish(execution)

    assert execution.status == "completed"
    assert execution.waiting_for == ""


@pytest.mark.parametrize("given", [[1], "text", 7, [("a", 1)]])
def test_an_input_is_a_mapping(given):
    with pytest.raises(InvalidInput):
        durable.start(Startable, given)

    assert not Execution.objects.exists()


@pytest.mark.parametrize(
    "options",
    [
        {"scheduled_at": datetime(2030, 1, 1)},  # noqa: DTZ001
        {"tags": "red"},
        {"tags": ["a\u0000"]},
        {"idempotency_key": "x" * 256},
        {"idempotency_key": "\u0000"},
        {"queue": "x" * 101},
        {"scheduled_at": "tomorrow"},
        {"timeout": 5},
        {"timeout": timedelta(days=10**6)},
        {"timeout": timedelta.max},
        {"timeout": timedelta(0)},
        {"priority": "high"},
        {"priority": 1.5},
        {"priority": 2**31},
    ],
    ids=str,
)
def test_an_option_that_cannot_be_stored_is_refused_and_nothing_written(options):
    with pytest.raises((TypeError, ValueError)):
        durable.start(Startable, **options)
    with pytest.raises((TypeError, ValueError)):
        durable.start_many(Startable, [{}], **options)

    assert not Execution.objects.exists()


def test_the_form_of_a_workflow_cleans_its_input():
    execution = durable.start(Formed, {"order_id": "7"})

    assert execution.input == {"order_id": 7, "note": ""}
    assert finish(execution).result["next"] == 8


def test_an_input_that_its_form_refuses_starts_nothing():
    with pytest.raises(InvalidInput) as refused:
        durable.start(Formed, {"order_id": "seven"})
    assert set(refused.value.errors) == {"order_id"}
    with pytest.raises(InvalidInput):
        durable.start_many(Formed, [{"order_id": 1}, {}])

    assert not Execution.objects.exists()


def test_start_many_starts_one_for_each_input_in_order():
    with clock.freeze(NOON):
        started = durable.start_many(
            Startable, ({"n": n} for n in range(3)), priority=9, tags=["many"]
        )

        drain()

    assert [one.input for one in started] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert {one.priority for one in started} == {9}
    assert durable.start_many(Startable, []) == []
    assert {fresh(one).status for one in started} == {"completed"}


def test_start_many_takes_no_key():
    with pytest.raises(TypeError, match="idempotency_key"):
        durable.start_many(Startable, [{}], idempotency_key="k")


def test_start_many_is_all_or_nothing():
    with pytest.raises(NotStorable):
        durable.start_many(Startable, [{"n": 1}, {"f": print}])

    assert not Execution.objects.exists()


def test_a_stored_instance_is_fetched_again():
    class Greets(Workflow, name="starting_greets"):
        @step
        def work(self, group):
            return {"name": group.name}

    group = Group.objects.create(name="old")
    execution = durable.start(Greets, {"group": group})
    Group.objects.update(name="new")

    assert finish(execution).result["name"] == "new"
    assert fresh(execution).input["group"] == group


def test_the_timeout_may_be_given_as_any_length():
    execution = durable.start(Startable, timeout=timedelta(days=400))

    assert fresh(execution).timeout == timedelta(days=400)
