"""Whatever statement of the engine fails, a fresh worker comes to the same end."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.db import OperationalError

import django_durable as durable
from django_durable import (
    Branch,
    Case,
    Retry,
    Sleep,
    WaitForApproval,
    WaitForEvent,
    Workflow,
    checkpoint,
    get_context,
    hours,
    seconds,
    step,
)
from django_durable.models import Event, Execution, Step
from django_durable.runtime import persisting
from tests.factories import empty_tables
from tests.stories.crashing import (
    KEY,
    Crash,
    Fault,
    assert_nothing_is_left,
    changes_something,
    play,
    start_over,
)

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.usefixtures("transactional_db"),
    pytest.mark.timeout(600),
]

STEADY = Retry(max_attempts=9, base=seconds(1), jitter=0)

now_playing = Fault()
charged: list[str] = []


def charge() -> str:
    charged.append("receipt")
    return "receipt"


def begin() -> None:
    """Refuse to run a step again whose result is stored."""
    context = get_context()
    with now_playing.quiet():
        done = Step.objects.filter(
            execution=context.execution_id, path=context.step, status="completed"
        )
        if done.exists():
            raise durable.Fail(f"{context.step} runs again")


class Sequence(Workflow, retry=STEADY):
    """Steps, one after the other: a retry, two atomic ones, a branch."""

    done_by_group = "pay", "close"

    @step
    def fetch(self, ctx, n):
        begin()
        if ctx.attempt == 1:
            raise ConnectionError
        return {"fetched": n + 1}

    @step(atomic=True)
    def pay(self):
        begin()
        Group.objects.create(name="pay")
        return {"paid": True}

    class Route(Branch):
        def on(self, fetched):
            return fetched

        class Two(Case, when=2):
            @step
            def pack(self):
                begin()
                return {"packed": True}

    @step(atomic=True)
    def close(self):
        begin()
        Group.objects.create(name="close")


class Receiving(Workflow, retry=STEADY):
    """Events: one that came before its wait, and one that came after."""

    early = WaitForEvent("early")
    late = WaitForEvent("late")


class Expecting(Workflow, retry=STEADY):
    """What never comes, and the time."""

    @step
    def talk(self):
        begin()
        never = durable.wait_for_event("never", timeout=hours(1), timeout_value="none")
        return {"never": never}

    nap = Sleep(hours(2))


class Asking(Workflow, retry=STEADY):
    """A person."""

    decision = WaitForApproval()

    @step(atomic=True)
    def close(self):
        begin()
        Group.objects.create(name="close")


class Remembering(Workflow):
    """A checkpoint, and a report on the way."""

    @step
    def work(self, ctx):
        begin()
        receipt = checkpoint("charge", charge)
        ctx.heartbeat("charged")
        durable.wait_for_event("go")
        return {"receipt": receipt, "again": checkpoint("charge", lambda: "again")}


def act(workflow: type[Workflow], known: Execution | None) -> None:
    """Start the scenario, or do what it waits for others to do."""
    execution = known or durable.start(workflow, {"n": 1}, idempotency_key=KEY)
    if workflow is Receiving:
        name = "late" if known and known.current_step == "late" else "early"
        durable.send_event(execution, name, name, event_id=name)
    elif known and known.waiting_for == "the event go":
        durable.send_event(execution, "go", event_id="go")
    elif known and known.current_step == "decision":
        durable.provide_input(execution, "decision", "approved")


PATHS = {
    Sequence: ["fetch", "pay", "route.two.pack", "close"],
    Receiving: ["early", "late"],
    Expecting: ["talk", "nap"],
    Asking: ["decision", "close"],
    Remembering: ["work"],
}
RESULTS = {
    Sequence: {"n": 1, "fetched": 2, "paid": True, "packed": True},
    Receiving: {"n": 1, "early": "early", "late": "late"},
    Expecting: {"n": 1, "never": "none"},
    Asking: {"n": 1, "decision": "approved"},
    Remembering: {"n": 1, "receipt": "receipt", "again": "again"},
}
EFFECTS = {Sequence: ["close", "pay"], Asking: ["close"]}


def play_to_the_end(workflow: type[Workflow], fault: Fault) -> None:
    """Play with one fault, and look whether all is as without any."""
    global now_playing
    now_playing = fault
    charged.clear()
    start_over()
    execution = play(lambda known: act(workflow, known), fault)

    assert execution.status == "completed", execution.error
    assert execution.result == RESULTS[workflow]
    done = Step.objects.filter(execution=execution, status="completed")
    assert [one.path for one in done.order_by("sequence")] == PATHS[workflow]
    assert Execution.objects.count() == 1
    effects = Group.objects.order_by("name").values_list("name", flat=True)
    assert list(effects) == EFFECTS.get(workflow, [])
    if workflow is Remembering and fault.error is not Crash:
        # As long as the process lives, what a checkpoint has done is not done again.
        assert len(charged) == 1
    assert not Event.objects.filter(taken_by=None).exists()
    assert_nothing_is_left(execution)
    empty_tables()


@pytest.mark.parametrize("workflow", PATHS)
@pytest.mark.parametrize("mode", ["crash", "error", "answer lost"])
def test_whatever_statement_fails_the_end_is_the_same(workflow, mode, monkeypatch):
    monkeypatch.setattr(persisting, "_SHORTEST", 0.0)
    play_to_the_end(workflow, undisturbed := Fault())
    sent = undisturbed.seen
    assert len(sent) > 12
    error = Crash if mode == "crash" else OperationalError
    after = mode == "answer lost"
    # A crash is about what is committed, a lost answer about what may have been.
    struck = [
        n for n, sql in enumerate(sent) if mode == "error" or changes_something(sql)
    ]

    for at in struck:
        fault = Fault(at, error, after=after)
        try:
            play_to_the_end(workflow, fault)
        except BaseException as failed:
            failed.add_note(f"{mode} at {at}: {sent[at][:200]}")
            raise
        assert fault.has_struck
