"""Rates, costs and latencies of the engine, against the machine's own limit.

``python -m bench`` starts a throw-away PostgreSQL with default durability (or uses
``DATABASE_URL``), and worker processes as they run in production. Measures are
interleaved: each round runs all of them, and the unit before and after each. What is
printed are medians over the rounds; ``÷`` is a rate over that of the unit nearest to it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import limits

Figures = dict[str, float]
Rounds = dict[str, list[Figures]]


def main() -> None:
    """Run the rounds and print the medians."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="measures with this in their name")
    parser.add_argument(
        "--scale", action="store_true", help="full tables, payloads, processes, slots"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="durable-bench-")
        )
        if not os.environ.get("DATABASE_URL"):
            from testproject import postgres

            os.environ["DATABASE_URL"] = stack.enter_context(postgres.running()).url
        os.environ["BENCH_SQLITE"] = f"{folder}/db.sqlite3"
        os.environ["DJANGO_SETTINGS_MODULE"] = "bench.settings"
        _prepare()
        rounds = _run(options.rounds, _chosen(options), Path(folder))
        machine = _machine()
    medians = {name: _medians(found) for name, found in rounds.items()}
    if options.json:
        print(json.dumps({**machine, "medians": medians, "rounds": rounds}, indent=1))
    else:
        print(_report(machine, medians))


def _prepare() -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    if connection.vendor != "postgresql":
        sys.exit("The benchmarks need PostgreSQL: set DATABASE_URL to one.")
    for alias in ("default", "sqlite"):
        call_command("migrate", verbosity=0, database=alias)


def _chosen(options: argparse.Namespace) -> Mapping[str, Callable[[], Figures]]:
    from bench import measures, scale

    known = dict(scale.measures()) if options.scale else measures.MEASURES
    chosen = {name: act for name, act in known.items() if options.only in name}
    return chosen or sys.exit(f"--only: there is {', '.join(known)}.")


def _run(
    count: int, chosen: Mapping[str, Callable[[], Figures]], folder: Path
) -> Rounds:
    from bench.measures import measure

    rounds: Rounds = defaultdict(list)
    for _ in range(count):
        for name, act in chosen.items():
            print(f"{name} …", file=sys.stderr)
            before = _unit(name, folder)
            figures = measure(name, act)
            unit = statistics.mean([before, _unit(name, folder)])
            rounds["unit on SQLite" if "SQLite" in name else "unit"].append(
                {"/s": unit}
            )
            if rate := figures.get("executions/s"):
                figures = {"÷ unit": rate / unit, **figures}
            rounds[name].append(figures)
    return rounds


def _unit(name: str, folder: Path) -> float:
    if "SQLite" in name:
        return limits.sqlite_workflows_per_second(folder)
    return limits.workflows_per_second(os.environ["DATABASE_URL"])


def _medians(found: list[Figures]) -> Figures:
    return {
        name: statistics.median(figures[name] for figures in found) for name in found[0]
    }


def _machine() -> dict[str, Any]:
    import sqlite3

    import django
    import psycopg
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', "
            "'synchronous_commit', 'full_page_writes', 'shared_buffers', 'max_wal_size')"
        )
        settings = dict(cursor.fetchall())
        cursor.execute("SHOW server_version")
        (server,) = cursor.fetchone()
    return {
        "unit": limits.unit(),
        "versions": {
            "python": sys.version.split()[0],
            "django": django.get_version(),
            "psycopg": psycopg.__version__,
            "postgresql": server,
            "sqlite": sqlite3.sqlite_version,
        },
        "settings": settings,
        "cores": os.cpu_count(),
    }


def _report(machine: dict[str, Any], medians: dict[str, Figures]) -> str:
    lines = [machine["unit"], f"{machine['cores']} cores"]
    lines += [_listed(machine[part]) for part in ("versions", "settings")]
    for name, figures in medians.items():
        lines += ["", name]
        lines += [
            f"  {figure:<34}{_number(value)}" for figure, value in figures.items()
        ]
    return "\n".join(lines)


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _number(value: float) -> str:
    return f"{value:>12,.0f}" if value >= 100 else f"{value:>12.2f}"
