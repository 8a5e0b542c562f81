"""``async def`` steps."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group

import django_durable as durable
from django_durable import Retry, Workflow, checkpoint, get_context, step
from tests.factories import attempts, claim, finish, fresh, run


@pytest.mark.django_db
def test_an_async_step_awaits_and_returns():
    class Awaits(Workflow):
        @step
        async def call(self, n):
            await asyncio.sleep(0)
            results = await asyncio.gather(*(self.double(n + i) for i in range(3)))
            return {"results": results}

        async def double(self, n):
            await asyncio.sleep(0)
            return 2 * n

    assert finish(durable.start(Awaits, {"n": 1})).result["results"] == [2, 4, 6]


@pytest.mark.django_db
def test_an_async_step_uses_the_orm_in_the_transaction_of_its_caller():
    class Queries(Workflow):
        @step
        async def call(self):
            await Group.objects.acreate(name="x")
            names = [group.name async for group in Group.objects.all()]
            count = await sync_to_async(Group.objects.count)()
            return {"names": names, "count": count}

    execution = finish(durable.start(Queries))

    assert execution.result == {"names": ["x"], "count": 1}
    assert Group.objects.get().name == "x"


@pytest.mark.django_db
def test_what_an_async_step_raises_is_its_error():
    class Raises(Workflow):
        @step(retry=Retry(max_attempts=2, base=timedelta(0)))
        async def call(self, ctx):
            await asyncio.sleep(0)
            if ctx.attempt == 1:
                raise ConnectionError("no route")
            raise durable.Fail("no", n=1)

    execution = finish(durable.start(Raises))

    assert attempts(execution) == [("call", 1, "failed"), ("call", 2, "failed")]
    assert execution.steps.first().error["message"] == "no route"
    assert execution.error["details"] == {"n": 1}


@pytest.mark.django_db
@pytest.mark.parametrize(
    "error", [SystemExit, KeyboardInterrupt, asyncio.CancelledError]
)
def test_an_exit_in_an_async_step_is_its_error(error):
    class Exits(Workflow):
        @step
        async def call(self):
            await asyncio.sleep(0)
            raise error

    execution = durable.start(Exits)
    (claimed,) = claim()
    if error is KeyboardInterrupt:
        # Ctrl-C in the main thread belongs to whoever runs the command.
        with pytest.raises(KeyboardInterrupt):
            run(claimed)
        return
    run(claimed)

    assert fresh(execution).error["type"] == error.__name__


@pytest.mark.django_db
def test_an_async_step_waits_and_its_body_runs_again():
    runs = []

    class Waits(Workflow):
        @step
        async def call(self):
            runs.append(1)
            await asyncio.sleep(0)
            paid = durable.wait_for_event("paid")
            return {"paid": paid}

    execution = finish(durable.start(Waits))
    assert execution.status == "waiting"
    durable.send_event(execution, "paid", {"amount": 3})

    assert finish(execution).result == {"paid": {"amount": 3}}
    assert len(runs) == 2


@pytest.mark.django_db
def test_an_async_function_is_checkpointed_once():
    calls = []

    async def charge(amount, *, currency):
        await asyncio.sleep(0)
        calls.append((amount, currency))
        return {"receipt": len(calls)}

    class Charges(Workflow):
        @step
        async def call(self):
            receipt = await checkpoint("charge", charge, 3, currency="EUR")
            durable.wait_for_event("sent")
            return receipt

    execution = finish(durable.start(Charges))
    assert execution.waits.filter(kind="checkpoint").count() == 1
    durable.send_event(execution, "sent")

    assert finish(execution).result == {"receipt": 1}
    assert calls == [(3, "EUR")]


@pytest.mark.usefixtures("transactional_db")
def test_blocking_calls_of_an_async_step_store_what_they_do():
    calls = []

    class Mixed(Workflow):
        @step
        async def call(self, ctx):
            await asyncio.sleep(0)
            ctx.heartbeat({"at": 1})
            value = checkpoint("value", lambda: calls.append(1) or len(calls))
            given = ctx.input
            await asyncio.sleep(0)
            durable.wait_for_event("go")
            return {"value": value, "given": given["n"]}

    execution = finish(durable.start(Mixed, {"n": 5}))
    assert execution.status == "waiting", execution.error
    assert execution.progress["details"] == {"at": 1}
    durable.send_event(execution, "go")

    assert finish(execution).result == {"n": 5, "value": 1, "given": 5}
    assert calls == [1]


@pytest.mark.django_db
def test_blocking_calls_of_an_async_step_work_in_the_transaction_of_a_test():
    class Mixed(Workflow):
        @step
        async def call(self, ctx):
            ctx.heartbeat({"at": 1})
            value = checkpoint("value", lambda: 7)
            return {"value": value, "given": ctx.input["n"]}

    execution = finish(durable.start(Mixed, {"n": 5}))

    assert execution.result == {"n": 5, "value": 7, "given": 5}


@pytest.mark.django_db
def test_the_context_is_known_everywhere_below_an_async_step():
    seen = []

    class Nested(Workflow):
        @step
        async def call(self, ctx):
            async def below():
                seen.append(get_context() is ctx)

            await asyncio.gather(below(), below())
            seen.append(await sync_to_async(get_context)() is ctx)

    finish(durable.start(Nested))

    assert seen == [True, True, True]


@pytest.mark.django_db
def test_an_async_step_that_takes_too_long_is_cancelled():
    ended = []

    class Late(Workflow):
        @step(timeout=timedelta(milliseconds=250))
        async def call(self):
            try:
                await asyncio.sleep(30)
            finally:
                ended.append("cleaned up")

    execution = finish(durable.start(Late))

    assert execution.error["type"] == "step_timeout"
    assert attempts(execution) == [("call", 1, "timed_out")]
    assert ended == ["cleaned up"]
