"""The threads that run executions, as many as the queues may have at once."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol
from uuid import UUID

from django_durable.runtime.executor import Abandoned, CutOff
from django_durable.runtime.persisting import persist
from django_durable.store import workers
from django_durable.store.leases import Claimed, Lease
from django_durable.workers.connections import (
    close_connections,
    renew_connections,
    rest_connections,
)

logger = logging.getLogger("django_durable.workers")

MAX_STEPS = 100
"""An execution goes back to its queue after so many steps, when others wait there."""

MAX_SECONDS = 1.0
"""An execution goes back to its queue after so long, when others wait there."""

_REST_SECONDS = 1.0


class Runs(Protocol):
    """What a thread runs executions with: an ``Executor``."""

    def run(
        self, claimed: Claimed, on_takeover: Callable[[], None] | None = None
    ) -> None:
        """Run until the execution ends, waits, or goes back to a queue."""


MakeExecutor = Callable[[Callable[[], bool]], Runs]
"""Makes what one thread runs with; the argument is its ``should_yield``."""


class Pool:
    """Runs claimed executions, of each queue as many at once as ``limits`` says.

    ``on_free`` is told the queue of which one more may be claimed. Whatever comes out of
    a run, the pool goes on.
    """

    def __init__(
        self,
        limits: Mapping[str, int],
        *,
        make_executor: MakeExecutor,
        on_free: Callable[[str], None],
    ) -> None:
        self.make_executor = make_executor
        self.is_draining = False
        self.crowded: set[str] = set()
        """Queues where others wait for a slot, as the dispatcher has seen."""
        self._limits = limits
        self._on_free = on_free
        self._changed = threading.Condition()
        self._held: set[Lease] = set()
        self._taken: Counter[str] = Counter()
        # The thread that worked last comes first: its connections are still open.
        self._idle: list[_Thread] = []

    def free(self, name: str) -> int:
        """Return how many more executions of a queue may be submitted."""
        return 0 if self.is_draining else self._limits[name] - self._taken[name]

    def submit(self, claimed: Claimed) -> None:
        """Run a claimed execution in a thread that has nothing to do, or in a new one."""
        with self._changed:
            self._held.add(claimed.lease)
            self._taken[claimed.queue] += 1
            thread = self._idle.pop() if self._idle else _Thread(self)
        thread.give(claimed)

    def release(self, claimed: Claimed, thread: _Thread | None = None) -> None:
        """Free the slot of an execution, whose ``thread`` (if any) has nothing to do now.

        Without a thread it was taken from the one that runs it, which ends when it can.
        """
        with self._changed:
            if claimed.lease not in self._held:
                return
            self._held.discard(claimed.lease)
            self._taken[claimed.queue] -= 1
            if thread:
                self._idle.append(thread)
            self._changed.notify_all()
        self._on_free(claimed.queue)

    def held(self) -> set[UUID]:
        """Return the ids of the executions that are in the hands of the pool."""
        with self._changed:
            return {lease.execution_id for lease in self._held}

    def drain(self) -> None:
        """Take nothing more, and let executions go back to their queue after a step."""
        self.is_draining = True

    def join(self, timeout: float | None = None) -> bool:
        """Wait until nothing runs; ``False`` when that takes longer than ``timeout``."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._held, timeout)

    def close(self) -> None:
        """End the threads that have nothing to do."""
        with self._changed:
            threads, self._idle = self._idle, []
        for thread in threads:
            thread.give(None)
        for thread in threads:
            thread.join()


class _Thread(threading.Thread):
    """Runs one execution after the other, each in connections that are known to work."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(name="durable-run", daemon=True)
        self._pool = pool
        self._inbox: queue.SimpleQueue[Claimed | None] = queue.SimpleQueue()
        self._executor = pool.make_executor(self._should_yield)
        self._queue = ""
        self._steps = 0
        self._began = 0.0
        self.start()

    def give(self, claimed: Claimed | None) -> None:
        """Hand the thread an execution, or tell it to end."""
        self._inbox.put(claimed)

    def run(self) -> None:
        """Work until told to end, or until an execution is taken from this thread."""
        try:
            while claimed := self._next():
                if not self._run(claimed):
                    return
        finally:
            close_connections()

    def _next(self) -> Claimed | None:
        try:
            return self._inbox.get(timeout=_REST_SECONDS)
        except queue.Empty:
            rest_connections()
            return self._inbox.get()

    def _run(self, claimed: Claimed) -> bool:
        """Run one execution; say whether this thread is still one of the pool's."""
        self._queue, self._steps, self._began = claimed.queue, 0, time.monotonic()
        try:
            renew_connections()
            self._executor.run(claimed, partial(self._pool.release, claimed))
        except Abandoned:
            return False
        except BaseException as error:
            _give_back(claimed, error)
        renew_connections()
        self._pool.release(claimed, self)
        return True

    def _should_yield(self) -> bool:
        self._steps += 1
        if self._pool.is_draining:
            return True
        seconds = time.monotonic() - self._began
        had_its_turn = self._steps >= MAX_STEPS or seconds >= MAX_SECONDS
        return had_its_turn and self._queue in self._pool.crowded


def _give_back(claimed: Claimed, error: BaseException) -> None:
    """Give back an execution that the engine could not run to a good end."""
    name = f"{claimed.workflow} {claimed.lease.execution_id}"
    cause = str(error).partition("\n")[0]
    if isinstance(error, CutOff):
        logger.warning("%s: cut off, the database does not answer: %s", name, cause)
        reason = f"The database went away: {cause}"
    else:
        logger.error("%s: its run broke off.", name, exc_info=error)
        reason = f"The run broke off: {type(error).__name__}: {cause}"
    using = claimed.lease.using
    try:
        persist(lambda: workers.lose(claimed.lease, reason), using=using)
    except Exception:
        # It is found later: leased by this worker, and not in its hands.
        logger.warning("%s could not be given back now.", name, exc_info=True)
