"""What is done to one execution from its page."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

import pytest
from django import forms
from django.contrib.admin.models import LogEntry

import django_durable as durable
from django_durable import Sleep, WaitForEvent, Workflow, clock, days, step
from django_durable.admin.executions import acting
from django_durable.models import Execution, Step
from django_durable.models.fields import Encoded
from tests.admin.rows import (
    act_url,
    elements,
    list_url,
    make_execution,
    page_url,
    text_of,
)
from tests.factories import drain, finish, fresh

pytestmark = pytest.mark.django_db


class OrderForm(forms.Form):
    order = forms.IntegerField(min_value=1)


class Operable(Workflow, name="admin_operable", input_form=OrderForm):
    @step
    def charge(self, order):
        return {"receipt": order}

    @charge.compensate
    def refund(self): ...

    paid = WaitForEvent("paid")

    @step
    def ship(self, paid): ...


class WayForm(forms.Form):
    way = forms.ChoiceField(choices=[("air", "By air"), ("sea", "By sea")])


class Choosy(Workflow, name="admin_choosy", input_form=WayForm):
    @step
    def send(self, way): ...


class Breaking(Workflow, name="admin_breaking"):
    is_repaired = False

    @step
    def work(self):
        if not type(self).is_repaired:
            raise ConnectionError("refused")


class Typed(Workflow, name="admin_typed"):
    @step
    def work(self): ...


@pytest.fixture
def execution() -> Execution:
    found = durable.start(Operable, {"order": 7}, tags=["vip"], priority=3)
    drain()
    return fresh(found)


def act(client, execution, operation, /, **given):
    return client.post(act_url(execution, operation), {"confirmed": "yes", **given})


def history(execution) -> list[str]:
    entries = LogEntry.objects.filter(object_id=str(execution.pk))
    return [entry.change_message for entry in entries.order_by("id")]


def test_cancel_with_a_reason(boss, execution):
    found = act(boss, execution, "cancel", reason="a wrong price")

    assert found.headers["Location"] == page_url(execution)
    execution = fresh(execution)
    assert (execution.status, execution.error["message"]) == (
        "cancelled",
        "a wrong price",
    )
    assert history(execution) == ["Cancelled: a wrong price"]
    assert not Step.objects.filter(kind="compensation").exists()


def test_cancel_and_undo(boss, execution):
    act(boss, execution, "cancel", compensate="on")

    assert finish(execution).status == "compensated"
    assert history(execution) == ["Cancelled, with compensation"]
    assert Step.objects.filter(kind="compensation", path="charge").exists()


def test_pause_and_resume(boss, execution):
    act(boss, execution, "pause", reason="let me look")
    assert fresh(execution).status == "paused"

    act(boss, execution, "resume")
    assert fresh(execution).status == "waiting"
    assert history(execution) == ["Paused: let me look", "Resumed"]


def test_retry(boss):
    execution = finish(durable.start(Breaking))
    Breaking.is_repaired = True
    try:
        act(boss, execution, "retry")
        assert finish(execution).status == "completed"
    finally:
        Breaking.is_repaired = False
    assert history(execution) == ["Retried"]


def test_an_event_is_sent_with_what_it_brings(boss, execution):
    asked = boss.get(act_url(execution, "send-event")).text
    names = [
        attributes.get("value")
        for tag, attributes in elements(asked)
        if tag == "input" and attributes.get("name") == "name"
    ]
    assert names == ["paid"]
    assert "null" not in asked

    act(boss, execution, "send-event", name="paid", payload='{"amount": 5}')

    assert finish(execution).data["paid"] == {"amount": 5}
    assert history(execution) == ["Sent the event paid"]


def test_an_event_may_bring_nothing(boss, execution):
    act(boss, execution, "send-event", name="paid", payload="")

    assert finish(execution).data["paid"] is None


@pytest.mark.parametrize(
    "payload", ["{", "[" * 100_000, "9" * 10_000, '"' + "\\ud800" + '"', "NaN"]
)
def test_a_payload_that_cannot_be_stored_is_told_in_the_form(boss, execution, payload):
    found = act(boss, execution, "send-event", name="paid", payload=payload)

    assert found.status_code == 200
    assert 'class="errorlist' in found.text
    assert not execution.events.exists()
    assert history(execution) == []


def test_start_again_with_the_same_input(boss, execution):
    found = act(boss, execution, "start-again", input=json.dumps({"order": 7}))

    again = Execution.objects.exclude(pk=execution.pk).get()
    assert found.headers["Location"] == page_url(again)
    assert (again.workflow, again.input) == (execution.workflow, {"order": 7})
    assert (again.tags, again.priority) == (["vip"], 3)
    assert history(execution) == [f"Started again as {again.pk}"]
    assert history(again) == [f"Started again from {execution.pk}"]


def test_start_again_begins_with_the_input_that_there_was(boss):
    value = {"price": Decimal("1.50"), "when": datetime(2030, 1, 1, tzinfo=UTC)}
    execution = make_execution(workflow="admin_typed", input=value)

    asked = boss.get(act_url(execution, "start-again")).context["form"]["input"]
    act(boss, execution, "start-again", input=asked.value())

    again = Execution.objects.exclude(pk=execution.pk).get()
    assert again.input == value


def test_start_again_with_another_input(boss, execution):
    act(boss, execution, "start-again", input='{"order": 8}', reason="it was for him")

    again = Execution.objects.exclude(pk=execution.pk).get()
    assert again.input == {"order": 8}
    assert history(execution) == [f"Started again as {again.pk}: it was for him"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"order": 0}', "order: Ensure this value is greater than or equal to 1."),
        ("[]", "Give a JSON object."),
        ("{", "Enter a valid JSON."),
        ('{"order": {"$type": "nonsense"}}', "which this version of the code"),
        ('{"order": {"$type": "dataclass", "class": "os:system"}}', "os:system"),
    ],
)
def test_an_input_that_is_refused_is_told_in_the_form(boss, execution, text, told):
    found = act(boss, execution, "start-again", input=text)

    assert found.status_code == 200
    assert told in text_of(found.text)
    assert Execution.objects.count() == 1
    assert history(execution) == []


GONE = {"order": {"$type": "dataclass", "class": "shop.gone:Order", "fields": {}}}


def test_an_input_of_which_the_class_is_gone_is_not_started_with_again(login):
    execution = make_execution(workflow="admin_typed", input=Encoded(GONE))
    sam = login("view_execution", "start_execution")

    found = act(sam, execution, "start-again")

    assert found.status_code == 200
    assert 'class="errorlist' in found.text
    assert Execution.objects.count() == 1


def test_what_is_wrong_with_a_hidden_input_is_told_without_its_values(login):
    execution = make_execution(workflow="admin_choosy", input={"way": "sesame"})
    sees, blind = (
        login("view_execution", "start_execution", *more, name=f"user{len(more)}")
        for more in (("view_payload",), ())
    )

    found = act(blind, execution, "start-again")
    asked = act(sees, execution, "start-again", input='{"way": "sesame"}')

    assert "refuses this input: way." in text_of(found.text)
    assert "sesame" not in found.text
    assert "sesame" in asked.text
    assert Execution.objects.count() == 1


def test_delete(boss):
    execution = make_execution()

    found = act(boss, execution, "delete", reason="a test")

    assert found.headers["Location"] == list_url()
    assert not Execution.objects.exists()
    entry = LogEntry.objects.get()
    assert entry.is_deletion()
    assert entry.change_message == "Deleted: a test"


@pytest.mark.parametrize("name", ["retry", "resume", "delete"])
def test_what_the_status_does_not_allow_is_not_done(boss, execution, name):
    before = Execution.objects.values().get()

    asked = boss.get(act_url(execution, name))
    done = act(boss, execution, name)

    for found in (asked, done):
        assert "It is waiting, so this cannot be done." in text_of(found.text)
    assert Execution.objects.values().get() == before
    assert history(execution) == []


def test_who_comes_too_late_is_told(boss, execution, monkeypatch):
    unaware = acting.find

    def late(*arguments, **options):
        found = unaware(*arguments, **options)
        durable.cancel(execution)
        return found

    monkeypatch.setattr(acting, "find", late)

    found = boss.post(act_url(execution, "pause"), {"confirmed": "yes"}, follow=True)

    assert "has ended: it is cancelled" in text_of(found.text)
    assert history(execution) == []


def test_a_family_with_an_open_member_is_left(boss):
    execution = make_execution()
    make_execution(parent=execution, status="waiting")

    found = boss.post(act_url(execution, "delete"), {"confirmed": "yes"}, follow=True)

    (told,) = found.context["messages"]
    assert told.level_tag == "error"
    assert Execution.objects.count() == 2
    assert history(execution) == []


def test_there_is_nothing_else_to_be_done(boss, execution):
    assert boss.get(act_url(execution, "explode")).status_code == 404
    execution.pk = uuid4()
    assert boss.get(act_url(execution, "cancel")).status_code == 404


def test_nothing_is_done_to_a_lane(boss, execution):
    lane = make_execution(parent=execution, is_lane=True, status="running")

    assert act(boss, lane, "cancel").status_code == 404
    assert Execution.rows.get(pk=lane.pk).status == "running"


def test_to_look_is_to_change_nothing(boss, execution):
    before = Execution.objects.values().get()

    for name in ("cancel", "pause", "send-event", "start-again"):
        assert boss.get(act_url(execution, name)).status_code == 200

    assert Execution.objects.values().get() == before
    assert Execution.objects.count() == 1


class Sleepy(Workflow, name="admin_sleepy"):
    rest = Sleep(days(3))


def test_what_waits_for_a_time_only_is_run_now(boss):
    sleeping = durable.start(Sleepy)
    later = durable.start(Sleepy, scheduled_at=clock.now() + days(1))
    waiting = durable.start(Operable, {"order": 7})
    drain()

    for execution, is_offered in ((sleeping, True), (later, True), (waiting, False)):
        page = boss.get(page_url(execution)).text
        assert ('data-action="run-now"' in page) == is_offered
        act(boss, execution, "run-now", reason="enough")
    drain()

    assert fresh(sleeping).status == "completed"
    assert fresh(later).status == "waiting"
    assert fresh(waiting).status == "waiting"
    assert history(sleeping) == ["Run at once: enough"]
    assert history(waiting) == []
