"""The same drains on full tables, with large payloads, many processes, many slots."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from django.db import connection

import django_durable as durable
from bench.measures import SLOTS
from bench.meters import Figures
from bench.running import drain
from django_durable.models import Execution

Measure = tuple[str, Callable[[], Figures]]


def measures() -> Iterator[Measure]:
    """Yield what is measured, from small to large."""
    for backlog in (0, 100_000, 1_000_000):
        yield f"backlog of {backlog:,}", partial(_in_full_table, "pending", backlog)
    for finished in (0, 1_000_000):
        yield f"{finished:,} finished", partial(_in_full_table, "completed", finished)
    for size, count in ((100, 1000), (10_000, 400), (1_000_000, 10)):
        given = {"n": 1, "payload": "x" * size}
        five = partial(drain, "bench_five", steps=5, arguments=SLOTS)
        yield f"data of {size:,} bytes", partial(five, count=count, data=given)
    for processes in (1, 2, 4):
        yield f"{processes} processes", partial(_one_step, f"--processes={processes}")
    for slots in (16, 64):
        yield f"{slots} slots", partial(_one_step, f"--concurrency={slots}")


def _one_step(argument: str) -> Figures:
    return drain("bench_one", count=5000, steps=1, arguments=(*SLOTS, argument))


def _in_full_table(status: str, count: int) -> Figures:
    """Drain while ``count`` more rows are claimable behind it, or have ended."""
    if count:
        _fill(durable.start("bench_one", {"n": 1}), status, count)
    return drain("bench_one", count=5000, steps=1, arguments=SLOTS)


def _fill(template: Execution, status: str, count: int) -> None:
    """Copy a row; the copies are older than whatever is measured."""
    has_ended = status == "completed"
    values = {
        "id": "('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid",
        "status": f"'{status}'",
        "available_at": "NULL" if has_ended else "available_at",
        "completed_at": "now()" if has_ended else "NULL",
    }
    columns = [field.column for field in Execution._meta.concrete_fields]
    selected = [values.get(column, f'"{column}"') for column in columns]
    table = connection.ops.quote_name(Execution._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) "  # noqa: S608
            f"SELECT {', '.join(selected)} FROM {table}, generate_series(1, %s) AS n "
            "WHERE id = %s",
            [count, template.pk],
        )
        cursor.execute(f"VACUUM ANALYZE {table}")
