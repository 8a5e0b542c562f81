"""Workflows that several processes run at once."""

from __future__ import annotations

from contextlib import suppress

from django_durable import (
    CallWorkflow,
    ChildFailed,
    Each,
    Fail,
    Lane,
    Parallel,
    Retry,
    WaitForApproval,
    WaitForEvent,
    WaitTimeout,
    Workflow,
    call_workflow,
    seconds,
    step,
    wait_for_all,
)


class TwoAtOnce(Workflow, name="raced_two_at_once"):
    class Both(Parallel):
        @step(queue="left")
        def left(self):
            return {"n": 1}

        @step(queue="right")
        def right(self):
            return {"n": 2}

    @step
    def after(self): ...


class HuntKid(Workflow):
    """Waits for news, in lanes of its own."""

    class Both(Parallel):
        class One(Lane):
            news = WaitForEvent("news", timeout=seconds(0.3), timeout_value=None)

        @step
        def other(self): ...

    @step
    def work(self, n):
        if n % 7 == 0:
            raise Fail("kid")


class HuntFamily(Workflow):
    """Items with lanes that ask, call, listen and fail, each for a short while."""

    @step
    def begin(self): ...

    @begin.compensate
    def unbegin(self): ...

    class Every(Each, max_concurrency=3):
        def items(self, n):
            return range(n, n + 5)

        class Inner(Parallel):
            class Asks(Lane):
                ok = WaitForApproval(timeout=seconds(0.4), timeout_value="none")

            class Calls(Lane):
                @step(retry=Retry(max_attempts=2, base=seconds(0.01)))
                def call(self, index):
                    with suppress(ChildFailed):
                        call_workflow(
                            HuntKid,
                            {"n": index},
                            timeout=seconds(0.5),
                            timeout_value=0,
                        )

            class Gathers(Lane):
                @step
                def gather(self):
                    with suppress(WaitTimeout):
                        wait_for_all(["news", "never"], timeout=seconds(0.3))

            class Listens(Lane):
                news = WaitForEvent("news", timeout=seconds(0.3), timeout_value=0)

                @step
                def perhaps(self, item):
                    if item % 11 == 0:
                        raise Fail("listener")

    kid = CallWorkflow(HuntKid, input={"n": 1}, timeout=seconds(1), timeout_value=0)
