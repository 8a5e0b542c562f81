"""``Loop``: call a service again and again, and outlive whatever goes wrong."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable

from django.db import InterfaceError, OperationalError

from django_durable.workers.connections import close_connections, rest_connections

logger = logging.getLogger("django_durable.workers")

_LONGEST_BACKOFF = 5.0
# A service that pauses for so many seconds holds no connection meanwhile.
_REST_AFTER = 60.0


def backoff(failures: int, *, draw: float) -> float:
    """Return the pause in seconds after so many failures in a row, counted from 1.

    ``draw`` is in [0, 1); it spreads the pause, so that processes do not come back to a
    restarted server all at once.
    """
    return min(0.1 * 2.0 ** min(failures, 16), _LONGEST_BACKOFF) * (0.5 + draw)


class Outage:
    """What a process says while services fail: one line when it starts, one at its end."""

    def __init__(self) -> None:
        self._failing: set[str] = set()
        self._since = 0.0
        self._lock = threading.Lock()

    def note(self, name: str, error: Exception, *, failures: int) -> None:
        """Note that the service ``name`` has failed so many times in a row."""
        is_database = isinstance(error, OperationalError | InterfaceError)
        if is_database and failures == 1:
            # A connection that broke while it was idle; the next one may work.
            return
        with self._lock:
            is_first, is_new = not self._failing, name not in self._failing
            self._failing.add(name)
            if is_first:
                self._since = time.monotonic()
        if is_new and not is_database:
            logger.error("The %s failed; it goes on.", name, exc_info=error)
        elif is_first:
            cause = str(error).partition("\n")[0]
            logger.warning("The database does not answer; trying again: %s", cause)

    def end(self, name: str) -> None:
        """Note that the service ``name`` works."""
        with self._lock:
            was_failing = name in self._failing
            self._failing.discard(name)
            is_over = was_failing and not self._failing
        if is_over:
            seconds = time.monotonic() - self._since
            logger.warning("All services work again, after %.1f s.", seconds)


class Loop:
    """Calls ``run_once`` in a thread of its own until it is stopped.

    ``run_once`` says whether there is more to do at once; otherwise the next call comes
    after ``pause`` seconds at most, spread, or when ``wake`` is called.
    """

    def __init__(
        self, name: str, run_once: Callable[[], bool], *, pause: float, outage: Outage
    ) -> None:
        self.name = name
        self._run_once = run_once
        self._pause = pause
        self._outage = outage
        self._failures = 0
        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"durable-{name}", daemon=True
        )

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """End the pause; one that follows a failure is waited out."""
        self._woken.set()

    def stop(self) -> None:
        """Let no further call begin."""
        self._stopped.set()
        self._woken.set()

    @property
    def is_alive(self) -> bool:
        """Whether the thread has not ended."""
        return self._thread.is_alive()

    def join(self, timeout: float | None = None) -> None:
        """Wait until the call that runs has ended."""
        if self.is_alive:
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._woken.clear()
            pause = self.advance()
            if pause >= _REST_AFTER:
                rest_connections()
            (self._stopped if self._failures else self._woken).wait(pause)
        close_connections()

    def advance(self) -> float:
        """Call the service once; return how many seconds to pause."""
        try:
            has_more = self._run_once()
        except Exception as error:
            close_connections()
            self._failures += 1
            self._outage.note(self.name, error, failures=self._failures)
            return backoff(self._failures, draw=random.random())
        if self._failures:
            self._failures = 0
            self._outage.end(self.name)
        return 0.0 if has_more else self._pause * random.uniform(0.8, 1.0)
