"""Hot queries use their index, on a table where most rows are no business of theirs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

import django_durable as durable
from django_durable import Workflow, clock, hours, minutes, step
from django_durable.ids import new_id
from django_durable.models import Event, Execution, InputRequest, Step, Wait, Worker
from django_durable.models.fields import Encoded
from django_durable.store import (
    catalogue,
    failures,
    leases,
    move_statement,
    standing,
    workers,
)
from django_durable.store.overview import overview
from django_durable.store.throughput import past_hour
from tests.factories import NOON, WORKER

ROWS = 20_000


class Indexed(Workflow):
    @step
    def work(self): ...


@pytest.fixture(scope="module")
def full_tables(django_db_setup: None, django_db_blocker) -> Iterator[None]:
    """20,000 executions, nearly all of which have ended; a few are in some other state."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        from tests.factories import empty_tables

        Execution.rows.bulk_create(map(row, range(ROWS)), batch_size=1000)
        Wait.objects.bulk_create(map(wait, range(1000)), batch_size=500)
        cursor.execute("ANALYZE")
        yield
        empty_tables()


def row(number: int) -> Execution:
    is_open = number % 100 == 0
    is_leased = number % 500 == 7
    status = "running" if is_leased else "pending" if is_open else "completed"
    return Execution(
        id=new_id(),
        workflow="indexed",
        queue="default" if number % 200 else "other",
        home_queue="default",
        status=status,
        input=Encoded({}),
        data=Encoded({"n": number}),
        priority=number % 3,
        available_at=NOON + hours(number % 7) if is_open and not is_leased else None,
        leased_by=WORKER if is_leased else None,
        completed_at=None if is_open or is_leased else NOON - minutes(number),
        created_at=NOON,
        idempotency_key=f"key {number}" if number % 50 == 0 else None,
        parent_id=uuid4() if number % 300 == 0 else None,
    )


def wait(number: int) -> Wait:
    return Wait(
        execution_id=uuid4(),
        path="members",
        sequence=1,
        attempt=1,
        kind="lanes",
        ordinal=0,
        status="satisfied" if number % 50 else "open",
        created_at=NOON,
    )


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("full_tables")]


def plan(sql: str, params: object = None) -> str:
    """Return the plan of one statement, as text."""
    # A parenthesis after the bare word would begin its options, not a union.
    is_server = connection.vendor == "postgresql"
    word = "EXPLAIN (COSTS) " if is_server else "EXPLAIN QUERY PLAN "
    with connection.cursor() as cursor:
        cursor.execute(word + sql, params)
        return "\n".join(" ".join(map(str, line)) for line in cursor.fetchall())


def plans_of(do) -> list[str]:
    """Return the plans of what ``do`` asks the table of executions."""
    with CaptureQueriesContext(connection) as captured:
        do()
    table = Execution._meta.db_table
    return [
        plan(query["sql"])
        for query in captured.captured_queries
        if table in query["sql"]
        and query["sql"].lstrip("\n (")[:4] in ("SELE", "UPDA", "WITH")
    ]


def assert_index(found: str, index: str) -> None:
    assert index in found, found
    assert f"Seq Scan on {Execution._meta.db_table}" not in found, found
    assert f"SCAN {Execution._meta.db_table}" not in found.replace("USING", ""), found


def plan_of_claim() -> str:
    if connection.vendor != "postgresql":
        return leases._candidates("default", 10, "default").explain()
    sql = leases._claim_sql(10, "default")
    return plan(sql, (NOON, "default", NOON, WORKER))


def test_a_claim_uses_its_partial_index():
    with clock.freeze(NOON):
        found = plan_of_claim()

    assert_index(found, "durable_claim_idx")


def test_the_index_gives_the_claim_its_order():
    with clock.freeze(NOON):
        found = plan_of_claim()

    # Those that are claimed are sorted again, for an update keeps no order.
    if connection.vendor == "postgresql":
        found = found.partition("CTE picked")[2].partition("CTE claimed")[0]
        assert "durable_claim_idx" in found
    assert "Sort" not in found, found
    assert "TEMP B-TREE" not in found, found


def test_a_write_of_moves_reads_no_table_however_small_it_is():
    """With few rows in it, a table that changes all the time would be read each time."""
    if connection.vendor != "postgresql":
        pytest.skip("elsewhere rows are found one by one")
    sql = move_statement._sql("default", waits=False)

    found = plan(sql, (NOON, "[]"))

    assert "Seq Scan" not in found, found
    # To lock, to move, and to count lanes down.
    assert found.count("django_durable_execution_pkey") == 3, found
    assert re.search("durable_(open_)?wait_idx", found), found


def test_looking_whether_something_is_due_uses_the_index_of_claims():
    with clock.freeze(NOON):
        found = plans_of(
            lambda: workers.is_due(["default"], within=hours(0), using="default")
        )

    assert_index(found[0], "durable_claim_idx")


def test_looking_for_what_the_dead_hold_uses_the_index_of_leases():
    Worker.objects.all().delete()
    for found in plans_of(lambda: workers.release_lost(using="default"))[:2]:
        assert_index(found, "durable_lease_idx")


def test_giving_back_what_a_worker_holds_uses_the_index_of_leases():
    found = plans_of(lambda: workers.release(WORKER, using="default"))

    assert_index(found[0], "durable_lease_idx")


