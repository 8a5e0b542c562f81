"""How many executions of one queue run at once, and how many wait for that here."""

from __future__ import annotations

import time
from collections import deque
from typing import Generic, TypeVar

AHEAD_SECONDS = 0.05
"""So much work is claimed ahead, at the pace at which slots have become free."""

AHEAD_TIMES = 4
"""No more than so many times the slots is claimed ahead, or is being stored."""

STALE_SECONDS = 1.0
"""What has waited so long is given back, for others may have a slot for it."""

_PACE_SECONDS = 0.05

J = TypeVar("J")


class Slots(Generic[J]):
    """The slots of one queue. Whoever calls holds a lock.

    While slots become free quickly, a few executions more are claimed than there are
    slots, so that claims are few and no slot waits for one. Where steps take long,
    nothing is claimed that could not run at once.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._ending = 0
        self._waiting: deque[tuple[float, J]] = deque()
        self._ahead = 0
        self._freed = 0
        self._paced_at = time.monotonic()

    def room(self) -> int:
        """Return how many more executions may be claimed."""
        self._keep_pace()
        if self._is_backed_up:
            return 0
        return self._limit + self._ahead - self._taken - len(self._waiting)

    def _keep_pace(self) -> None:
        elapsed = time.monotonic() - self._paced_at
        if elapsed >= _PACE_SECONDS:
            ahead = int(self._freed / elapsed * AHEAD_SECONDS)
            self._ahead = min(ahead, AHEAD_TIMES * self._limit)
            self._freed, self._paced_at = 0, self._paced_at + elapsed

    @property
    def is_low(self) -> bool:
        """Whether it is time to claim more.

        That is when a slot is free, or when half of what is claimed ahead is used up;
        but not while too many wait for their end to be stored.
        """
        if self._is_backed_up:
            return False
        if self._taken < self._limit:
            return True
        return self._ahead > 0 and 2 * len(self._waiting) <= self._ahead

    @property
    def _is_backed_up(self) -> bool:
        return self._ending >= AHEAD_TIMES * self._limit

    def take(self, job: J) -> bool:
        """Give a slot to an execution, or let it wait for one; say which."""
        if self._taken < self._limit:
            self._taken += 1
            return True
        self._waiting.append((time.monotonic(), job))
        return False

    def free(self) -> J | None:
        """Take back a slot; return who has it now.

        Whoever had it runs no more steps, and is soon to be ``ended``.
        """
        self._freed += 1
        self._ending += 1
        if self._waiting:
            return self._waiting.popleft()[1]
        self._taken -= 1
        return None

    def ended(self) -> None:
        """Note that an execution whose slot was free already is stored as it is now."""
        self._ending -= 1

    def drop(self, *, older_than: float = 0.0) -> list[J]:
        """Return what has waited for so many seconds, and does so no more."""
        before, dropped = time.monotonic() - older_than, []
        while self._waiting and self._waiting[0][0] <= before:
            dropped.append(self._waiting.popleft()[1])
        return dropped
