"""The duties of a worker process beside running executions, each with ``run_once()``.

``run_once`` says whether there is more to do at once. Errors leave it: the ``Loop``
around it outlives them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from uuid import UUID

from django.db import connections

from django_durable import clock
from django_durable.store import firing, leases, workers
from django_durable.store.workers import WorkerLock
from django_durable.workers.options import Options
from django_durable.workers.pool import Pool
from django_durable.workers.slots import STALE_SECONDS

logger = logging.getLogger("django_durable.workers")

LOOK_INTERVAL = 0.2
"""Seconds between two looks for workers whose session is gone, where there are such."""

SWEEP_INTERVAL = 1.0
"""Seconds between two looks for workers that were not heard of, and what they held."""

_ABSENCE = 5.0


class Heartbeat:
    """Keeps this worker's row alive; registers it, anew when it was taken for dead.

    ``lock`` is asked for the advisory lock that the worker's session holds;
    ``on_register`` is called when the worker may claim from now on.
    """

    def __init__(
        self,
        options: Options,
        *,
        lock: Callable[[], WorkerLock | None] = lambda: None,
        on_register: Callable[[], None] = lambda: None,
    ) -> None:
        self.worker_id: UUID | None = None
        self._options = options
        self._lease = options.settings.lease
        self._lock = lock
        self._on_register = on_register
        self._beat_at = 0.0

    @property
    def interval(self) -> float:
        """Seconds between two beats."""
        return self._lease / 3

    def is_current(self) -> bool:
        """Say whether what is claimed now is owned for sure, on this process's clock."""
        is_late = time.monotonic() - self._beat_at >= self._lease
        return self.worker_id is not None and not is_late

    def run_once(self) -> bool:
        """Prolong the worker's life by a lease from now."""
        # The clock is read before the statement: the lease is never longer here than in
        # the database.
        at = time.monotonic()
        lease, using = timedelta(seconds=self._lease), self._options.using
        if self.worker_id is not None and workers.beat(
            self.worker_id, lease=lease, lock=self._lock(), using=using
        ):
            self._beat_at = at
            return False
        self._register(lease)
        self._beat_at = at
        self._on_register()
        return False

    def _register(self, lease: timedelta) -> None:
        if self.worker_id is not None:
            logger.warning(
                "Worker %s was taken for dead: no heartbeat of it came for a lease. What "
                "it was running has been given to others; it goes on under a new id.",
                self.worker_id,
            )
        self.worker_id = workers.register(
            queues=self._options.limits,
            lease=lease,
            lock=self._lock(),
            using=self._options.using,
        ).pk

    def retire(self) -> None:
        """Forget the worker; it holds nothing any more."""
        if self.worker_id is not None:
            workers.retire(self.worker_id, using=self._options.using)
            self.worker_id = None


