"""Tell workers that there is something to claim. Polling alone would find it, later."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from django.db import connections, transaction

from django_durable.models import Execution

_listeners: set[Callable[[], None]] = set()
_lock = threading.Lock()


def notify(queues: Iterable[str], *, using: str) -> None:
    """Wake the workers of ``queues`` when the current transaction commits.

    A notification inside a transaction is delivered by its commit, and dropped with it.
    """
    queues = sorted(queues)
    if not queues:
        return
    if connections[using].vendor == "postgresql":
        with connections[using].cursor() as cursor:
            cursor.execute(
                f"SELECT pg_notify({channel()}, queue) "  # noqa: S608
                "FROM unnest(%s::text[]) AS queue",
                [queues],
            )
    else:
        transaction.on_commit(_wake_this_process, using=using, robust=True)


def channel_query() -> str:
    """Return the SQL that asks for the channel in which ``notify`` speaks.

    Its answer is ``NULL`` where the tables are not on the connection's search path.
    """
    return f"SELECT {channel()}"


def channel() -> str:
    """Return the SQL of the channel's name."""
    # Two schemas of one database share its channels, so the name is the table's id.
    return f"'django_durable_' || to_regclass('\"{Execution._meta.db_table}\"')::oid"


def listen(wake: Callable[[], None]) -> Callable[[], None]:
    """Call ``wake`` when this process has made something claimable; returns the undo."""
    with _lock:
        _listeners.add(wake)
    return lambda: _listeners.discard(wake)


def _wake_this_process() -> None:
    for wake in tuple(_listeners):
        wake()
