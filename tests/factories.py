"""Plain functions the tests of the engine share: run, crash, reap, count."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from django_durable.conf import get_settings
from django_durable.engine.transitions import TRANSITIONS
from django_durable.models import Execution
from django_durable.runtime.executor import Executor
from django_durable.runtime.watchdog import Watchdog
from django_durable.store import leases, workers
from django_durable.store.leases import Claimed

NOON = datetime(2030, 3, 1, 12, 0, tzinfo=UTC)
"""An instant for ``clock.freeze``."""

WORKER = UUID("00000000-0000-7000-8000-00000000000a")
"""A worker without a row: what it holds when it stops counts as lost."""


def claim(queue: str = "default", *, limit: int = 10) -> list[Claimed]:
    """Lease what is due now, as one worker after the other would."""
    return leases.claim(queue=queue, worker_id=WORKER, limit=limit, using="default")


def run(claimed: Claimed, **options: Any) -> None:
    """Run one leased execution in this thread, as far as it goes."""
    watchdog = Watchdog()
    options = {"inline": True, **options}
    try:
        Executor(get_settings(), watchdog=watchdog, **options).run(claimed)
    finally:
        watchdog.close()


def drain(*queues: str, limit: int = 500) -> int:
    """Run all that is due now, one after the other; return how many runs it took."""
    count = 0
    while claimed := [
        one for queue in queues or ("default",) for one in claim(queue, limit=1)
    ]:
        for one in claimed:
            run(one)
            count += 1
        assert count < limit, "nothing becomes of it: something is always due"
    return count


def reap() -> int:
    """Give back what ``WORKER`` held when it died."""
    return workers.release_lost(using="default")


def fresh(execution: Execution) -> Execution:
    """Return the execution as it is stored now."""
    return Execution.objects.get(pk=execution.pk)


def finish(execution: Execution, *queues: str) -> Execution:
    """Run all that is due, and return the execution as it is stored then."""
    drain(*queues)
    return fresh(execution)


def attempts(execution: Execution) -> list[tuple[str, int, str]]:
    """Return path, attempt and status of the steps of an execution, in order."""
    return list(execution.steps.values_list("path", "attempt", "status"))


@contextmanager
def emptied_afterwards() -> Iterator[None]:
    """Delete what a test leaves in the tables of the engine, and in some of others."""
    keeper = connection.copy()
    if keeper.vendor == "sqlite":
        # Whoever closes the last connection writes back the log, which takes long.
        keeper.ensure_connection()
    try:
        yield
        empty_tables()
    finally:
        keeper.close()


def empty_tables() -> None:
    """Delete all rows that tests make, whatever state the connection is in."""
    connection.close()
    del connections[connection.alias]
    _refuse_real_database()
    with connection.cursor() as cursor:
        for table in _tables():
            cursor.execute(f"DELETE FROM {table}")  # noqa: S608
    connection.close()


def _tables() -> Iterator[str]:
    """Yield the tables that tests write to, those that refer to others first."""
    yield from ("auth_group_permissions", "auth_user_groups", "testapp_effect")
    yield from ("auth_user", "auth_group")
    for model in apps.get_app_config("django_durable").get_models():
        yield model._meta.db_table


def _refuse_real_database() -> None:
    name = Path(str(connection.settings_dict["NAME"])).name
    assert name.startswith(("test_", "django-durable-")), f"{name} is no test database"


def wait_until_somebody_waits() -> None:
    """Return once another session waits for a lock of this one."""
    for _ in range(2000):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks "
                "WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
            )
            if cursor.fetchone()[0]:
                return
            cursor.execute("SELECT pg_sleep(0.005)")
    raise AssertionError("nobody waits")


# --- Statements -----------------------------------------------------------------------

_BOUNDS = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE SAVEPOINT")


class Statements:
    """What was sent to the database in a ``with`` block of ``counted()``."""

    def __init__(self) -> None:
        self.all: list[str] = []

    @property
    def queries(self) -> list[str]:
        """The statements, without those that only bound transactions."""
        return [sql for sql in self.all if not sql.startswith(_BOUNDS)]

    @property
    def commits(self) -> int:
        """How often something was committed: transactions, and statements outside."""
        count, is_open = 0, False
        for sql in self.all:
            if sql.startswith("BEGIN"):
                is_open = True
            elif sql.startswith(("COMMIT", "ROLLBACK")):
                is_open, count = False, count + sql.startswith("COMMIT")
            elif not is_open and not sql.startswith("SELECT"):
                count += 1
        return count


@contextmanager
def counted() -> Iterator[Statements]:
    """Collect the statements of this thread's connection."""
    statements = Statements()
    with CaptureQueriesContext(connection) as captured:
        yield statements
    statements.all = [query["sql"].lstrip() for query in captured.captured_queries]


# --- The status table, held against every write ---------------------------------------

_POSTGRESQL = """
CREATE OR REPLACE FUNCTION durable_refuse() RETURNS trigger AS $$
BEGIN RAISE EXCEPTION 'status % after %', NEW.status, OLD.status; END;
$$ LANGUAGE plpgsql;
DROP TRIGGER IF EXISTS durable_refuse ON {table};
CREATE TRIGGER durable_refuse BEFORE UPDATE OF status ON {table} FOR EACH ROW
WHEN (OLD.status <> NEW.status AND (OLD.status, NEW.status) NOT IN ({allowed}))
EXECUTE FUNCTION durable_refuse();
"""
_SQLITE = """
CREATE TRIGGER IF NOT EXISTS durable_refuse BEFORE UPDATE OF status ON {table}
WHEN OLD.status <> NEW.status AND (OLD.status, NEW.status) NOT IN (VALUES {allowed})
BEGIN SELECT RAISE(ABORT, 'a status after one that it may not follow'); END;
"""


def refuse_other_transitions() -> None:
    """Let the database refuse every change of status that is not in ``TRANSITIONS``.

    A trigger sees the writes of all threads and processes, whoever makes them.
    """
    allowed = ", ".join(f"('{before}', '{after}')" for before, after in TRANSITIONS)
    template = _POSTGRESQL if connection.vendor == "postgresql" else _SQLITE
    sql = template.format(table=Execution._meta.db_table, allowed=allowed)
    _refuse_real_database()
    with connection.cursor() as cursor:
        cursor.execute(sql)
    connection.close()
