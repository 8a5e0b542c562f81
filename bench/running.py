"""Workers as processes of their own, and what they are given to do."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections
from django.db.models import Max, Min, Q

import django_durable as durable
from bench.meters import Figures, Meter, resident_megabytes
from django_durable.conf import get_settings
from django_durable.models import Execution, Worker

MEASURED = 1
"""The priority of what is measured; a backlog has less, and so comes after it."""

_LONGEST = 300.0


@contextmanager
def worker(
    *, on: str, arguments: tuple[str, ...] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``runworkers``; the block begins when it may claim, and ends with its end."""
    using = get_settings(on).database
    before = Worker.objects.using(using).count()
    command = [sys.executable, "manage.py", "runworkers", "-v0", f"--durable={on}"]
    process = subprocess.Popen([*command, "--skip-checks", *arguments])
    try:
        _wait_until(lambda: Worker.objects.using(using).count() > before)
        yield process
        process.terminate()
        process.wait(timeout=_LONGEST)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def drain(
    workflow: str,
    *,
    count: int,
    steps: int,
    on: str = "default",
    data: dict[str, Any] | None = None,
    arguments: tuple[str, ...] = (),
) -> Figures:
    """Fill the queue, start a worker, and see what it takes to empty it.

    The rate is from the first start of an execution to the last end of one, on the
    database's clock; what the worker's own start costs is left out of the rest.
    """
    using = get_settings(on).database
    for first in range(0, count, 1000):
        inputs = [data or {"n": 1}] * min(1000, count - first)
        durable.start_many(workflow, inputs, priority=MEASURED, durable=on)
    with worker(on=on, arguments=arguments) as process:
        before = Meter.read(process.pid, using)
        _wait_until(lambda: not _is_open(using))
        after = Meter.read(process.pid, using)
        memory = resident_megabytes(process.pid)
    return {
        "executions/s": count / _seconds(workflow, count, using),
        **before.until(after, executions=count, steps=count * steps),
        "resident, MB": memory,
    }


def _is_open(using: str) -> bool:
    is_open = Q(available_at__isnull=False) | Q(leased_by__isnull=False)
    return Execution.rows.using(using).filter(is_open, priority=MEASURED).exists()


def _seconds(workflow: str, count: int, using: str) -> float:
    rows = Execution.objects.using(using).filter(workflow=workflow, priority=MEASURED)
    ended = rows.filter(status="completed")
    if ended.count() != count:
        raise RuntimeError(f"Of {count} {workflow}, {ended.count()} completed.")
    times = ended.aggregate(first=Min("started_at"), last=Max("completed_at"))
    return (times["last"] - times["first"]).total_seconds()


def _wait_until(is_so: Any) -> None:
    ends_at = time.monotonic() + _LONGEST
    while not is_so():
        if time.monotonic() > ends_at:
            raise TimeoutError("A worker does not get on.")
        time.sleep(0.02)


def forget(using: str) -> None:
    """Empty the tables of the engine."""
    connection = connections[using]
    tables = [
        connection.ops.quote_name(table)
        for table in connection.introspection.table_names()
        if table.startswith("django_durable_")
    ]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"TRUNCATE {', '.join(tables)}")
            return
        for table in tables:
            cursor.execute(f"DELETE FROM {table}")  # noqa: S608
