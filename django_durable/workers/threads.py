"""Threads that take up work as it comes, no more of them than blocking calls need."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from django_durable.workers.connections import (
    close_connections,
    renew_connections,
    rest_connections,
)

_REST_SECONDS = 1.0
_RENEW_SECONDS = 1.0

T = TypeVar("T")


class Threads(Generic[T]):
    """Calls ``work`` for all that is given, in up to ``most`` threads.

    One thread is woken at a time. If it finds that there is more to do than it takes, it
    wakes the next one before it begins: so work that never blocks is done by one thread
    after the other takes, without the others fighting for the interpreter, and work
    that blocks gets as many threads as it needs. A thread ends when ``work`` says
    ``False``; it must have been taken off the count before, with ``lose_one``.
    """

    def __init__(self, work: Callable[[T], bool], *, most: int) -> None:
        self._work = work
        self._most = most
        self._lock = threading.Lock()
        self._given: deque[T] = deque()
        self._count = 0
        # The thread that worked last is woken first: its connections are still open.
        self._idle: list[_Thread] = []
        self._is_waking = False
        self._is_closed = False

    def give(self, work: Iterable[T]) -> None:
        """Do this as soon as there is a thread for it."""
        with self._lock:
            self._given.extend(work)
            self._wake_one()

    def lose_one(self) -> None:
        """Count one thread less, for it hangs in what it does."""
        with self._lock:
            self._count -= 1
            self._wake_one()

    def close(self) -> None:
        """End the threads that have nothing to do, and the others when they are done."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for thread in idle:
            thread.wake()
        for thread in idle:
            thread.join()

    def _wake_one(self) -> None:
        if self._is_waking or not self._given:
            return
        if self._idle:
            self._is_waking = True
            self._idle.pop().wake()
        elif self._count < self._most:
            self._start_one()

    def _start_one(self) -> None:
        try:
            _Thread(self).start()
        except RuntimeError:
            # The system has no more threads for us: those that are there do the work.
            if not self._count:
                raise
        else:
            self._is_waking = True
            self._count += 1

    def do_next(self, thread: _Thread) -> bool:
        """Do the next thing in this thread; say whether it may ask again."""
        while True:
            with self._lock:
                if thread.is_woken:
                    self._is_waking = thread.is_woken = False
                if self._given:
                    work = self._given.popleft()
                    self._wake_one()
                    break
                if self._is_closed:
                    return False
                self._idle.append(thread)
            thread.sleep()
        thread.renew_connections()
        return self._work(work)


class _Thread(threading.Thread):
    """Sleeps until it is woken, and closes its connections when that takes long."""

    def __init__(self, threads: Threads[Any]) -> None:
        super().__init__(name="durable-run", daemon=True)
        self.is_woken = True
        self._renews_at = 0.0
        self._threads = threads
        # Taken by the thread to sleep, and let go of by who wakes it.
        self._bell = threading.Lock()
        self._bell.acquire()

    def run(self) -> None:
        """Work until there is an end to it."""
        try:
            while self._threads.do_next(self):
                pass
        finally:
            close_connections()

    def renew_connections(self) -> None:
        """Drop connections that have become too old, looking at them now and then."""
        now = time.monotonic()
        if now >= self._renews_at:
            self._renews_at = now + _RENEW_SECONDS
            renew_connections()

    def sleep(self) -> None:
        """Return once somebody has called ``wake``."""
        if not self._bell.acquire(timeout=_REST_SECONDS):
            rest_connections()
            self._bell.acquire()
        self.is_woken = True

    def wake(self) -> None:
        """End the sleep, or the next one: called once for each."""
        self._bell.release()
