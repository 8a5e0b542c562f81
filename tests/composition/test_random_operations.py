"""Whatever operators do to a family, at whatever moment, it keeps its promises.

``DURABLE_RANDOM_OPERATIONS=2000`` runs that many examples.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

import django_durable as durable
from django_durable import (
    ChildFailed,
    DurableError,
    Each,
    Fail,
    Lane,
    Loop,
    Parallel,
    Retry,
    WaitForApproval,
    WaitForEvent,
    WaitTimeout,
    Workflow,
    call_workflow,
    clock,
    minutes,
    seconds,
    step,
    wait_for_all,
)
from django_durable.models import Execution, InputRequest, Wait
from django_durable.store.health import examine
from tests.factories import NOON, claim, reap, run

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(0)]

EXAMPLES = int(os.environ.get("DURABLE_RANDOM_OPERATIONS", "12"))
STEADY = Retry(max_attempts=2, base=seconds(1), jitter=0)


class OperatedKid(Workflow):
    class Both(Parallel, on_error="complete_all"):
        class One(Lane):
            news = WaitForEvent("news", timeout=minutes(3), timeout_value="none")

        @step
        def other(self): ...

    @step(retry=STEADY)
    def work(self, n):
        if n % 2:
            raise Fail("kid")

    @work.compensate
    def unwork(self): ...


class OperatedFamily(Workflow):
    """Something of everything; ``n`` says what fails."""

    @step(retry=STEADY)
    def begin(self, ctx, n):
        if ctx.attempt == 1 and n % 5 == 4:
            raise ConnectionError

    @begin.compensate(retry=STEADY)
    def unbegin(self, ctx, n):
        durable.wait_for_event("undone", timeout=minutes(1), timeout_value=None)
        if n % 5 == 3:
            raise ConnectionError

    class Every(Each, max_concurrency=2):
        def items(self, n):
            return range(n % 4)

        class Inner(Parallel):
            class Asks(Lane):
                ok = WaitForApproval(timeout=minutes(4), timeout_value="none")

            class Calls(Lane):
                @step(retry=STEADY)
                def call(self, index, n):
                    with suppress(ChildFailed):
                        call_workflow(OperatedKid, {"n": n + index}, timeout=minutes(2))

            class Gathers(Lane):
                @step(retry=STEADY)
                def gather(self):
                    with suppress(WaitTimeout):
                        wait_for_all(["news", "more"], timeout=minutes(1))

        @step(retry=STEADY)
        def after(self, item, n):
            if (item + n) % 3 == 2:
                raise ConnectionError

    class Rounds(Loop):
        def condition(self, ctx, n):
            return ctx.iteration < n % 3

        class Pair(Parallel):
            @step(queue="default")
            def left(self): ...

            class Right(Lane):
                news = WaitForEvent("more", timeout=minutes(1), timeout_value=0)


ACTIONS = st.sampled_from(
    [
        *["run"] * 6,
        *["hold", "let go", "crash"],
        *["pass"] * 2,
        *["news", "more", "undone", "answer"],
        *["pause", "resume", "cancel", "undo", "retry"],
    ]
)


class Scene:
    """One family, and what a worker holds of it without having run it yet."""

    def __init__(self, n, time):
        self.time = time
        self.root = durable.start(OperatedFamily, {"n": n})
        self.held = []

    def act(self, action, choice):
        match action:
            case "run":
                for one in claim(limit=1):
                    run(one)
            case "hold":
                self.held += claim(limit=1)
            case "let go":
                for one in self.held:
                    run(one)
                self.held = []
            case "crash":
                reap()
                self.held = []
            case "pass":
                self.time.advance(minutes(choice % 3) + seconds(1))
            case _:
                known = list(Execution.objects.order_by("id"))
                self.operate(action, known[choice % len(known)])

    def operate(self, action, execution):
        with suppress(DurableError):
            match action:
                case "answer":
                    durable.provide_input(execution, "ok", "approved")
                case "pause":
                    durable.pause(execution)
                case "resume":
                    durable.resume(execution)
                case "cancel":
                    durable.cancel(execution)
                case "undo":
                    durable.cancel(execution, compensate=True)
                case "retry":
                    durable.retry(execution)
                case name:
                    durable.send_event(execution, name)

    def end(self):
        """Let everything come to its end: nobody pauses any more, and time passes."""
        self.act("let go", 0)
        for _ in range(60):
            for paused in Execution.objects.filter(status="paused"):
                durable.resume(paused)
            while claimed := claim(limit=5):
                for one in claimed:
                    run(one)
            if not Execution.rows.open().exists():
                return
            self.time.advance(minutes(1))
        rows = Execution.rows.open().values_list("scope", "status", "waiting_for")
        raise AssertionError(f"it does not end: {list(rows)}")


OF_WORKERS = {"lost_lease", "queue_without_worker"}
"""There is no worker here but the test."""


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    n=st.integers(0, 60),
    actions=st.lists(st.tuples(ACTIONS, st.integers(0, 5)), max_size=40),
)
def test_whatever_is_done_to_a_family_the_doctor_finds_nothing(n, actions):
    with clock.freeze(NOON) as time, undone_afterwards():
        scene = Scene(n, time)
        for action, choice in actions:
            scene.act(action, choice)
            found = [
                one for one in examine(using="default") if one.rule not in OF_WORKERS
            ]
            assert not found, (action, choice)
        scene.end()

        note(f"{scene.root.status}")
        assert not Wait.objects.filter(status="open").exists()
        assert not InputRequest.objects.filter(status="open").exists()
        assert not examine(using="default")


@contextmanager
def undone_afterwards():
    """Leave nothing to the next example."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
