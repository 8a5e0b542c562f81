"""The few statements that are sent again and again.

On PostgreSQL their parameters are bound on the server and they are prepared, so that
each is parsed once per connection, and planned now and then. The ORM keeps Django's own
cursors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

if TYPE_CHECKING:
    # Where only SQLite is used, psycopg may be without the library that it needs.
    import psycopg

    RawConnection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

_PREPARES_AFTER = 8
"""A connection that lives for fewer statements would only lose by preparing them."""

_uses: WeakKeyDictionary[RawConnection, int] = WeakKeyDictionary()


def fetch(using: str, sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Execute one statement, and return its rows."""
    connection = connections[using]
    with _cursor(connection) as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()  # type: ignore[no-any-return]


def loaded(column: Any) -> Any:
    """Return a JSON column, which comes as text from a statement of our own."""
    return json.loads(column) if isinstance(column, str) else column


def _cursor(connection: BaseDatabaseWrapper) -> Any:
    if connection.vendor != "postgresql" or connection.queries_logged:
        # Of a statement that is prepared Django could not tell the text.
        return connection.cursor()
    connection.ensure_connection()
    _count(connection)
    raw = _preparing_cursor()(connection.connection)
    # Inside Django's own wrapper, so that errors are Django's, and others may look on.
    return connection._prepare_cursor(raw)  # type: ignore[attr-defined]


@cache
def _preparing_cursor() -> Any:
    import psycopg

    class Preparing(psycopg.Cursor[Any]):
        """Prepares what it executes, where its connection lets it."""

        def execute(self, query: Any, params: Any = None, **_: Any) -> Any:
            return super().execute(query, params, prepare=True)

    return Preparing


def _count(connection: BaseDatabaseWrapper) -> None:
    """Let a connection prepare our statements once it is used often enough.

    They are prepared anew whenever it has been used twice as often. A plan that was made
    while a table was small reads all of it, and would be kept however large the table
    has become, until it is analyzed.
    """
    raw: RawConnection = connection.connection
    uses = _uses.get(raw, 0)
    _uses[raw] = uses + 1
    if uses < _PREPARES_AFTER or uses & (uses - 1):
        return
    with connection.wrap_database_errors:
        if uses == _PREPARES_AFTER:
            _let_prepare(raw, connection.settings_dict["OPTIONS"])
        elif raw.prepare_threshold is not None:
            raw.execute("DEALLOCATE ALL")


def _let_prepare(raw: RawConnection, options: Mapping[str, Any]) -> None:
    if "prepare_threshold" not in options and not is_pooled(raw):
        # Not None, or nothing is prepared; and more than the ORM's statements come to.
        raw.prepare_threshold = 2**31


def is_pooled(raw: RawConnection) -> bool:
    """Say whether a pooler stands between: its clients get no session to keep.

    It makes up the process id that it tells its clients.
    """
    row = raw.cursor().execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    return bool(row[0] != raw.info.backend_pid)
