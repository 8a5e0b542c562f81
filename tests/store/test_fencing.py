"""A lease that is lost writes nothing, in whatever way it was lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps

import django_durable as durable
from django_durable import WaitForEvent, Workflow, clock, step
from django_durable.engine.waiting import WaitKey, WaitRequest
from django_durable.exceptions import LeaseLost
from django_durable.ids import new_id
from django_durable.models import Execution
from django_durable.store import moves, progress, waits, workers
from django_durable.store.leases import Claimed, hold, holds
from django_durable.store.moves import Move, StepEnd
from django_durable.types import ExecutionStatus, StepKind, StepStatus, WaitKind
from tests.factories import NOON, WORKER, claim, drain, fresh, reap, run

pytestmark = pytest.mark.django_db


class Fenced(Workflow):
    @step
    def work(self):
        return {"worked": True}

    @step
    def wait(self):
        durable.wait_for_event("news")


def reaped(claimed: Claimed) -> None:
    assert reap() == 1


def reaped_and_claimed_by_another(claimed: Claimed) -> None:
    reaped(claimed)
    claim()


def released(claimed: Claimed) -> None:
    assert workers.release(WORKER, using="default") == 1


def cancelled(claimed: Claimed) -> None:
    durable.cancel(claimed.lease.execution_id)


def finished_by_another(claimed: Claimed) -> None:
    reaped(claimed)
    durable.send_event(claimed.lease.execution_id, "news")
    drain()


def parked(claimed: Claimed) -> None:
    run(claimed)


def parked_and_paused(claimed: Claimed) -> None:
    run(claimed)
    durable.pause(claimed.lease.execution_id)


def released_and_paused(claimed: Claimed) -> None:
    released(claimed)
    durable.pause(claimed.lease.execution_id)


LOSSES = [
    reaped,
    reaped_and_claimed_by_another,
    released,
    cancelled,
    finished_by_another,
    parked,
    parked_and_paused,
    released_and_paused,
]


def a_checkpoint(claimed: Claimed) -> None:
    assert moves.write([late_move(claimed)], using="default") == [None]


def an_end(claimed: Claimed) -> None:
    move = late_move(claimed, status=ExecutionStatus.COMPLETED, keeps_lease=False)
    assert moves.write([move], using="default") == [None]


def late_move(claimed: Claimed, **changes: Any) -> Move:
    end = StepEnd(
        path="work",
        kind=StepKind.STEP,
        sequence=claimed.sequence,
        attempt=claimed.attempt,
        status=StepStatus.COMPLETED,
        started_at=claimed.step_started_at,
        output={"late": True},
    )
    values = {
        "status": ExecutionStatus.RUNNING,
        "position": "elsewhere",
        "sequence": claimed.sequence + 1,
        "attempt": 7,
        "data": {"late": True},
        "step": end,
        "keeps_lease": True,
    }
    return Move(lease=claimed.lease, **{**values, **changes})


def a_wait(claimed: Claimed) -> None:
    request = WaitRequest(
        key=WaitKey(WaitKind.EVENT, "news", 0), names=("news",), due=timedelta(hours=1)
    )
    with pytest.raises(LeaseLost):
        waits.open_wait(claimed.lease, request, path="work", sequence=0, attempt=1)


def a_memory(claimed: Claimed) -> None:
    key = WaitKey(WaitKind.CHECKPOINT, "late", 0)
    with pytest.raises(LeaseLost):
        waits.remember(
            claimed.lease, key, 1, id=new_id(), path="work", sequence=0, attempt=1
        )


def a_report(claimed: Claimed) -> None:
    assert not progress.report(claimed.lease, {"done": 1})


def a_loss(claimed: Claimed) -> None:
    workers.lose(claimed.lease, "it broke off")


def a_whole_run(claimed: Claimed) -> None:
    run(claimed)


WRITES = [a_checkpoint, an_end, a_wait, a_memory, a_report, a_loss, a_whole_run]


def everything() -> dict[str, list[dict[str, Any]]]:
    """Return all rows of all tables of the engine."""
    return {
        model.__name__: list(model._base_manager.order_by("pk").values())
        for model in apps.get_app_config("django_durable").get_models()
    }


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("lose", LOSSES)
def test_what_a_lost_lease_writes_changes_nothing(lose, write):
    with clock.freeze(NOON):
        durable.start(Fenced)
        (claimed,) = claim()
        lose(claimed)
        before = everything()

        write(claimed)

        assert everything() == before


def test_a_lease_holds_until_it_is_lost():
    execution = durable.start(Fenced)
    (claimed,) = claim()
    assert holds(claimed.lease)
    assert hold(claimed.lease).pk == execution.pk

    durable.pause(execution)
    assert holds(claimed.lease)
    durable.resume(execution)
    assert holds(claimed.lease)

    durable.cancel(execution)
    assert not holds(claimed.lease)
    with pytest.raises(LeaseLost):
        hold(claimed.lease)


def test_one_lost_lease_in_a_batch_does_not_disturb_the_others():
    executions = durable.start_many(Fenced, [{}] * 3)
    claimed = {one.lease.execution_id: one for one in claim()}
    batch = [claimed[execution.pk] for execution in executions]
    durable.cancel(executions[1])

    written = moves.write([late_move(one) for one in batch], using="default")

    assert [one is not None for one in written] == [True, False, True]
    assert fresh(executions[0]).data == fresh(executions[2]).data == {"late": True}
    assert fresh(executions[1]).status == "cancelled"
    assert not executions[1].steps.exists()


def test_the_same_move_twice_records_its_step_once():
    execution = durable.start(Fenced)
    (claimed,) = claim()
    move = late_move(claimed)

    first = moves.write([move], using="default")
    second = moves.write([move], using="default")

    assert first[0] is not None
    assert second[0] is not None
    assert execution.steps.count() == 1
    assert fresh(execution).sequence == 1


def test_a_worker_that_slept_through_its_lease_never_matches_again():
    """Not even when the same worker claims the same execution a second time."""
    durable.start(Fenced)
    (first,) = claim()
    reap()
    (second,) = claim()

    assert first.lease.token < second.lease.token
    assert moves.write([late_move(first)], using="default") == [None]
    assert moves.write([late_move(second)], using="default") != [None]
    assert Execution.objects.get().lease_token == second.lease.token


class Waits(Workflow, name="fenced_wait"):
    news = WaitForEvent("news")


def test_a_wait_is_opened_once_when_the_first_answer_was_lost():
    """The commit happened, the answer did not come, and it is done again."""
    execution = durable.start(Waits)
    durable.send_event(execution, "news", 1)
    (claimed,) = claim()
    request = WaitRequest(key=WaitKey(WaitKind.EVENT, "news", 0), names=("news",))
    ask = {"path": "news", "sequence": 0, "attempt": 1}

    first = waits.open_wait(claimed.lease, request, **ask)
    second = waits.open_wait(claimed.lease, request, **ask)

    assert first == second
    assert first is not None
    assert first.value == 1
    assert execution.waits.count() == 1
    run(claimed)
    assert fresh(execution).result == {"news": 1}
