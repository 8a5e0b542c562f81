"""Many items: never more open than allowed, in order, statements in proportion.

``DURABLE_MANY_ITEMS=10000`` runs as many through one block and prints the times.
"""

from __future__ import annotations

import os
import time

import pytest
from django.db import connection

import django_durable as durable
from django_durable import Each, Workflow, step
from django_durable.models import Execution
from tests.factories import claim, drain, fresh, run

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(900)]

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


@pytest.mark.skipif(not MANY, reason="set DURABLE_MANY_ITEMS to run it")
def test_many_items_are_cancelled_within_seconds():
    execution = durable.start(ManyItems, {"count": MANY})
    run(claim()[0])
    begin = time.perf_counter()
    durable.cancel(execution)
    took = time.perf_counter() - begin

    print(f"{MANY} items: cancelled in {took:.2f} s")  # noqa: T201
    assert not Execution.rows.open().exists()
    assert took < 15