class Dispatcher:
    """Claims what is due and hands it to the pool.

    A queue is looked at when the poll interval is over, when ``want`` names it, and when
    a slot is free again after others had to wait there. ``on_idle`` is called when
    nothing is running and nothing is due soon; only ``--until-idle`` asks for that.
    """

    def __init__(
        self,
        options: Options,
        *,
        heartbeat: Heartbeat,
        pool: Pool,
        on_idle: Callable[[], None] | None = None,
    ) -> None:
        self._options = options
        self._heartbeat = heartbeat
        self._pool = pool
        self._on_idle = on_idle
        self._queues = tuple(options.limits)
        self._wanted: set[str] = set()
        self._lock = threading.Lock()
        self._polls_at = 0.0
        self._reconciles_at = 0.0

    def want(self, names: Iterable[str]) -> bool:
        """Look at these queues in the next call; ``False`` when none of them is ours."""
        ours = set(names).intersection(self._queues)
        with self._lock:
            self._wanted |= ours
        return bool(ours)

    def freed(self, name: str) -> bool:
        """Note that a slot of a queue is free; say whether that is worth a look."""
        is_wanted = name in self._pool.crowded and self.want([name])
        return is_wanted or self._on_idle is not None

    def run_once(self) -> bool:
        """Claim as much as the free slots of the wanted queues allow."""
        if self._pool.is_draining or not self._heartbeat.is_current():
            return False
        self._reconcile()
        wanted = self._take_wanted()
        try:
            claimed = sum([self._claim(name) for name in wanted])
        except Exception:
            # The claim may have been committed, and only its answer be lost.
            self._reconciles_at = 0.0
            self.want(wanted)
            raise
        if self._on_idle and not claimed and self._is_idle():
            self._on_idle()
        return self.want(name for name in wanted if self._may_claim_more(name))

    def _take_wanted(self) -> list[str]:
        now = time.monotonic()
        with self._lock:
            if now >= self._polls_at:
                self._wanted.update(self._queues)
                self._polls_at = now + self._options.settings.poll_interval * 0.8
            wanted, self._wanted = self._wanted, set()
        return [name for name in self._queues if name in wanted]

    def _claim(self, name: str) -> int:
        """Claim from one queue, and note whether others may have to wait there."""
        # Noted before the slots are counted: one that gets free in between is not missed.
        self._pool.crowded.add(name)
        room = self._pool.room(name)
        if room < 1:
            return 0
        assert self._heartbeat.worker_id is not None
        claimed = leases.claim(
            queue=name,
            worker_id=self._heartbeat.worker_id,
            limit=room,
            using=self._options.using,
        )
        if len(claimed) < room:
            self._pool.crowded.discard(name)
        for one in claimed:
            logger.debug("%s %s: claimed.", one.workflow, one.lease.execution_id)
            self._pool.submit(one)
        return len(claimed)

    def _may_claim_more(self, name: str) -> bool:
        return name in self._pool.crowded and self._pool.is_low(name)

    def _reconcile(self) -> None:
        """Give back what this worker holds without knowing of it.

        Such are left by a claim whose answer was lost, and by a run that broke off while
        the database was away; and what was claimed ahead, and had no slot soon.
        """
        now = time.monotonic()
        dropped = self._pool.drop_waiting(older_than=STALE_SECONDS)
        is_due = dropped or now >= self._reconciles_at
        if not is_due or self._heartbeat.worker_id is None:
            return
        count = workers.release(
            self._heartbeat.worker_id, keep=self._pool.held(), using=self._options.using
        )
        self._reconciles_at = now + self._heartbeat.interval
        if count > dropped:
            logger.warning("%d executions in nobody's hands were given back.", count)

    def _is_idle(self) -> bool:
        using = self._options.using
        # In this order: only this thread can give the pool something to do, and a
        # schedule that was due has by then put it where the last one looks.
        return (
            not self._pool.held()
            and not (self._options.scheduler and firing.is_due(using=using))
            and workers.is_idle(self._queues, within=idle_margin(), using=using)
        )


def idle_margin() -> timedelta:
    """Return how soon something must be due to be waited for by ``--until-idle``."""
    # Nothing becomes due while the clock stands still.
    return timedelta(0) if clock.frozen_instant() else timedelta(seconds=1)


class Reaper:
    """Notices dead workers, and gives back what they held.

    ``sweeps_every`` so many seconds it looks for more than sessions that are gone.
    """

    def __init__(self, options: Options, *, sweeps_every: float = 0.0) -> None:
        self._using = options.using
        self._sweeps_every = sweeps_every
        self._sweeps_at = 0.0
        self._lease = options.settings.lease
        self._sees_locks = connections[options.using].vendor == "postgresql"
        self._suspects: set[UUID] = set()
        self._looked_at: float | None = None
        self._trusts_at = 0.0

    @property
    def interval(self) -> float:
        """Seconds between two looks."""
        return LOOK_INTERVAL if self._sees_locks else SWEEP_INTERVAL

    def run_once(self) -> bool:
        """Bury who is dead, and release what no living worker holds."""
        self._allow_for_own_absence()
        buried = self._bury_unlocked() if self._sees_locks else set()
        now = time.monotonic()
        if not buried and now < self._sweeps_at:
            self._looked_at = now
            return False
        self._sweeps_at = now + self._sweeps_every
        if now >= self._trusts_at:
            buried |= workers.bury_expired(using=self._using)
        for worker_id in buried:
            logger.warning("Worker %s is dead; others go on with its work.", worker_id)
        if buried:
            workers.forget_dead(using=self._using)
        released = workers.release_lost(using=self._using)
        if released:
            self._sweeps_at = 0.0
        self._looked_at = time.monotonic()
        return released > 0

    def _allow_for_own_absence(self) -> None:
        """After an outage, give the others the time to be heard of again."""
        now = time.monotonic()
        if self._looked_at is not None and now - self._looked_at > _ABSENCE:
            self._trusts_at = now + self._lease / 3
            self._suspects = set()

    def _bury_unlocked(self) -> set[UUID]:
        """Bury whose session was gone the last time already: a live one reconnects."""
        suspects, self._suspects = (
            self._suspects,
            workers.find_unlocked(using=self._using),
        )
        still = suspects & self._suspects
        return workers.bury_unlocked(still, using=self._using) if still else set()
