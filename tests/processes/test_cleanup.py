"""Old executions are deleted while workers run, and nobody waits long for it.

``DURABLE_CLEANUP=100000`` deletes so many, and prints the longest waits.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection, connections

import django_durable as durable
from django_durable import days
from django_durable.ids import new_id
from django_durable.models import Execution, Log, Step
from django_durable.models.fields import Encoded
from django_durable.store.leases import now_in
from tests.processes.worker_processes import eventually
from tests.testapp.workflows import Quick

MANY = int(os.environ.get("DURABLE_CLEANUP", "0"))
_BATCH = 2000


@pytest.mark.timeout(1200)
@pytest.mark.skipif(not MANY, reason="set DURABLE_CLEANUP to run it")
def test_no_worker_waits_a_second_for_a_cleanup(start_worker):
    insert_ended(MANY)
    for worker in [start_worker(), start_worker()]:
        worker.wait_until_it_serves()

    with measured() as longest:
        begin = time.perf_counter()
        deleted = durable.cleanup(days(1))
        took = time.perf_counter() - begin
    eventually(lambda: not Execution.objects.open().exists(), within=60)

    print(f"{deleted} executions deleted in {took:.0f} s; longest: {longest}")  # noqa: T201
    assert deleted == MANY
    assert longest["lock"] < 1
    assert longest["start"] < 1


def insert_ended(count: int) -> None:
    """Insert executions that ended days ago, each with a step and two lines."""
    ended = now_in("default") - timedelta(days=9)
    for first in range(0, count, _BATCH):
        ids = [new_id() for _ in range(first, min(first + _BATCH, count))]
        Execution.rows.bulk_create(
            Execution(
                id=id_,
                workflow="quick",
                status="completed",
                queue="default",
                home_queue="default",
                input=Encoded({}),
                data=Encoded({}),
                completed_at=ended,
            )
            for id_ in ids
        )
        common = {"sequence": 0, "attempt": 1}
        times = {"started_at": ended, "completed_at": ended}
        Step.objects.bulk_create(
            Step(
                execution_id=id_,
                path="answer",
                kind="step",
                status="completed",
                **common,
                **times,
            )
            for id_ in ids
        )
        line = {
            "step": "answer",
            "level": "INFO",
            "logger": "shop",
            "message": "x" * 80,
        }
        Log.objects.bulk_create(
            Log(execution_id=id_, created_at=ended, **line, **common)
            for id_ in ids
            for _ in range(2)
        )


@contextmanager
def measured() -> Iterator[dict[str, float]]:
    """Start executions all the while; give the longest waits, in seconds."""
    longest, is_over = {"lock": 0.0, "start": 0.0, "started": 0.0}, threading.Event()

    def start():
        while not is_over.wait(0.02):
            begin = time.perf_counter()
            durable.start(Quick)
            longest["start"] = max(longest["start"], time.perf_counter() - begin)
            longest["started"] += 1
        connections.close_all()

    def look():
        while connection.vendor == "postgresql" and not is_over.wait(0.02):
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT max(extract(epoch FROM clock_timestamp() - waitstart)) "
                    "FROM pg_locks WHERE NOT granted"
                )
                longest["lock"] = max(longest["lock"], cursor.fetchone()[0] or 0)
        connections.close_all()

    threads = [threading.Thread(target=start), threading.Thread(target=look)]
    for thread in threads:
        thread.start()
    try:
        yield longest
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
