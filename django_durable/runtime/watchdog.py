"""Time limits of attempts: one thread per process watches them all."""

from __future__ import annotations

import ctypes
import heapq
import itertools
import threading
import time
from collections.abc import Callable

from django_durable.exceptions import StepTimeout


class Attempt:
    """One run of a body, and the question who ends it.

    The thread that runs the body and the watchdog both want to settle it; ``take``
    says yes to the first. ``limit`` is in seconds, prolonged by ``prolong``; nothing
    prolongs ``ends_in``. ``on_timeout`` is told whether a thread hangs in the body.
    """

    def __init__(
        self,
        limit: float | None,
        on_timeout: Callable[[bool], None] | None,
        *,
        ends_in: float | None = None,
    ) -> None:
        self.limit = limit
        self._ends_at = None if ends_in is None else time.monotonic() + ends_in
        self.deadline = self._next_deadline()
        self.timed_out = False
        self.interrupt: Callable[[], None] = self._interrupt_thread
        self._on_timeout = on_timeout
        self._lock = threading.Lock()
        self._is_taken = False
        self._is_in_body = True
        self._thread_id: int | None = threading.get_ident()

    def take(self) -> bool:
        """Say whether the caller is the one to settle this attempt."""
        with self._lock:
            first, self._is_taken = not self._is_taken, True
            # What it refers to is large, and the watchdog may know it for long.
            self._on_timeout = None
            return first

    @property
    def is_over(self) -> bool:
        """Whether it is settled, or in the hands of who settles it."""
        return self._is_taken

    def prolong(self) -> None:
        """Count the limit from now."""
        self.deadline = self._next_deadline()

    def _next_deadline(self) -> float | None:
        if self.limit is None:
            return self._ends_at
        deadline = time.monotonic() + self.limit
        return deadline if self._ends_at is None else min(deadline, self._ends_at)

    def leave_body(self) -> None:
        """Say that user code has ended: from now on nothing may interrupt it."""
        with self._lock:
            self._is_in_body = False
            self._spare_thread()

    def leave_thread(self) -> bool:
        """Say that user code goes on without a thread; ``False`` when it is settled."""
        with self._lock:
            self._spare_thread()
            return not self._is_taken

    def _spare_thread(self) -> None:
        if self.timed_out and self._thread_id is not None:
            # An interruption that has not been delivered yet must not hit the engine.
            _raise_in(self._thread_id, None)
        self._thread_id = None

    def time_out(self) -> None:
        """Interrupt the body, and settle the attempt from outside where possible."""
        with self._lock:
            if self._is_taken or not self._is_in_body:
                return
            self.timed_out = True
            self.interrupt()
            hangs = self._thread_id is not None
            on_timeout, self._on_timeout = self._on_timeout, None
            self._is_taken = on_timeout is not None
        if on_timeout is not None:
            on_timeout(hangs)

    def _interrupt_thread(self) -> None:
        if self._thread_id is not None:
            _raise_in(self._thread_id, StepTimeout)


def _raise_in(thread_id: int, error: type[BaseException] | None) -> None:
    """Raise ``error`` in a thread at its next bytecode; ``None`` takes that back."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread_id), ctypes.py_object(error) if error else None
    )


_FORGETS_AT = 1000
"""At how many watched attempts the watchdog first looks for those that are over."""


class Watchdog:
    """Times attempts out. Its thread starts with the first attempt that has a limit."""

    def __init__(self) -> None:
        self._attempts: list[tuple[float, int, Attempt]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._forgets_at = _FORGETS_AT
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def watch(self, attempt: Attempt) -> None:
        """Time ``attempt`` out when its deadline comes."""
        if attempt.deadline is None:
            return
        with self._changed:
            if len(self._attempts) >= self._forgets_at:
                self._forget()
            heapq.heappush(
                self._attempts, (attempt.deadline, next(self._numbers), attempt)
            )
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="durable-watchdog", daemon=True
                )
                self._thread.start()
            if self._attempts[0][2] is attempt:
                self._changed.notify()

    def _forget(self) -> None:
        """Drop the attempts that are over: most end long before their deadline."""
        self._attempts = [entry for entry in self._attempts if not entry[2].is_over]
        heapq.heapify(self._attempts)
        self._forgets_at = max(_FORGETS_AT, 2 * len(self._attempts))

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._is_closed:
                    return
                due = self._take_due()
                if due is None:
                    self._changed.wait(self._pause())
                    continue
            # Settling writes to the database: in a thread of its own, so that a slow
            # write does not hold up the next timeout.
            threading.Thread(
                target=due.time_out, name="durable-timeout", daemon=True
            ).start()

    def _pause(self) -> float | None:
        if not self._attempts:
            return None
        return max(0.0, self._attempts[0][0] - time.monotonic())

    def _take_due(self) -> Attempt | None:
        now = time.monotonic()
        while self._attempts and self._attempts[0][0] <= now:
            _, _, attempt = heapq.heappop(self._attempts)
            if attempt.is_over:
                continue
            if attempt.deadline is not None and attempt.deadline > now:
                entry = (attempt.deadline, next(self._numbers), attempt)
                heapq.heappush(self._attempts, entry)
            else:
                return attempt
        return None
