"""Random workflows with a crash at a random statement do what they ought to do.

``DURABLE_RANDOM_GRAPHS=2000`` runs that many examples.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

import django_durable as durable
from django_durable import clock, minutes
from django_durable.models import Execution, Step, Wait
from tests.composition.crashing import DiesAt, drain_with
from tests.composition.random_graphs import Expected, Undoable, build, matches, plans
from tests.factories import NOON

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.django_db,
    pytest.mark.timeout(0),
]

EXAMPLES = int(os.environ.get("DURABLE_RANDOM_GRAPHS", "60"))


def drive(execution: Execution, death: DiesAt) -> Execution:
    """Run to the end: crash once, send what is waited for, let the time pass."""
    with clock.freeze(NOON) as time:
        for _ in range(80):
            drain_with(death)
            execution.refresh_from_db()
            if execution.is_final:
                return execution
            for wait in Wait.objects.filter(status="open", kind="event"):
                durable.send_event(execution, wait.names[0])
            drain_with(death)
            time.advance(minutes(2))
    rows = Execution.rows.open().values_list("scope", "status", "waiting_for")
    raise AssertionError(f"it does not end: {list(rows)}")


def completed_order(execution: Execution) -> list[str]:
    """Return the paths of completed steps, in the order in which they ended."""
    steps = Step.objects.filter(execution=execution, status="completed")
    steps = steps.exclude(kind="compensation").order_by("completed_at", "id")
    return list(steps.values_list("path", flat=True))


def undone(execution: Execution) -> dict[str, str]:
    """Return path -> status of the compensations, in the order in which they ended."""
    steps = Step.objects.filter(execution=execution, kind="compensation")
    steps = steps.exclude(status="lost").order_by("completed_at", "id")
    found = list(steps.values_list("path", "status"))
    assert len(found) == len(dict(found)), f"undone twice: {found}"
    return dict(found)


def assert_failed_as_expected(execution: Execution, expected: Expected) -> None:
    actual = undone(execution)
    known = {
        done.path: done for done in [*expected.trace.surely, *expected.trace.perhaps]
    }
    assert (
        {done.path for done in expected.trace.surely} <= actual.keys() <= known.keys()
    )
    for path, status in actual.items():
        assert status == ("completed" if known[path].undo == "ok" else "failed")
    assert execution.error["step"] in expected.failure
    assert execution.status == (
        "failed"
        if not actual
        else "compensated"
        if set(actual.values()) == {"completed"}
        else "compensation_failed"
    )
    undoable = [path for path in completed_order(execution) if path in known]
    assert list(actual) == undoable[::-1], "last completed first"
    assert_in_order([known[path] for path in undoable], list(known.values()))


def assert_in_order(actual: list[Undoable], expected: list[Undoable]) -> None:
    """What stands one behind the other has been completed one behind the other."""
    place = {done.path: number for number, done in enumerate(expected)}
    for number, later in enumerate(actual):
        for earlier in actual[:number]:
            is_ordered = place[earlier.path] < place[later.path]
            assert is_ordered or earlier.follows_no_order_with(later)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(plan=plans(), statement=st.integers(0, 150), after=st.booleans())
def test_a_random_workflow_with_a_crash_does_what_it_ought_to_do(
    plan, statement, after
):
    workflow = build(plan)
    expected = Expected({"start": 1}).walk(plan)
    death = DiesAt(statement, after=after)

    execution = drive(durable.start(workflow, {"start": 1}), death)

    note(f"{execution.status} {execution.error} {execution.data}")
    if expected.failure:
        assert_failed_as_expected(execution, expected)
    else:
        assert execution.status == "completed"
        assert not undone(execution)
    assert matches(expected.data, execution.data), expected.data
    assert not Execution.rows.open().exists()
    assert not Wait.objects.filter(status="open").exists()
