"""How long the list of executions takes in the admin, on PostgreSQL.

``python -m bench.admin_list`` starts a throw-away server (or uses ``DATABASE_URL``),
stores 200,000 executions, and opens the list as a browser would, with the filters that
people use, for what is common and for what is rare.
Each figure is the median of several requests in milliseconds, the whole page included.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from itertools import islice
from typing import Any

BATCH = 2000
USER = "bench"

VIEWS = {
    "everything": "",
    "page 400": "after",
    "status=failed": "status=failed",
    "status=running (rare)": "status=running",
    "status=compensation_failed (none)": "status=compensation_failed",
    "status=open": "status=open",
    "workflow": "workflow=bench_list_b",
    "workflow and status": "workflow=bench_list_b&status=waiting",
    "queue": "queue=payments",
    "tag (rare)": "tag=vip",
    "created in the past hour": "created=1h",
    "failed attempts": "failed_steps=yes",
    "search: key": "q=key:order-1000",
    "search: id": "q=id:019",
    "search: a word": "q=order-1000",
    "search: a word that is nowhere": "q=nowhere",
    "search: an error": "q=error:timeout",
}


def main() -> None:
    """Fill the tables, and print what each view takes."""
    parser = argparse.ArgumentParser(prog="python -m bench.admin_list")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--explain", action="store_true", help="print the plans too")
    options = parser.parse_args()
    with ExitStack() as stack:
        if not os.environ.get("DATABASE_URL"):
            from testproject import postgres

            os.environ["DATABASE_URL"] = stack.enter_context(postgres.running()).url
        os.environ["DJANGO_SETTINGS_MODULE"] = "bench.settings"
        _prepare(options.rows)
        for name, query in VIEWS.items():
            print(f"{name:36} {_median(query, options.rounds):>8.1f} ms")
            if options.explain:
                print(_plan(query))


def _prepare(rows: int) -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    if connection.vendor != "postgresql":
        sys.exit("This measures PostgreSQL: set DATABASE_URL to one.")
    call_command("migrate", verbosity=0)
    began = time.monotonic()
    _fill(rows)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    print(f"{rows:,} executions stored in {time.monotonic() - began:.0f} s")


def _fill(rows: int) -> None:
    from django_durable.models import Execution, Step

    numbers = iter(range(rows))
    while batch := list(islice(numbers, BATCH)):
        executions = [_execution(number, rows) for number in batch]
        Execution.rows.bulk_create(executions)
        steps = [step for one in executions for step in _steps(one)]
        Step.objects.bulk_create(steps)


def _execution(number: int, rows: int) -> Any:
    from django_durable import clock
    from django_durable.ids import new_id
    from django_durable.models import Execution
    from django_durable.models.fields import Encoded

    status = _status(number)
    is_open = status in ("pending", "running", "waiting", "paused")
    # Made over the past 30 days, as their ids say too.
    created = clock.now() - timedelta(days=30) * (rows - number) / rows
    payload = {"order_id": number, "lines": [{"sku": f"A-{number}", "count": 3}] * 5}
    return Execution(
        id=_id_at(created, new_id()),
        workflow=f"bench_list_{'abc'[number % 3]}",
        status=status,
        queue="payments" if number % 1000 == 7 else "default",
        home_queue="default",
        input=Encoded(payload),
        data=Encoded({**payload, "total": number}),
        error={"type": "ConnectionError", "message": f"timeout {number}", "step": "b"}
        if status == "failed"
        else None,
        tags=["vip"] if number % 5000 == 0 else ["shop"],
        idempotency_key=f"order-{number}",
        current_step="b",
        waiting_for="approval manager by group finance" if status == "waiting" else "",
        available_at=created if status == "pending" else None,
        created_at=created,
        started_at=created,
        completed_at=None if is_open else created + timedelta(seconds=3),
    )


def _status(number: int) -> str:
    if number % 50 == 0:
        return "failed"
    if number % 200 == 1:
        return "waiting"
    if number % 20_000 == 3:
        return "running"
    return "pending" if number % 10_000 == 5 else "completed"


def _id_at(moment: Any, id_: Any) -> Any:
    from uuid import UUID

    from django_durable.ids import least_id_at

    return UUID(int=least_id_at(moment).int | id_.int & ((1 << 62) - 1))


def _steps(execution: Any) -> Iterator[Any]:
    from django_durable.models import Step
    from django_durable.models.fields import Encoded

    for sequence, path in enumerate("ab"):
        has_failed = execution.status == "failed" and path == "b"
        yield Step(
            execution=execution,
            path=path,
            kind="step",
            sequence=sequence,
            attempt=1,
            status="failed" if has_failed else "completed",
            output=None if has_failed else Encoded({"total": sequence}),
            error=execution.error if has_failed else None,
            started_at=execution.created_at,
            completed_at=execution.created_at,
        )


def _browser() -> Any:
    from django.contrib.auth.models import User
    from django.test import Client

    user, _ = User.objects.get_or_create(
        username=USER,
        defaults={"is_staff": True, "is_superuser": True},
    )
    client = Client(headers={"host": "localhost"})
    client.force_login(user)
    return client


def _address(query: str) -> str:
    from django.urls import reverse

    from django_durable.models import Execution

    if query == "after":
        deep = Execution.objects.order_by("-id").values_list("pk", flat=True)[20_000]
        query = f"after={deep}"
    return f"{reverse('admin:django_durable_execution_changelist')}?{query}"


def _median(query: str, rounds: int) -> float:
    client, address = _browser(), _address(query)
    taken = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        answer = client.get(address)
        taken.append((time.perf_counter() - began) * 1000)
        if answer.status_code != 200:
            sys.exit(f"{address}: {answer.status_code}")
    # The first fills caches.
    return statistics.median(taken[1:])


def _plan(query: str) -> str:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as captured:
        _browser().get(_address(query))
    sql = max(
        (one for one in captured.captured_queries if "durable_execution" in one["sql"]),
        key=lambda one: float(one["time"]),
    )
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {sql['sql']}")
        return "\n".join("    " + line for (line,) in cursor.fetchall())


if __name__ == "__main__":
    main()
