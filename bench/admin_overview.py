"""How long the overview takes in the admin, on PostgreSQL with many executions.

``python -m bench.admin_overview`` starts a throw-away server (or uses ``DATABASE_URL``),
stores 1,000,000 executions (of 20 each 2 are due, 2 asleep and 1 waits for a person; a
sixteenth has completed in the past hour, a fiftieth failed in the past day), and opens
the overview as a browser would. It prints the median time of each statement, and of the
whole page, in milliseconds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from contextlib import ExitStack
from typing import Any

USER = "bench"

_EXECUTIONS = """
INSERT INTO django_durable_execution (
    id, workflow, status, queue, home_queue, priority, input, data, error, tags,
    idempotency_key, is_lane, scope, open_lanes, current_step, sequence, attempt, calls,
    waiting_for, available_at, lease_token, created_at, started_at, completed_at
)
SELECT
    -- In order of time, as the ids of the engine are.
    (lpad(to_hex((extract(epoch FROM created) * 1000)::bigint), 12, '0')
        || '70008' || lpad(to_hex(n), 15, '0'))::uuid,
    'bench_' || substr('abc', n %% 3 + 1, 1),
    CASE kind WHEN 'due' THEN 'pending' WHEN 'asleep' THEN 'waiting'
        WHEN 'asked' THEN 'waiting' WHEN 'lately' THEN 'completed' ELSE kind END,
    CASE WHEN n %% 2000 = 1 THEN 'forgotten' ELSE 'default' END,
    'default', 0,
    jsonb_build_object('order', n, 'note', repeat('x', 200)),
    jsonb_build_object('order', n, 'note', repeat('y', 300)),
    CASE WHEN kind = 'failed' THEN jsonb_build_object(
        'type', (ARRAY['ConnectionError', 'Timeout', 'Declined'])[n %% 7 %% 3 + 1],
        'message', 'Order ' || n || ' could not be charged',
        'step', (ARRAY['charge', 'send[' || n || '].letter'])[n %% 2 + 1],
        'traceback', repeat('File "payments.py", line ' || n || chr(10), 60)) END,
    '[]', 'order-' || n, false, '', 0, 'charge', 1, 1, 0,
    CASE WHEN kind = 'asked' THEN 'approval manager' ELSE '' END,
    CASE kind WHEN 'due' THEN now() - interval '1 second' * (n %% 3600)
        WHEN 'asleep' THEN now() + interval '1 second' * (n %% 86400 + 60) END,
    1, created,
    CASE WHEN kind <> 'due' THEN created + interval '200 milliseconds' * (n %% 7) END,
    CASE WHEN kind IN ('completed', 'lately', 'failed')
        THEN created + interval '1 second' * (n %% 11 + 2) END
FROM (
    SELECT n, kind, CASE kind
        WHEN 'failed' THEN now() - interval '24 hours' * (%(rows)s - n) / %(rows)s
        WHEN 'lately' THEN now() - interval '1 hour' * (%(rows)s - n) / %(rows)s
        ELSE now() - interval '30 days' * (%(rows)s - n) / %(rows)s END AS created
    FROM (
        SELECT n, CASE WHEN n %% 20 IN (1, 2) THEN 'due' WHEN n %% 20 = 5 THEN 'asked'
            WHEN n %% 20 IN (3, 4) THEN 'asleep' WHEN n %% 50 = 6 THEN 'failed'
            WHEN n %% 16 = 8 THEN 'lately' WHEN n %% 5000 = 10 THEN 'paused'
            ELSE 'completed' END AS kind
        FROM generate_series(1, %(rows)s) AS n
    ) AS numbered
) AS made
"""
_WAITS = """
INSERT INTO django_durable_wait (
    id, execution_id, path, sequence, attempt, kind, name, ordinal, status, sentence,
    names, received, until, has_timeout_value, fails_step, created_at
)
SELECT gen_random_uuid(), id, 'charge', 1, 1,
    CASE WHEN available_at IS NULL THEN 'input' ELSE 'sleep' END, 'manager', 0, 'open',
    waiting_for, '[]', '{}', available_at, false, false, created_at
FROM django_durable_execution WHERE status = 'waiting'
"""
_INPUTS = """
INSERT INTO django_durable_inputrequest (
    id, execution_id, wait_id, name, path, type, prompt, form, username, "group",
    permission, status, comment, created_at
)
SELECT gen_random_uuid(), execution_id, id, name, path, 'approval', '', '', '',
    CASE WHEN random() < 0.5 THEN 'finance' ELSE '' END, '', 'open', '', created_at
FROM django_durable_wait WHERE kind = 'input'
"""

_SETTLE = "VACUUM ANALYZE"


def main() -> None:
    """Fill the tables unless they are full, and print what each region takes."""
    parser = argparse.ArgumentParser(prog="python -m bench.admin_overview")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    with ExitStack() as stack:
        if not os.environ.get("DATABASE_URL"):
            from testproject import postgres

            os.environ["DATABASE_URL"] = stack.enter_context(postgres.running()).url
        os.environ["DJANGO_SETTINGS_MODULE"] = "bench.settings"
        _prepare(options.rows)
        client = _browser()
        for name, query in {"standing": "1", "rates": "rates", "the page": ""}.items():
            _measure(client, name, query, options.rounds)


def _prepare(rows: int) -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    if connection.vendor != "postgresql":
        sys.exit("This measures PostgreSQL: set DATABASE_URL to one.")
    call_command("migrate", verbosity=0)
    began = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM django_durable_execution)")
        if cursor.fetchone()[0]:
            print("The tables are full already.")
            return
        cursor.execute(_EXECUTIONS, {"rows": rows})
        cursor.execute(_WAITS)
        cursor.execute(_INPUTS)
        cursor.execute(_SETTLE)
    print(f"{rows:,} executions stored in {time.monotonic() - began:.0f} s")


def _browser() -> Any:
    from django.contrib.auth.models import User
    from django.test import Client

    user, _ = User.objects.get_or_create(
        username=USER, defaults={"is_staff": True, "is_superuser": True}
    )
    client = Client(headers={"host": "localhost"})
    client.force_login(user)
    return client


def _measure(client: Any, name: str, query: str, rounds: int) -> None:
    """Print the median of a request, and those of its slowest statements."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext
    from django.urls import reverse

    address = reverse("admin:django_durable_overview_changelist")
    taken: list[float] = []
    statements: dict[str, list[float]] = {}
    parameters = {"_live": query} if query else {}
    client.get(address, parameters)  # It fills caches.
    for _ in range(rounds):
        with CaptureQueriesContext(connection) as captured:
            began = time.perf_counter()
            answer = client.get(address, parameters)
            taken.append((time.perf_counter() - began) * 1000)
        if answer.status_code != 200:
            sys.exit(f"{address}: {answer.status_code}")
        for number, one in enumerate(captured.captured_queries):
            key = f"{number + 1:>2} {' '.join(one['sql'].split())[:68]}"
            statements.setdefault(key, []).append(float(one["time"]) * 1000)
    print(f"{statistics.median(taken):>8.1f} ms  {name}, {len(statements)} statements")
    medians = {key: statistics.median(times) for key, times in statements.items()}
    for key, median in sorted(medians.items(), key=lambda one: -one[1])[:4]:
        print(f"{median:>14.1f} ms  {key}")


if __name__ == "__main__":
    main()
