"""The database connections of a worker's threads: each thread has its own."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import Error, connections, reset_queries
from django.db.backends.base.base import BaseDatabaseWrapper

logger = logging.getLogger("django_durable.workers")


def renew_connections() -> None:
    """Drop this thread's connections that are broken, or were left in a transaction.

    Asked now and then while there is work, as Django does around a request. A connection
    that works is kept meanwhile, whatever ``CONN_MAX_AGE`` is: to connect anew for each
    step costs more than most of them.
    """
    reset_queries()
    _for_each(_renew)


def rest_connections() -> None:
    """Close this thread's connections that ``CONN_MAX_AGE`` does not keep open."""
    _for_each(_rest)


def close_connections() -> None:
    """Close all connections of this thread, however broken they are."""
    _for_each(BaseDatabaseWrapper.close)


def _for_each(change: Callable[[BaseDatabaseWrapper], None]) -> None:
    for connection in connections.all(initialized_only=True):
        try:
            change(connection)
        except Error:
            logger.warning("A connection could not be closed in order.", exc_info=True)
            del connections[connection.alias]


def _renew(connection: BaseDatabaseWrapper) -> None:
    if connection.in_atomic_block:
        # An interruption hit Django between the begin and the end of a transaction.
        connection.close()
        del connections[connection.alias]
        return
    has_age = connection.settings_dict["CONN_MAX_AGE"] != 0
    # One that comes from a pool goes back to it: others may be waiting there.
    is_pooled = connection.settings_dict["OPTIONS"].get("pool")
    if not has_age and not is_pooled:
        connection.close_at = None
    connection.close_if_unusable_or_obsolete()


def _rest(connection: BaseDatabaseWrapper) -> None:
    if connection.settings_dict["CONN_MAX_AGE"] == 0:
        connection.close()
