"""How many statements and commits things take: constants, whatever the size."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction

import django_durable as durable
from django_durable import Workflow, step
from django_durable.store import statements
from tests.factories import claim, counted, fresh, run

pytestmark = pytest.mark.usefixtures("transactional_db")

IS_POSTGRESQL = connection.vendor == "postgresql"


class One(Workflow, name="statements_one"):
    @step
    def work(self, n=0):
        return {"n": n + 1}


def of_steps(count: int, **options) -> type[Workflow]:
    """Return a workflow of ``count`` steps."""

    def work(self, n=0):
        return {"n": n + 1}

    # Bodies are copied, for a step is known by its function.
    body = {f"step_{number}": step(**options)(work) for number in range(count)}
    return type("Many", (Workflow,), body, name=f"steps_{count}")


def test_a_start_is_one_statement_that_wakes_workers_too():
    with counted() as statements:
        durable.start(One, {"n": 1}, tags=["a"])

    assert len(statements.queries) == statements.commits == 1


def test_a_start_in_a_transaction_opens_none_of_its_own():
    with transaction.atomic():
        Group.objects.count()
        with counted() as statements:
            durable.start(One)

    assert statements.all == statements.queries
    assert len(statements.all) == 1


def test_a_start_with_a_key_looks_first():
    with counted() as first:
        durable.start(One, idempotency_key="k")
    with counted() as again:
        assert not durable.start(One, idempotency_key="k").created

    assert len(first.queries) <= 3
    assert len(again.all) == 1


# More do not fit the 999 parameters that Django allows an SQLite statement.
@pytest.mark.parametrize("count", [1, 3, 20])
def test_many_starts_take_as_many_statements_as_one(count):
    with counted() as statements:
        durable.start_many(One, [{"n": n} for n in range(count)])

    assert len(statements.queries) == 1
    assert statements.commits == 1


@pytest.mark.parametrize("count", [1, 2, 6])
def test_n_steps_take_no_more_than_n_commits_after_the_claim(count):
    workflow = of_steps(count)
    execution = durable.start(workflow)
    with counted() as claiming:
        (claimed,) = claim()

    with counted() as running:
        run(claimed)

    assert fresh(execution).result == {"n": count}
    assert claiming.commits == 1
    assert running.commits == count
    if IS_POSTGRESQL:
        assert len(running.all) == count
    else:
        assert len(running.queries) <= 3 * count


def test_from_start_to_end_n_steps_take_no_more_than_two_and_n_commits():
    workflow = of_steps(5)

    with counted() as statements:
        durable.start(workflow)
        (claimed,) = claim()
        run(claimed)

    assert statements.commits == 2 + 5


def test_an_atomic_step_is_one_transaction_with_its_effect():
    class Atomic(Workflow, name="atomic_step"):
        @step(atomic=True)
        def work(self):
            Group.objects.create(name="x")

    durable.start(Atomic)
    (claimed,) = claim()

    with counted() as statements:
        run(claimed)

    assert statements.commits == 1
    assert Group.objects.count() == 1


def test_a_failed_attempt_is_one_transaction():
    class Failing(Workflow, name="failing_step"):
        @step(retry=2)
        def work(self):
            raise ConnectionError

    durable.start(Failing)
    (claimed,) = claim()

    with counted() as statements:
        run(claimed)

    assert statements.commits == 1
    assert len(statements.queries) == (1 if IS_POSTGRESQL else 3)


def test_a_wait_is_one_transaction_and_an_event_too():
    class Waiting(Workflow, name="waiting_step"):
        @step
        def work(self):
            durable.wait_for_event("news")

    execution = durable.start(Waiting)
    (claimed,) = claim()

    with counted() as parking:
        run(claimed)
    with counted() as sending:
        durable.send_event(execution, "news")

    assert parking.commits == 1
    assert sending.commits == 1
    assert len(sending.queries) <= 12


def test_a_step_that_asks_for_nothing_reads_nothing():
    durable.start(of_steps(3))
    (claimed,) = claim()

    with counted() as statements:
        run(claimed)

    reads = [
        sql
        for sql in statements.queries
        if sql.startswith("SELECT") and "FOR UPDATE" not in sql
    ]
    if IS_POSTGRESQL:
        assert reads == []
    else:
        # The row is looked at in the transaction that changes it.
        assert len(reads) <= 3


@pytest.mark.skipif(not IS_POSTGRESQL, reason="elsewhere nothing is prepared")
def test_statements_are_prepared_and_planned_anew_as_tables_grow():
    connection.close()

    prepared = [prepared_at("SELECT 1 AS one") for _ in range(70)]

    assert prepared[0] is None
    at = [one for one in prepared if one is not None]
    # At the 9th use, and then whenever there were twice as many.
    assert len(set(at)) == 4
    assert prepared.index(at[0]) == 8
    assert at.count(at[-1]) == 70 - 64


def prepared_at(sql: str):
    """Send a statement once more, and return when it was prepared as it is now."""
    statements.fetch("default", sql, ())
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT prepare_time FROM pg_prepared_statements WHERE statement = %s",
            [sql],
        )
        found = cursor.fetchone()
    return found and found[0]
