"""System checks of the databases that instances use, as ``DATABASES`` describes them.

None of them connects to a database.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core import checks

from django_durable import conf

Database = Mapping[str, Any]
"""An entry of ``settings.DATABASES``."""

SPARE_CONNECTIONS = 2
"""What a worker needs beside one connection per execution: its heartbeat and its claims."""

_SQLITE_LINES = """\
"OPTIONS": {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
},"""

_LEAST_TIMEOUT = 5


def check_sqlite(**_: Any) -> Sequence[checks.CheckMessage]:
    """``durable.W102``: SQLite without WAL, IMMEDIATE or a busy timeout."""
    return [
        checks.Warning(
            f"The SQLite database {alias!r} is not set up for several writers: "
            f"{', '.join(faults)}. Workers and requests will fail with "
            '"database is locked".',
            hint=f'Put this into DATABASES["{alias}"]:\n{_SQLITE_LINES}',
            id="durable.W102",
        )
        for alias, database in _databases()
        if _is_file(database) and (faults := list(_sqlite_faults(database)))
    ]


def _is_file(database: Database) -> bool:
    """Say whether it is a file of SQLite, which other connections see."""
    name = str(database.get("NAME") or "")
    in_memory = ":memory:" in name or "mode=memory" in name
    return _engine(database).endswith("sqlite3") and bool(name) and not in_memory


def _sqlite_faults(database: Database) -> Iterator[str]:
    options = database.get("OPTIONS") or {}
    commands = re.sub(r"[\s'\"]", "", str(options.get("init_command") or "")).lower()
    is_wal = "journal_mode=wal" in commands or _is_in_wal_mode(database)
    if not is_wal:
        yield "its journal_mode is not WAL"
    if str(options.get("transaction_mode")).upper() not in ("IMMEDIATE", "EXCLUSIVE"):
        yield "its transaction_mode is not IMMEDIATE"
    timeout = options.get("timeout")
    if timeout is not None and timeout < _LEAST_TIMEOUT:
        yield f"its timeout of {timeout} s is short"


def _is_in_wal_mode(database: Database) -> bool:
    """Say whether the file was switched to WAL before: it stays in it."""
    try:
        with Path(str(database["NAME"])).open("rb") as file:
            # "File format write version", https://www.sqlite.org/fileformat2.html
            return file.read(20)[18:19] == b"\x02"
    except OSError:
        return False


def check_pool(**_: Any) -> Sequence[checks.CheckMessage]:
    """``durable.W103``: a connection pool that is smaller than what a worker runs."""
    return [
        checks.Warning(
            f"The connection pool of {alias!r} has at most {size} connections; a worker "
            f"of {_named(name)} runs {concurrency} executions at once, each with its "
            "own.",
            hint=(
                f'Give DATABASES["{alias}"]["OPTIONS"]["pool"] a "max_size" of '
                f"{concurrency + SPARE_CONNECTIONS} or more, or lower the concurrency "
                "in QUEUES."
            ),
            id="durable.W103",
        )
        for name, alias, database in _instances()
        if (size := _pool_size(database)) is not None
        for concurrency in [_concurrency(name)]
        if size < concurrency + SPARE_CONNECTIONS
    ]


def _concurrency(name: str) -> int:
    return sum(queue.concurrency for queue in conf.get_settings(name).queues.values())


def _pool_size(database: Database) -> int | None:
    """Return how many connections the pool of a database has; ``None`` without one."""
    pool = (database.get("OPTIONS") or {}).get("pool")
    if not pool:
        return None
    given = pool if isinstance(pool, Mapping) else {}
    # As psycopg_pool reads them: four at least, and no more than at least.
    least: int = given.get("min_size", 4)
    most: int | None = given.get("max_size")
    return least if most is None else most


def check_pool_age(**_: Any) -> Sequence[checks.CheckMessage]:
    """``durable.E103``: ``CONN_MAX_AGE`` with a pool, which Django refuses."""
    return [
        checks.Error(
            f'DATABASES["{alias}"] has a pool and a CONN_MAX_AGE of '
            f"{database['CONN_MAX_AGE']}: Django will not connect to it.",
            hint="Leave CONN_MAX_AGE out, or set it to 0: the pool keeps connections.",
            id="durable.E103",
        )
        for alias, database in _databases()
        if _pool_size(database) is not None and database.get("CONN_MAX_AGE", 0) != 0
    ]


def check_shared(**_: Any) -> Sequence[checks.CheckMessage]:
    """``durable.E102``: two instances whose aliases lead to the same tables."""
    found: list[checks.CheckMessage] = []
    owners: dict[tuple[str, ...], str] = {}
    for name, alias, database in _instances():
        place = _place(database)
        other = owners.setdefault(place, name)
        if other != name and alias != conf.get_settings(other).database:
            found.append(
                checks.Error(
                    f"The instances {_named(other)} and {_named(name)} use the same "
                    "database under two aliases: they would take each other's "
                    "executions.",
                    hint=(
                        "Give each a database, or a schema of PostgreSQL, of its own: "
                        f'DATABASES["{alias}"]["OPTIONS"] = '
                        '{"options": "-c search_path=NAME"}.'
                    ),
                    id="durable.E102",
                )
            )
    return found


def check_search_path(**_: Any) -> Sequence[checks.CheckMessage]:
    """``durable.W104``: a ``search_path`` in which tables of another schema are found."""
    return [
        checks.Warning(
            f"The search_path of {alias!r} names several schemas ({path}). Tables that "
            "the first one lacks are found in the next, so migrate may take those of "
            "another instance for its own.",
            hint=f"Name one schema only: -c search_path={path.split(',')[0].strip()}.",
            id="durable.W104",
        )
        for alias, database in _databases()
        if "," in (path := _search_path(database)) and _has_neighbours(database)
    ]


def _search_path(database: Database) -> str:
    options = str((database.get("OPTIONS") or {}).get("options") or "")
    found = re.search(r"search_path\s*=\s*((?:\\.|\S)+)", options)
    return found[1].replace("\\ ", " ") if found else ""


def _has_neighbours(database: Database) -> bool:
    """Say whether another instance uses another schema of the same database."""
    place = _place(database)[:4]
    return sum(_place(other)[:4] == place for _, other in _databases()) > 1


def _place(database: Database) -> tuple[str, ...]:
    """Return where the tables of a database are: engine, name, server, role, schema."""
    # A role may have a schema of its own.
    keys = ("NAME", "HOST", "PORT", "USER")
    return (
        _engine(database),
        *(str(database.get(key) or "") for key in keys),
        _search_path(database),
    )


def _engine(database: Database) -> str:
    return str(database.get("ENGINE") or "")


def _databases() -> Iterator[tuple[str, Database]]:
    """Yield the databases that instances use, each once."""
    yield from {alias: database for _, alias, database in _instances()}.items()


def _instances() -> Iterator[tuple[str, str, Database]]:
    """Yield the instances with their databases, unless the setting itself is wrong."""
    given = getattr(settings, "DURABLE", {})
    if conf.find_problems(given, databases=settings.DATABASES):
        return
    for name in given or (conf.DEFAULT_INSTANCE,):
        alias = conf.get_settings(name).database
        yield name, alias, settings.DATABASES[alias]


def _named(name: str) -> str:
    return f'DURABLE["{name}"]'


CHECKS: Sequence[Callable[..., Sequence[checks.CheckMessage]]] = (
    check_sqlite,
    check_pool,
    check_pool_age,
    check_shared,
    check_search_path,
)
