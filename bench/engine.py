"""Rates and latencies of the engine on PostgreSQL with default durability.

``python -m bench`` starts a throw-away server (or uses ``DATABASE_URL``), and one
worker process. Figures depend on the machine: compare the column "÷ limit", which is
the rate over that of bare two-statement transactions in the same round.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

Figures = dict[str, float]


def main() -> None:
    """Run the rounds and print the medians."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with ExitStack() as stack:
        if not os.environ.get("DATABASE_URL"):
            from testproject import postgres

            os.environ["DATABASE_URL"] = stack.enter_context(postgres.running()).url
        os.environ["BENCH_SLOTS"] = str(options.slots)
        os.environ["DJANGO_SETTINGS_MODULE"] = "bench.settings"
        _prepare()
        rounds = [_round(options.slots) for _ in range(options.rounds)]
    medians = {
        name: statistics.median(one[name] for one in rounds) for name in rounds[0]
    }
    print(json.dumps({**_machine(), **medians}) if options.json else _table(medians))


def _prepare() -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    if connection.vendor != "postgresql":
        sys.exit("The benchmarks measure PostgreSQL: set DATABASE_URL to one.")
    call_command("migrate", verbosity=0)


def _round(slots: int) -> Figures:
    from bench.limits import commits_per_second

    figures: Figures = {}
    figures["limit: commits/s"] = commits_per_second(os.environ["DATABASE_URL"], slots)
    figures |= _starts()
    for name, workflow, count, steps in (
        ("one step", "bench_one", 2000, 1),
        ("five steps", "bench_five", 500, 5),
    ):
        figures |= _drain(name, workflow, count, steps)
    figures |= _latencies()
    for name in [name for name in figures if name.endswith("/s")]:
        figures[f"{name} ÷ limit"] = figures[name] / figures["limit: commits/s"]
    return figures


def _starts() -> Figures:
    import django_durable as durable

    one = _rate(200, lambda: [durable.start("bench_one", {"n": 1}) for _ in range(200)])
    many = _rate(1000, lambda: durable.start_many("bench_one", [{"n": 1}] * 1000))
    _forget()
    return {"start/s": one, "start_many/s": many}


def _rate(count: int, act: Callable[[], Any]) -> float:
    began = time.monotonic()
    act()
    return count / (time.monotonic() - began)


def _drain(name: str, workflow: str, count: int, steps: int) -> Figures:
    """Fill the queue, run a worker until idle, and read the database's own clock."""
    from django.db.models import Max, Min

    import django_durable as durable
    from django_durable.models import Execution

    durable.start_many(workflow, [{"n": 1}] * count)
    before = _activity()
    with _worker("--until-idle") as process:
        process.wait(timeout=300)
    after = _activity()
    ended = Execution.objects.filter(workflow=workflow, status="completed")
    times = ended.aggregate(first=Min("started_at"), last=Max("completed_at"))
    if ended.count() != count:
        sys.exit(f"Only {ended.count()} of {count} executions of {workflow} completed.")
    seconds = (times["last"] - times["first"]).total_seconds()
    _forget()
    return {
        f"drain of {name}, executions/s": count / seconds,
        f"drain of {name}, steps/s": count * steps / seconds,
        f"commits per execution, {name}": (after["commits"] - before["commits"])
        / count,
        f"WAL bytes per execution, {name}": (after["wal"] - before["wal"]) / count,
    }


def _latencies() -> Figures:
    """Start one execution at a time while a worker has nothing to do."""
    import django_durable as durable

    picked: list[float] = []
    hops: list[float] = []
    with _worker() as process:
        time.sleep(2)
        for _ in range(60):
            execution = durable.start("bench_clock")
            returned = time.monotonic_ns()
            result = durable.wait_for_result(execution, timeout=30)
            picked.append((result["began"] - returned) / 1e6)
            hops.append((result["second_began"] - result["began"]) / 1e6)
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
    _forget()
    return {
        "pick-up, median ms": statistics.median(picked),
        "pick-up, p95 ms": statistics.quantiles(picked, n=20)[-1],
        "hop between steps, median ms": statistics.median(hops),
    }


@contextmanager
def _worker(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "manage.py", "runworkers", "-v", "0", *arguments]
    process = subprocess.Popen(command)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _activity() -> dict[str, int]:
    from django.db import connection

    time.sleep(1.1)  # The server publishes its counters about once a second.
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT xact_commit, pg_current_wal_lsn() - '0/0'::pg_lsn "
            "FROM pg_stat_database WHERE datname = current_database()"
        )
        commits, wal = cursor.fetchone()
    return {"commits": commits, "wal": int(wal)}


def _forget() -> None:
    from django.db import connection

    tables = [
        table
        for table in connection.introspection.table_names()
        if table.startswith("django_durable_")
    ]
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(map(connection.ops.quote_name, tables))}")


def _machine() -> dict[str, Any]:
    import django
    import psycopg
    from django.db import connection

    return {
        "python": sys.version.split()[0],
        "django": django.get_version(),
        "psycopg": psycopg.__version__,
        "postgresql": connection.pg_version,
        "cores": os.cpu_count(),
    }


def _table(medians: Figures) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in _machine().items())
    width = max(map(len, medians))
    lines = [f"{name:<{width}}  {value:>12,.2f}" for name, value in medians.items()]
    return "\n".join([f"Medians on {machine}", *lines])
