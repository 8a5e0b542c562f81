"""What ends a worker's pause early: a notification of the database, or of this process.

Wake-ups only accelerate. Where there are none, polling finds everything a little later.
"""

from __future__ import annotations

import logging
import random
import selectors
import socket
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import psycopg
from django.db import connections

from django_durable.store import wakeups
from django_durable.store.statements import is_pooled
from django_durable.store.workers import LOCK_CLASS, WorkerLock
from django_durable.workers.loop import Outage, backoff

if TYPE_CHECKING:
    from django_durable.store.statements import RawConnection

logger = logging.getLogger("django_durable.workers")

_CHECK_SECONDS = 10.0
# Others take a worker for dead whose session is gone for longer than about this.
_LONGEST_PAUSE = 1.0
_SHORTEST_PAUSE, _HASTY = 0.02, 3

_POOLED = (
    "A connection pooler stands between this worker and the database, so the worker "
    "cannot be woken: it looks for work every POLL_INTERVAL, and should it die, that is "
    "noticed after LEASE."
)


class Listener:
    """Holds one PostgreSQL session of this process: its ears, and its sign of life.

    ``on_wake`` gets the queue in which there is something to claim, or ``None`` when
    that may be any. The session holds an advisory lock, so that others notice at once
    when the process dies; ``on_lock`` is called when ``lock`` has changed.
    """

    def __init__(
        self,
        using: str,
        *,
        on_wake: Callable[[str | None], None],
        on_lock: Callable[[], None],
        outage: Outage,
    ) -> None:
        self.lock: WorkerLock | None = None
        self._using = using
        self._on_wake = on_wake
        self._on_lock = on_lock
        self._outage = outage
        self._django_errors = connections[using].wrap_database_errors
        self._is_stopped = False
        # Written to by `stop`, so that a thread that waits for its session notices.
        self._bell, self._ear = socket.socketpair()
        self._thread = threading.Thread(
            target=self._run, name="durable-listener", daemon=True
        )

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the session."""
        self._is_stopped = True
        self._bell.send(b"\0")

    def join(self) -> None:
        """Wait until the session has ended."""
        self._thread.join()
        self._bell.close()
        self._ear.close()

    def _run(self) -> None:
        failures = 0
        while not self._is_stopped:
            try:
                with self._django_errors, self._connect() as connection:
                    if is_pooled(connection):
                        logger.warning(_POOLED)
                        return
                    self._take_lock(connection)
                    self._outage.end("listener")
                    failures = 0
                    self._listen(connection)
            except Exception as error:
                failures += 1
                self._outage.note("listener", error, failures=failures)
                self._set_lock(None)
                self._rest(_pause(failures))

    def _connect(self) -> RawConnection:
        params = connections[self._using].get_connection_params()
        # These are for Django's cursors.
        for name in ("context", "cursor_factory", "prepare_threshold"):
            params.pop(name, None)
        return psycopg.connect(**params, autocommit=True)

    def _take_lock(self, connection: RawConnection) -> None:
        key = random.getrandbits(31)
        row = connection.execute(
            "SELECT pg_try_advisory_lock(%s, %s), clock_timestamp()", [LOCK_CLASS, key]
        ).fetchone()
        assert row is not None
        is_locked, at = row
        self._set_lock(WorkerLock(key, at) if is_locked else None)

    def _listen(self, connection: RawConnection) -> None:
        row = connection.execute(wakeups.channel_query()).fetchone()
        if row and row[0]:
            connection.execute(f"LISTEN {row[0]}")
        # What came before is found by looking.
        self._on_wake(None)
        with selectors.DefaultSelector() as selector:
            selector.register(connection.fileno(), selectors.EVENT_READ)
            selector.register(self._ear, selectors.EVENT_READ)
            while not self._is_stopped:
                if not selector.select(_CHECK_SECONDS):
                    # A network that drops packets silently is found out by asking.
                    connection.execute("SELECT 1")
                self._tell(connection.notifies(timeout=0))

    def _tell(self, notifications: Iterable[psycopg.Notify]) -> None:
        for queue in {notification.payload for notification in notifications}:
            self._on_wake(queue)

    def _set_lock(self, lock: WorkerLock | None) -> None:
        self.lock = lock
        self._on_lock()

    def _rest(self, seconds: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._ear, selectors.EVENT_READ)
            selector.select(seconds)


def _pause(failures: int) -> float:
    """Return how long to wait with the next session.

    The first attempts follow at once: a worker whose session is gone for longer than
    between two looks of another one is taken for dead.
    """
    if failures <= _HASTY:
        return _SHORTEST_PAUSE * (failures - 1)
    return min(backoff(failures - _HASTY, draw=random.random()), _LONGEST_PAUSE)
