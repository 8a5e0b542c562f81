"""Random workflows whose database goes away at a random statement end as they ought to.

``DURABLE_RANDOM_OUTAGES=1000`` runs that many examples.
"""

from __future__ import annotations

import os

import pytest
from django.db import OperationalError
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

import django_durable as durable
from django_durable.models import Execution, Wait
from django_durable.runtime import persisting
from django_durable.store.health import examine
from tests.composition.random_graphs import Expected, build, matches, plans
from tests.composition.test_random_graphs import assert_failed_as_expected, undone
from tests.factories import empty_tables
from tests.stories import crashing
from tests.stories.crashing import KEY, Crash, Fault, play, start_over

pytestmark = [pytest.mark.usefixtures("transactional_db"), pytest.mark.timeout(0)]

EXAMPLES = int(os.environ.get("DURABLE_RANDOM_OUTAGES", "10"))
FAULTS = {
    "error": {"error": OperationalError},
    "answer lost": {"error": OperationalError, "after": True},
    "crash": {"error": Crash},
}


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    """Do not wait for a database that is back, and see lanes when time passes."""
    monkeypatch.setattr(persisting, "_SHORTEST", 0.0)
    monkeypatch.setattr(crashing, "_go_on_to_what_is_due", go_on_to_what_is_due)


def go_on_to_what_is_due(time):
    due = Execution.rows.filter(available_at__gt=time.instant)
    if found := due.order_by("available_at").first():
        time.instant = found.available_at


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(plan=plans(), statement=st.integers(0, 200), fault=st.sampled_from(list(FAULTS)))
def test_whatever_statement_fails_a_random_workflow_ends_as_it_ought_to(
    plan, statement, fault
):
    empty_tables()
    start_over()
    workflow, expected = build(plan), Expected({"start": 1}).walk(plan)

    def act(known):
        if known is None:
            return durable.start(workflow, {"start": 1}, idempotency_key=KEY)
        for wait in Wait.objects.filter(status="open", kind="event"):
            durable.send_event(known, wait.names[0], event_id=str(wait.pk))
        return known

    execution = play(act, Fault(statement, **FAULTS[fault]))

    note(f"{execution.status} {execution.error} {execution.data}")
    if expected.failure:
        assert_failed_as_expected(execution, expected)
    else:
        assert execution.status == "completed"
        assert not undone(execution)
    assert matches(expected.data, execution.data), expected.data
    assert not Execution.rows.open().exists()
    assert not Wait.objects.filter(status="open").exists()
    assert not examine(using="default")
