"""Whoever ends, sends or resumes finds its own waits, however many others have open."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

import django_durable as durable
from django_durable import Each, WaitForEvent, Workflow, call_workflow, step
from django_durable.ids import new_id
from django_durable.models import Event, Wait
from tests.factories import NOON, claim, drain, empty_tables, run

OTHERS = 20_000
ITEMS = 300
TABLE = Wait._meta.db_table


class Called(Workflow, name="wait_index_called"):
    @step
    def work(self): ...


class Caller(Workflow, name="wait_index_caller"):
    @step
    def call(self):
        call_workflow(Called, {})


class Items(Workflow, name="wait_index_items"):
    class Every(Each, on_error="complete_all"):
        def items(self):
            return range(ITEMS)

        news = WaitForEvent("news")


@pytest.fixture(scope="module")
def full_tables(django_db_setup: None, django_db_blocker) -> Iterator[None]:
    """20,000 executions of others, each of which waits for an event."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        Wait.objects.bulk_create(
            (
                Wait(
                    execution_id=new_id(),
                    path="news",
                    sequence=0,
                    attempt=1,
                    kind="event",
                    name="news",
                    names=["news"],
                    ordinal=0,
                    status="open",
                    created_at=NOON,
                )
                for _ in range(OTHERS)
            ),
            batch_size=1000,
        )
        cursor.execute("ANALYZE")
        yield
        empty_tables()


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("full_tables")]


def assert_finds_by_execution(do: Callable[[], object]) -> None:
    """Every statement on the table of waits looks for an execution or for an id."""
    with CaptureQueriesContext(connection) as captured:
        do()
    asked = [query["sql"] for query in captured.captured_queries]
    asked = [
        sql
        for sql in asked
        if TABLE in sql and re.match(r"\s*(SELECT|UPDATE|DELETE|WITH)", sql)
    ]
    assert asked
    for sql in asked:
        found = plan(sql)
        assert f"Seq Scan on {TABLE}" not in found, found
        assert f"SCAN {TABLE}" not in found, found
        # An index that is read from end to end has no condition.
        for node in re.findall(rf"(?:Index|Bitmap).* on {TABLE}\b.*\n.*", found):
            assert "Cond" in node, found


def plan(sql: str) -> str:
    word = "EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN "
    with connection.cursor() as cursor:
        cursor.execute(word + sql)
        return "\n".join(" ".join(map(str, line)) for line in cursor.fetchall())


def analyse() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def test_the_end_of_a_child_finds_who_waits_for_it():
    durable.start(Caller)
    run(claim()[0])
    (child,) = claim()

    assert_finds_by_execution(lambda: run(child))


def test_an_item_that_waits_goes_on_and_ends():
    execution = durable.start(Items)
    drain()
    analyse()
    durable.send_event(execution, "news", 1)
    (item,) = claim()

    assert_finds_by_execution(lambda: run(item))


def test_an_event_finds_the_first_of_many_waits():
    execution = durable.start(Items)
    drain()
    analyse()

    assert_finds_by_execution(lambda: durable.send_event(execution, "news", 1))

    first = (
        Wait.objects.filter(execution=execution, kind="event").order_by("id").first()
    )
    assert Event.objects.get().taken_by == first


@pytest.mark.parametrize("operate", [durable.resume, durable.cancel])
def test_operators_find_the_waits_of_a_family(operate):
    execution = durable.start(Items)
    drain()
    if operate is durable.resume:
        durable.pause(execution)
    analyse()

    assert_finds_by_execution(lambda: operate(execution))
