"""Each function has a twin for asynchronous callers."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync

import django_durable as durable
from django_durable import ExecutionNotFound, WaitForEvent, WaitForText, Workflow, step
from tests.factories import drain, fresh

pytestmark = pytest.mark.django_db


class Twin(Workflow, name="twin"):
    @step
    def work(self):
        return {"worked": True}


class TwinWaiting(Workflow, name="twin_waiting"):
    news = WaitForEvent("news")
    note = WaitForText()


class TwinFailing(Workflow, name="twin_failing"):
    @step
    def work(self):
        raise ValueError


FUNCTIONS = [
    "start",
    "start_many",
    "get_execution",
    "list_executions",
    "list_children",
    "cancel",
    "retry",
    "pause",
    "resume",
    "run_now",
    "send_event",
    "provide_input",
    "list_pending_inputs",
    "schedule",
    "list_schedules",
    "get_schedule",
    "update_schedule",
    "delete_schedule",
    "enable_schedule",
    "disable_schedule",
    "trigger_schedule",
]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_there_is_one_for_each(name):
    assert callable(getattr(durable, name))
    assert callable(getattr(durable, f"a{name}"))
    assert f"a{name}" in durable.__all__


def test_they_do_what_their_twins_do():
    async def operate():
        one = await durable.astart(Twin, {"n": 1}, tags=["a"])
        two, three = await durable.astart_many(Twin, [{}, {}])
        assert (await durable.aget_execution(one)).input == {"n": 1}
        assert await durable.alist_executions(tag="a") == [one]
        assert await durable.alist_children(one) == []
        await durable.apause(two)
        await durable.aresume(two)
        await durable.acancel(three, "no")
        with pytest.raises(ExecutionNotFound):
            await durable.aget_execution("nonsense")
        return one, two, three

    one, two, three = async_to_sync(operate)()
    drain()

    assert fresh(one).status == fresh(two).status == "completed"
    assert fresh(three).error["message"] == "no"


def test_they_send_answer_and_wait():
    execution = durable.start(TwinWaiting)
    drain()

    async def send():
        event = await durable.asend_event(execution, "news", 1, event_id="e")
        again = await durable.asend_event(execution, "news", 1, event_id="e")
        assert event == again

    async_to_sync(send)()
    drain()

    async def answer():
        (pending,) = await durable.alist_pending_inputs(execution)
        assert pending.name == "note"
        await durable.aprovide_input(execution, "note", "fine")

    async_to_sync(answer)()
    drain()

    async def wait():
        return await durable.await_for_result(execution, timeout=5)

    assert async_to_sync(wait)() == {"news": 1, "note": "fine"}


def test_they_retry_and_tell_of_failures():
    execution = durable.start(TwinFailing)
    drain()

    async def look():
        with pytest.raises(durable.ExecutionFailed) as caught:
            await durable.await_for_result(execution)
        await durable.aretry(execution)
        with pytest.raises(durable.WaitTimeout):
            await durable.await_for_result(execution, timeout=0.01)
        return caught.value

    assert async_to_sync(look)().error["type"] == "ValueError"
    assert fresh(execution).status == "pending"