def test_counts_of_the_catalogue_use_partial_indexes():
    standing, running = plans_of(lambda: catalogue.open_by_workflow(using="default"))
    with clock.freeze(NOON):
        [found] = plans_of(lambda: catalogue.failed_by_workflow(using="default"))

    # All of a partial index is read: what is in it is what is counted.
    assert_index(standing, "durable_open_idx")
    assert_index(running, "durable_lease_idx")
    if connection.vendor == "postgresql":
        # SQLite knows how many rows a status has on average, and here nearly all of
        # them have one status: it takes the three that are asked for to be most.
        assert_index(found, "durable_ended_idx")


def test_the_newest_of_a_workflow_are_looked_for_among_the_newest_of_all(monkeypatch):
    monkeypatch.setattr(catalogue, "NEWEST", 1_000)
    with CaptureQueriesContext(connection) as captured:
        assert catalogue.newest("unheard_of", most=3, using="default") == []
    oldest, newest = (query["sql"] for query in captured.captured_queries)

    assert f"OFFSET {catalogue.NEWEST}" in oldest
    for statement in (oldest, newest):
        found = plan(statement)
        assert primary_key() in found, found


def primary_key() -> str:
    if connection.vendor == "postgresql":
        return "django_durable_execution_pkey"
    return "sqlite_autoindex_django_durable_execution_1"


def test_the_overview_uses_the_indexes_of_claims_and_of_what_ended():
    with clock.freeze(NOON):
        plans = plans_of(lambda: overview(using="default"))

    for found in plans:
        assert f"Seq Scan on {Execution._meta.db_table}" not in found
    assert "durable_claim_idx" in plans[-1]
    assert "durable_ended_idx" in plans[-1]


@pytest.mark.skipif(
    "connection.vendor != 'postgresql'", reason="only PostgreSQL reasons about IN"
)
@pytest.mark.parametrize("status", ["pending", "waiting", "paused", "compensating"])
def test_what_is_open_and_stands_still_is_found_by_its_status(status):
    rows = Execution.objects.filter(status=status)

    assert_index(plan(*_sql(rows.order_by().values("status"))), "durable_open_idx")
    assert_index(plan(*_sql(rows.filter(queue="other"))), "durable_open_idx")


def test_failures_are_found_by_when_they_ended():
    def look():
        failures.failures(NOON - hours(1), using="default")

    assert_index(plans_of(look)[0], "durable_ended_idx")


def test_what_completed_is_found_by_when_it_did():
    for found in plans_of(lambda: past_hour(NOON, using="default")):
        assert_index(found, "durable_ended_idx")


def test_lost_attempts_are_found_by_their_index():
    rows = Step.objects.filter(status="lost", completed_at__gte=NOON)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # The table is empty; what matters is that the index could serve.
            cursor.execute("SET LOCAL enable_seqscan = off")

    assert "durable_lost_step_idx" in rows.order_by("-completed_at").explain()


def _sql(rows) -> tuple[str, object]:
    return rows.query.sql_with_params()


def test_a_key_is_found_by_its_index():
    found = plans_of(
        lambda: durable.start(Indexed, idempotency_key="key 100")  # It is known.
    )

    assert_index(found[0], "durable_idempotency_key")


def test_children_are_found_by_their_parent():
    parent = Execution.rows.filter(parent__isnull=False).first().parent_id

    found = plans_of(lambda: durable.list_children(parent))

    assert_index(found[-1], "durable_parent_idx")


def test_how_an_execution_stands_is_read_from_its_family_alone():
    owner = Execution.rows.first()

    [found] = [
        plan
        for plan in plans_of(
            lambda: standing.standing_of(owner, Indexed.graph(), using="default")
        )
        if "durable_parent_idx" in plan
    ]

    assert_index(found, "durable_parent_idx")


def test_where_open_executions_stand_is_read_without_those_that_have_ended():
    due, leased, parked = plans_of(
        lambda: standing.standing_of_open(Indexed.graph(), using="default")
    )

    # Each of these indices holds nothing that has ended, so all of it may be read.
    assert "durable_claim_idx" in due, due
    assert "durable_lease_idx" in leased, leased
    for found in (due, leased, parked):
        assert f"Seq Scan on {Execution._meta.db_table}" not in found, found
    assert "pkey" in parked or "sqlite_autoindex" in parked, parked


@pytest.mark.parametrize(
    ("model", "index"),
    [
        (Step, "durable_step_idx"),
        (Wait, "durable_wait_idx"),
        (Event, "durable_event_idx"),
        (InputRequest, "durable_input_execution_idx"),
    ],
)
def test_what_belongs_to_an_execution_is_found_by_it(model, index):
    owner = Execution.rows.values_list("pk", flat=True)[0]
    conditions = {"execution": owner}
    if model in (Step, Wait):
        conditions["sequence"] = 0

    names = {found.name for found in model._meta.indexes}

    assert index in names
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # The tables are empty; what matters is that the index could serve. To read
            # nothing, every index is as good, also that of the primary key.
            table = connection.ops.quote_name(model._meta.db_table)
            key = connection.ops.quote_name(f"{model._meta.db_table}_pkey")
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {key} CASCADE")
    found = model._base_manager.filter(**conditions).explain()
    assert any(name in found for name in names), found
