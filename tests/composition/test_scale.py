"""Many items: never more open than allowed, in order, statements in proportion.

``DURABLE_MANY_ITEMS=10000`` runs as many through one block and prints the times.
"""

from __future__ import annotations

import gc
import os
import time
import tracemalloc

import pytest
from django.db import connection

import django_durable as durable
from django_durable import Each, Fail, Workflow, step
from django_durable.models import Execution
from tests.factories import claim, counted, drain, fresh, run

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.django_db,
    pytest.mark.timeout(900),
]

MEASURED = 600
MANY = int(os.environ.get("DURABLE_MANY_ITEMS", "0"))


class ManyItems(Workflow):
    class Recipients(Each, max_concurrency=50):
        def items(self, count):
            return range(count)

        @step
        def send(self, item, index):
            assert item == index
            return {"sent": item}

        def join(self, results):
            return {"sent": [result.value["sent"] for result in results]}


def test_a_thousand_items_are_at_most_fifty_at_once_and_stay_in_order():
    most = 0
    execution = durable.start(ManyItems, {"count": 1000})
    run(claim()[0])
    while claimed := claim(limit=200):
        open_lanes = Execution.rows.leased().count()
        most = max(most, open_lanes)
        for one in claimed:
            run(one)

    assert most == 50
    assert fresh(execution).result["sent"] == list(range(1000))


# In real transactions: the one around a test would itself remember each savepoint.
@pytest.mark.django_db(transaction=True)
def test_the_memory_of_a_worker_does_not_grow_with_the_items():
    durable.start(ManyItems, {"count": MEASURED + 200})
    run(claim()[0])
    run_items(60)
    tracemalloc.start()
    try:
        run_items(50)
        before = traced()
        run_items(MEASURED)
        grown = traced() - before
    finally:
        tracemalloc.stop()

    print(f"{grown / MEASURED:.0f} bytes more for an item")  # noqa: T201
    # What an item would leave behind is its row or its data: kilobytes. Some 30 kB for
    # the texts of statements that are prepared again are not of any item.
    assert grown < MEASURED * 100


def run_items(count):
    while count:
        claimed = claim(limit=min(count, 50))
        for one in claimed:
            run(one)
        count -= len(claimed)


def traced():
    gc.collect()
    # There Django builds names of attributes, of which Python caches a few thousand.
    elsewhere = tracemalloc.Filter(False, "*/sql/compiler.py")
    found = tracemalloc.take_snapshot().filter_traces([elsewhere])
    return sum(line.size for line in found.statistics("filename"))


def statements_for(number):
    count = 0

    def counting(execute, sql, params, many, context):
        nonlocal count
        count += "SAVEPOINT" not in sql
        return execute(sql, params, many, context)

    durable.start(ManyItems, {"count": number})
    with connection.execute_wrapper(counting):
        drain(limit=1000)
    return count


def test_statements_grow_in_proportion_to_the_items():
    counts = {number: statements_for(number) for number in (60, 120, 240)}

    per_item = (counts[120] - counts[60]) / 60
    assert (counts[240] - counts[120]) / 120 == pytest.approx(per_item, rel=0.05)
    print(f"{per_item:.1f} statements for an item")  # noqa: T201
    assert per_item < 30


# PostgreSQL cannot clear away old versions of rows within one transaction.
@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(not MANY, reason="set DURABLE_MANY_ITEMS to run it")
def test_many_items_end_and_are_joined_within_a_second():
    execution = durable.start(ManyItems, {"count": MANY})
    begin = time.perf_counter()
    run(claim()[0])
    opened = time.perf_counter()
    while True:
        claimed = claim(limit=50)
        if claimed[0].lease.execution_id == execution.pk:
            break
        for one in claimed:
            run(one)
    ended = time.perf_counter()
    run(claimed[0])
    joined = time.perf_counter() - ended

    print(  # noqa: T201
        f"{MANY} items: opened in {opened - begin:.2f} s, run in {ended - opened:.2f} s, "
        f"joined in {joined:.2f} s"
    )
    assert fresh(execution).result["sent"] == list(range(MANY))
    assert joined < 1


class ManyFailing(Workflow):
    class Every(Each):
        def items(self, count):
            return range(count)

        @step(queue="first")
        def work(self, item):
            raise Fail("no")


OPERATIONS = [durable.pause, durable.resume, durable.cancel]


@pytest.mark.parametrize("count", sorted({1200, MANY or 1200}))
def test_operators_reach_many_members_in_a_few_statements(count):
    execution = durable.start(ManyItems, {"count": count})
    run(claim()[0])

    for operate in OPERATIONS:
        assert_few_statements(operate, execution, count)

    assert not Execution.rows.open().exists()


@pytest.mark.parametrize("count", sorted({1200, MANY or 1200}))
def test_a_retry_reaches_many_members_in_a_few_statements(count):
    execution = durable.start(ManyFailing, {"count": count})
    run(claim()[0])
    run(claim(limit=1)[0])
    run(claim("first", limit=1)[0])
    run(claim(limit=1)[0])
    assert fresh(execution).status == "failed"

    assert_few_statements(durable.retry, execution, count)

    assert Execution.rows.open().filter(is_lane=True).count() == count


def assert_few_statements(operate, execution, count):
    begin = time.perf_counter()
    with counted() as statements:
        operate(execution)
    took = time.perf_counter() - begin
    name, number = operate.__name__, len(statements.queries)
    print(f"{count} members: {name} took {number} statements, {took:.2f} s")  # noqa: T201
    # A few for each batch of 500, none for each member.
    assert number < 12 + count / 50
