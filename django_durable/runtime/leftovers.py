"""What a step body leaves open on the connections of its thread, and its undoing.

The engine writes on the same connections. In a transaction that nobody will ever end,
what it wrote would be lost, and everything after it.
"""

from __future__ import annotations

from typing import Any

from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import TransactionManagementError


class OpenBlocks:
    """How many transaction blocks were open, by connection, before a body ran."""

    def __init__(self) -> None:
        self._before = {
            connection.alias: _depth(connection)
            for connection in connections.all(initialized_only=True)
        }

    def restore(self) -> None:
        """Undo what was left open since; raise an error if that undoes writes."""
        left = [
            connection.alias
            for connection in connections.all(initialized_only=True)
            if _restore(connection, self._before.get(connection.alias, 0))
        ]
        if left:
            raise TransactionManagementError(
                "It left a transaction open, or closed the connection in one, on the "
                f"database {', '.join(left)}; what it wrote there was rolled back. Use "
                "`with transaction.atomic():`."
            )


def _depth(connection: BaseDatabaseWrapper) -> int:
    return len(connection.savepoint_ids) + connection.in_atomic_block


def _restore(connection: BaseDatabaseWrapper, depth: int) -> bool:
    """Bring a connection back to ``depth`` open blocks; say whether writes were lost."""
    is_closed = _is_closed(connection)
    if depth:
        if is_closed:
            connection.needs_rollback = True
            return True
        return _leave_blocks(connection, depth)
    if connection.in_atomic_block or (not is_closed and _is_in_transaction(connection)):
        connection.close()
        # Django's notes on it are about a transaction that is no more.
        del connections[connection.alias]
        return True
    if is_closed:
        connection.close()
    elif connection.errors_occurred:
        connection.close_if_unusable_or_obsolete()
    return False


def _leave_blocks(connection: BaseDatabaseWrapper, depth: int) -> bool:
    """Roll back to the outermost block that was left open, inside an older one."""
    if _depth(connection) <= depth:
        return False
    savepoint = connection.savepoint_ids[depth - 1]
    del connection.savepoint_ids[depth - 1 :]
    del connection.atomic_blocks[depth:]
    connection.needs_rollback = savepoint is None
    if savepoint is not None:
        connection.savepoint_rollback(savepoint)
    return True


# The driver is asked, for it knows of raw statements too; nothing is sent to the server.


def _is_closed(connection: BaseDatabaseWrapper) -> bool:
    raw: Any = connection.connection
    if raw is None or connection.closed_in_transaction:
        return True
    try:
        # sqlite3 tells of a closed connection only by raising.
        with connection.wrap_database_errors:
            return bool(getattr(raw, "closed", False) or raw.in_transaction is None)
    except AttributeError:
        return False
    except Error:
        return True


def _is_in_transaction(connection: BaseDatabaseWrapper) -> bool:
    if connection.settings_dict["AUTOCOMMIT"] and not connection.autocommit:
        return True
    raw: Any = connection.connection
    if hasattr(raw, "info"):
        return bool(raw.info.transaction_status)  # psycopg's IDLE is 0.
    return bool(getattr(raw, "in_transaction", False))
