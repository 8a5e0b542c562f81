"""What is offered works, and what would not work is not offered: in each state there is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry

import django_durable as durable
from django_durable import (
    CallWorkflow,
    Fail,
    Parallel,
    Retry,
    Sleep,
    WaitForApproval,
    WaitForEvent,
    Workflow,
    clock,
    days,
    step,
)
from django_durable.admin.executions.operations import OPERATIONS
from django_durable.exceptions import DurableError
from django_durable.models import Execution
from django_durable.types import ExecutionStatus
from tests.admin.rows import act_url, page_url
from tests.factories import claim, drain, finish, fresh

pytestmark = pytest.mark.django_db


class Plain(Workflow, name="offers_plain"):
    @step
    def work(self): ...


class Sleeping(Workflow, name="offers_sleeping"):
    rest = Sleep(days(3))


class Awaiting(Workflow, name="offers_awaiting"):
    @step
    def charge(self): ...

    @charge.compensate
    def refund(self): ...

    paid = WaitForEvent("paid")


class Asking(Workflow, name="offers_asking"):
    decision = WaitForApproval(
        prompt="Well?", timeout=days(3), timeout_value="rejected"
    )


class Calling(Workflow, name="offers_calling"):
    called = CallWorkflow(Awaiting)


class Resting(Workflow, name="offers_resting"):
    class Both(Parallel):
        first = Sleep(days(1))
        second = WaitForEvent("paid")


class Retrying(Workflow, name="offers_retrying"):
    class Both(Parallel):
        first = WaitForEvent("paid")

        @step(retry=Retry(max_attempts=2, base=days(1)))
        def second(self):
            raise ConnectionError("refused")


class Standing(Workflow, name="offers_standing"):
    class Both(Parallel):
        first = WaitForEvent("paid")
        second = WaitForEvent("sent")


class Backing(
    Workflow, name="offers_backing", retry=Retry(max_attempts=2, base=days(1))
):
    @step
    def work(self):
        raise ConnectionError("refused")


class Breaking(Workflow, name="offers_breaking"):
    @step
    def work(self):
        raise Fail("no")


class Undoing(Workflow, name="offers_undoing"):
    @step
    def charge(self): ...

    @charge.compensate
    def refund(self): ...

    @step
    def work(self):
        raise Fail("no")


class Stuck(Workflow, name="offers_stuck"):
    @step
    def charge(self): ...

    @charge.compensate
    def refund(self):
        raise Fail("neither")

    @step
    def work(self):
        raise Fail("no")


class Tiresome(Workflow, name="offers_tiresome"):
    @step
    def charge(self): ...

    @charge.compensate(retry=Retry(max_attempts=2, base=days(1)))
    def refund(self):
        raise ConnectionError("refused")

    @step
    def work(self):
        raise Fail("no")


def _run(workflow: type[Workflow]) -> Execution:
    return finish(durable.start(workflow))


def _paused(execution: Execution) -> Execution:
    durable.pause(execution)
    return execution


def _cancelled(*, compensate: bool) -> Execution:
    execution = _run(Awaiting)
    durable.cancel(execution, compensate=compensate)
    return execution


def _claimed(execution: Execution) -> Execution:
    assert claim()
    return execution


def _child(workflow: type[Workflow]) -> Execution:
    _run(workflow)
    return Execution.objects.exclude(parent=None).get()


STATES: dict[str, tuple[Callable[[], Execution], str]] = {
    "due": (lambda: durable.start(Plain), "pending"),
    "later": (
        lambda: durable.start(Plain, scheduled_at=clock.now() + timedelta(days=1)),
        "pending",
    ),
    "backs off": (lambda: _run(Backing), "pending"),
    "runs": (lambda: _claimed(durable.start(Plain)), "running"),
    "sleeps": (lambda: _run(Sleeping), "waiting"),
    "waits for an event": (lambda: _run(Awaiting), "waiting"),
    "waits for a person": (lambda: _run(Asking), "waiting"),
    "waits for a child": (lambda: _run(Calling), "waiting"),
    "is waited for": (lambda: _child(Calling), "waiting"),
    "has a member that sleeps": (lambda: _run(Resting), "waiting"),
    "has a member that backs off": (lambda: _run(Retrying), "waiting"),
    "has members that wait": (lambda: _run(Standing), "waiting"),
    "paused before it began": (lambda: _paused(durable.start(Plain)), "paused"),
    "paused while it runs": (lambda: _paused(_claimed(durable.start(Plain))), "paused"),
    "paused while it sleeps": (lambda: _paused(_run(Sleeping)), "paused"),
    "paused while it waits": (lambda: _paused(_run(Awaiting)), "paused"),
    "is to be undone": (lambda: _cancelled(compensate=True), "compensating"),
    "backs off from undoing": (lambda: _run(Tiresome), "compensating"),
    "completed": (lambda: _run(Plain), "completed"),
    "failed": (lambda: _run(Breaking), "failed"),
    "cancelled": (lambda: _cancelled(compensate=False), "cancelled"),
    "undone": (lambda: _run(Undoing), "compensated"),
    "not undone": (lambda: _run(Stuck), "compensation_failed"),
}
GIVEN = {"reason": "a test", "name": "paid", "payload": "", "input": "{}"}


def test_every_status_is_tried():
    assert {status for _make, status in STATES.values()} == set(ExecutionStatus)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
@pytest.mark.parametrize("state", STATES)
def test_what_is_offered_works_and_nothing_else_would(boss, state, operation):
    make, status = STATES[state]
    execution = fresh(make())
    assert execution.status == status
    is_offered = f'data-action="{operation.name}"' in boss.get(page_url(execution)).text

    if is_offered:
        given = {"confirmed": "yes", **GIVEN}
        found = boss.post(act_url(execution, operation.name), given, follow=True)
        (told,) = found.context["messages"]
        assert told.level_tag == "success", told
        assert LogEntry.objects.filter(object_id=str(execution.pk)).count() == 1
        drain()
    else:
        before = _columns(execution)
        with contextlib.suppress(DurableError):
            operation.act(execution, {**GIVEN, "payload": None}, "default")
        assert _columns(execution) == before


def _columns(execution: Execution) -> dict[str, object]:
    """Return what is stored, but for the place among what is due already."""
    found = Execution.rows.filter(pk=execution.pk).values().get()
    is_due = found["available_at"] and found["available_at"] <= clock.now()
    return {**found, "available_at": "due"} if is_due else found
