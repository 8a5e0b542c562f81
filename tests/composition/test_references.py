"""Lanes are the engine's: who has the id of one cannot break its execution with it."""

from __future__ import annotations

from functools import partial

import pytest

import django_durable as durable
from django_durable import (
    ExecutionNotFound,
    Fail,
    Lane,
    Parallel,
    WaitForApproval,
    WaitForEvent,
    Workflow,
    step,
)
from django_durable.models import Execution
from tests.factories import drain, finish, fresh

pytestmark = pytest.mark.django_db

OPERATIONS = {
    "cancel": durable.cancel,
    "retry": durable.retry,
    "pause": durable.pause,
    "resume": durable.resume,
    "send_event": partial(durable.send_event, name="news"),
    "provide_input": partial(durable.provide_input, name="ok", value="approved"),
}


class WithLanes(Workflow, name="referenced_lanes"):
    class Both(Parallel, on_error="complete_all"):
        class Asks(Lane):
            ok = WaitForApproval()

        class Listens(Lane):
            news = WaitForEvent("news")

        @step
        def fails(self):
            raise Fail("no")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_on_a_lane_is_refused_and_names_its_execution(operation):
    execution = durable.start(WithLanes)
    drain()

    for lane in Execution.rows.filter(is_lane=True):
        with pytest.raises(ExecutionNotFound, match=str(execution.pk)):
            OPERATIONS[operation](lane.pk)

    durable.provide_input(execution, "ok", "approved")
    durable.send_event(execution, "news", 1)
    assert finish(execution).status == "completed"


def test_a_lane_that_has_failed_is_not_retried_by_itself():
    execution = durable.start(WithLanes)
    drain()
    durable.cancel(execution)
    lane = Execution.rows.get(is_lane=True, status="failed")

    with pytest.raises(ExecutionNotFound, match="member"):
        durable.retry(lane)

    assert fresh(execution).status == "cancelled"
    assert not Execution.rows.open().exists()
