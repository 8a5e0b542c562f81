"""A database server that crashes under the workers."""

from __future__ import annotations

import subprocess
import sys

import psycopg
import pytest

from tests.processes.worker_processes import MANAGE, eventually

EXECUTIONS = 100

_START = f"""
import django_durable
django_durable.start_many("tour", [{{"number": number}} for number in range({EXECUTIONS})])
"""


@pytest.fixture
def own_database(postgres_only, environment, own_postgres):
    """A migrated database on a server of its own; the workers of this test use it."""
    environment["DATABASE_URL"] = own_postgres.url
    manage(environment, "migrate", "--run-syncdb", "--verbosity=0")
    return own_postgres


def manage(environment, *arguments) -> None:
    subprocess.run([sys.executable, MANAGE, *arguments], env=environment, check=True)


def query(server, sql):
    """Return the rows of a query, or nothing while the server is away."""
    try:
        with psycopg.connect(server.url) as connection:
            return connection.execute(sql).fetchall()
    except psycopg.OperationalError:
        return []


def ended_count(server):
    ended = "SELECT count(completed_at) FROM django_durable_execution"
    return next(iter(query(server, ended)), (0,))[0]


@pytest.mark.timeout(150)
def test_workers_outlive_a_crash_of_the_database_server(
    own_database, start_worker, environment
):
    manage(environment, "shell", "--verbosity=0", "--command", _START)
    workers = [start_worker("--concurrency=4") for _ in range(2)]
    for done in (10, 40):
        eventually(
            lambda done=done: ended_count(own_database) >= done,
            within=30,
            what=f"{done} ends",
        )
        own_database.restart("immediate")
    eventually(
        lambda: ended_count(own_database) == EXECUTIONS,
        within=60,
        what="the end of all",
    )

    failed = query(
        own_database,
        "SELECT error FROM django_durable_execution WHERE status <> 'completed'",
    )
    assert failed == []
    assert all(worker.lives for worker in workers)
    totals = query(
        own_database,
        "SELECT data -> 'number', data -> 'total' FROM django_durable_execution",
    )
    assert all(total == ((number + 1) * 10 + 1) * 10 for number, total in totals)
    effects = query(
        own_database,
        "SELECT count(*), count(DISTINCT (execution_id, step)) FROM testapp_effect",
    )
    assert effects == [(2 * EXECUTIONS, 2 * EXECUTIONS)]
    for worker in workers:
        # One that had nothing to do in the outage hears of its end at its next look.
        eventually(
            lambda worker=worker: worker.says("All services work again"), within=20
        )
