"""The executions that a process has in its hands, and the threads that run their steps."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol
from uuid import UUID

from django_durable.runtime.attempts import Abandoned, Awaiting, CutOff
from django_durable.runtime.executor import Following
from django_durable.runtime.persisting import persist
from django_durable.runtime.run import OnTakeover, Run
from django_durable.runtime.writer import Writer
from django_durable.store import leases, workers
from django_durable.store.leases import Claimed
from django_durable.store.moves import Busy, Move, Moved
from django_durable.workers.slots import Slots
from django_durable.workers.threads import Threads

logger = logging.getLogger("django_durable.workers")

MAX_STEPS = 100
"""An execution goes back to its queue after so many steps, when others wait there."""

MAX_SECONDS = 1.0
"""An execution goes back to its queue after so long, when others wait there."""


_TRUST_SECONDS = 0.1
"""What was claimed so long ago is asked for again before its first step."""

_END_SECONDS = 5.0


class Runs(Protocol):
    """What the threads run executions with, step by step: an ``Executor``."""

    def begin(self, claimed: Claimed, on_takeover: OnTakeover) -> Run | None:
        """Take over a claimed execution, unless it is gone already."""

    def advance(self, run: Run) -> Following:
        """Do the next thing; say what comes after it."""

    def await_(self, run: Run, awaiting: Awaiting, on_end: Callable[[], None]) -> None:
        """Await a coroutine, without a thread for it."""

    def resume(self, run: Run, awaiting: Awaiting) -> Following:
        """Go on after a coroutine; say what comes next."""

    def write(self, run: Run, move: Move) -> Moved | None:
        """Write one move, waiting for whoever holds its row."""

    def follow(self, run: Run, move: Move, moved: Moved | None) -> bool:
        """Stand where a move leads that is written; say whether there is more to do."""


class Job:
    """An execution in the hands of the pool, and what it has waited for last."""

    __slots__ = ("awaited", "claimed", "given_at", "has_slot", "run", "written")

    def __init__(self, claimed: Claimed) -> None:
        self.claimed = claimed
        self.given_at = time.monotonic()
        self.has_slot = True
        self.run: Run | None = None
        self.written: Writing | None = None
        self.awaited: Awaiting | None = None


class Writing:
    """A move of a job on its way into the database, and what came of it."""

    __slots__ = ("error", "job", "move", "moved")

    def __init__(self, job: Job, move: Move) -> None:
        self.job = job
        self.move = move
        self.moved: Moved | Busy | None = None
        self.error: BaseException | None = None


MakeExecutor = Callable[[Callable[[Run], bool]], Runs]
"""Makes what the threads run with; the argument is its ``should_yield``."""


class Pool:
    """Runs claimed executions, of each queue as many at once as ``limits`` says.

    A thread is not bound to an execution: it runs one step, hands what follows to the
    writer, and takes the next execution that may go on. So while a move is written or a
    coroutine awaited, its thread is not idle, and no more threads wake up than there are
    bodies that block.

    ``on_free`` is told the queue of which one more may be claimed. Whatever comes out of
    a step, the pool goes on.
    """

    def __init__(
        self,
        limits: Mapping[str, int],
        *,
        using: str,
        make_executor: MakeExecutor,
        on_free: Callable[[str], None],
    ) -> None:
        self.is_draining = False
        self.crowded: set[str] = set()
        """Queues where others wait for a slot, as the dispatcher has seen."""
        self._on_free = on_free
        self._executor = make_executor(self._should_yield)
        self._writer: Writer[Writing] = Writer(using, self._go_on_after)
        self._jobs: set[Job] = set()
        self._slots = {name: Slots[Job](limit) for name, limit in limits.items()}
        self._ended = threading.Condition()
        # One more than may block in steps: an execution that has ended has no slot any
        # more, but its end is to be told.
        self._threads = Threads(self._work, most=sum(limits.values()) + 1)
        self._writer.start()

    def room(self, name: str) -> int:
        """Return how many more executions of a queue may be submitted."""
        with self._ended:
            return 0 if self.is_draining else self._slots[name].room()

    def is_low(self, name: str) -> bool:
        """Say whether it is time to submit more: slots are free, or soon will be."""
        with self._ended:
            return not self.is_draining and self._slots[name].is_low

    def submit(self, claimed: Claimed) -> None:
        """Run a claimed execution, as soon as there is a slot for it."""
        job = Job(claimed)
        with self._ended:
            self._jobs.add(job)
            may_run = self._slots[claimed.queue].take(job)
        if may_run:
            self._threads.give([job])

    def held(self) -> set[UUID]:
        """Return the ids of the executions that are in the hands of the pool."""
        with self._ended:
            return {job.claimed.lease.execution_id for job in self._jobs}

    def drain(self) -> None:
        """Take nothing more, and let executions go back to their queue after a step."""
        self.is_draining = True
        self.drop_waiting()

    def drop_waiting(self, *, older_than: float = 0.0) -> int:
        """Let go of what has waited in vain for a slot; return how many these are."""
        with self._ended:
            dropped = [
                job
                for slots in self._slots.values()
                for job in slots.drop(older_than=older_than)
            ]
            self._jobs.difference_update(dropped)
        return len(dropped)

    def join(self, timeout: float | None = None) -> bool:
        """Wait until nothing runs; ``False`` when that takes longer than ``timeout``."""
        with self._ended:
            return self._ended.wait_for(lambda: not self._jobs, timeout)

    def close(self) -> None:
        """End the threads that have nothing to do."""
        self._threads.close()
        self._writer.close()
        self._writer.join(_END_SECONDS)

    def _work(self, job: Job) -> bool:
        """Run one step of a job; say whether this thread is still one of the pool's."""
        try:
            following = self._advance(job)
            if isinstance(following, Awaiting):
                self._await(job, following)
                return True
        except Abandoned:
            return False
        except BaseException as error:
            _give_back(job.claimed, error)
            following = False
        self._go_on(job, following)
        return True

    def _advance(self, job: Job) -> Following:
        awaited, job.awaited = job.awaited, None
        if job.run is None:
            if not _is_still_ours(job):
                return False
            taken_over = partial(self._taken_over, job)
            job.run = self._executor.begin(job.claimed, taken_over)
            if job.run is None:
                return False
        elif awaited is not None:
            return self._executor.resume(job.run, awaited)
        elif job.written is not None and not self._follow(job.run, job.written):
            return False
        job.written = None
        return self._executor.advance(job.run)

    def _follow(self, run: Run, written: Writing) -> bool:
        if written.error is not None:
            raise written.error
        moved = written.moved
        if moved is Busy.BUSY:
            moved = self._executor.write(run, written.move)
        return self._executor.follow(run, written.move, moved)

    def _await(self, job: Job, awaiting: Awaiting) -> None:
        assert job.run is not None
        on_end = partial(self._go_on_with, job, awaiting)
        self._executor.await_(job.run, awaiting, on_end)

    def _go_on(self, job: Job, following: Move | bool) -> None:
        if isinstance(following, Move):
            self._writer.write(Writing(job, following))
            if not following.keeps_lease:
                self._free_slot(job)
        elif following:
            self._threads.give([job])
        else:
            self._release(job)

    def _go_on_with(self, job: Job, awaited: Awaiting) -> None:
        job.awaited = awaited
        self._threads.give([job])

    def _go_on_after(self, written: Sequence[Writing]) -> None:
        for one in written:
            one.job.written = one
        self._threads.give([one.job for one in written])

    def _taken_over(self, job: Job, goes_on: bool, hangs: bool) -> None:
        """Take a job from who runs it: a thread, which ends when it can, or the loop."""
        if hangs:
            self._threads.lose_one()
        job.written = None
        self._go_on(job, goes_on)

    def _free_slot(self, job: Job) -> None:
        """Let another execution run: of this one no more steps will."""
        queue = job.claimed.queue
        with self._ended:
            if not job.has_slot:
                return
            job.has_slot = False
            following = self._slots[queue].free()
            is_low = self._slots[queue].is_low
        if following is not None:
            self._threads.give([following])
        if is_low:
            self._on_free(queue)

    def _release(self, job: Job) -> None:
        """Let go of an execution."""
        self._free_slot(job)
        with self._ended:
            self._jobs.discard(job)
            slots = self._slots[job.claimed.queue]
            slots.ended()
            is_low = slots.is_low
            if not self._jobs:
                self._ended.notify_all()
        if is_low:
            self._on_free(job.claimed.queue)

    def _should_yield(self, run: Run) -> bool:
        run.steps += 1
        if self.is_draining:
            return True
        seconds = time.monotonic() - run.began
        had_its_turn = run.steps >= MAX_STEPS or seconds >= MAX_SECONDS
        return had_its_turn and run.claimed.queue in self.crowded


def _is_still_ours(job: Job) -> bool:
    """Say whether a step of a job may begin: it may have been cancelled meanwhile."""
    if time.monotonic() - job.given_at < _TRUST_SECONDS:
        return True
    lease = job.claimed.lease
    return persist(lambda: leases.holds(lease), using=lease.using)


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
