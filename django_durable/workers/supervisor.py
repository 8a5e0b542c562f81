"""One worker process: its services and its pool, from their start to a good end."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable
from functools import partial

from django.db import Error, connections

from django_durable.runtime.event_loop import EventLoop
from django_durable.runtime.executor import Executor
from django_durable.runtime.log_writer import LogWriter
from django_durable.runtime.run import Run
from django_durable.runtime.watchdog import Watchdog
from django_durable.store import wakeups, workers
from django_durable.workers.loop import Loop, Outage
from django_durable.workers.options import Options
from django_durable.workers.pool import Pool, Runs
from django_durable.workers.pruner import PRUNE_INTERVAL, Pruner
from django_durable.workers.scheduler import Scheduler
from django_durable.workers.services import (
    SWEEP_INTERVAL,
    Dispatcher,
    Heartbeat,
    Reaper,
)
from django_durable.workers.stopping import StopRequests
from django_durable.workers.wakeup import Listener

logger = logging.getLogger("django_durable.workers")

_LOOK_SECONDS = 1.0
_DRAIN_LOOK_SECONDS = 0.05
_END_SECONDS = 5.0


class Supervisor:
    """Starts everything that one worker process does, waits, and ends it.

    On the first request to stop it drains: nothing more is claimed, steps may end within
    the grace, and what still runs then is given to others at once.
    """

    def __init__(self, options: Options, requests: StopRequests) -> None:
        self._options = options
        self._requests = requests
        self._watchdog = Watchdog()
        self._event_loop = EventLoop()
        self._logs = LogWriter(options.settings)
        self._outage = Outage()
        self._pool = Pool(
            options.limits,
            using=options.using,
            make_executor=self._make_executor,
            on_free=self._freed,
        )
        self._listener = self._make_listener()
        self._heartbeat = Heartbeat(
            options, lock=self._lock, on_register=partial(self._wake, None)
        )
        self._dispatcher = Dispatcher(
            options,
            heartbeat=self._heartbeat,
            pool=self._pool,
            on_idle=partial(requests.add, "nothing is due")
            if options.until_idle
            else None,
        )
        self._beating = self._loop(
            "heartbeat", self._heartbeat, self._heartbeat.interval
        )
        self._dispatching = self._loop(
            "dispatcher", self._dispatcher, options.settings.poll_interval
        )
        reaper = Reaper(options, sweeps_every=SWEEP_INTERVAL)
        self._reaping = self._loop("reaper", reaper, reaper.interval)
        self._scheduling = self._loop(
            "scheduler", Scheduler(options), options.settings.scheduler_interval
        )
        self._pruning = self._loop("pruner", Pruner(options), PRUNE_INTERVAL)
        self._ended = threading.Event()

    def _loop(
        self,
        name: str,
        service: Heartbeat | Dispatcher | Reaper | Scheduler | Pruner,
        pause: float,
    ) -> Loop:
        return Loop(name, service.run_once, pause=pause, outage=self._outage)

    def _make_executor(self, should_yield: Callable[[Run], bool]) -> Runs:
        return Executor(
            self._options.settings,
            watchdog=self._watchdog,
            logs=self._logs,
            loop=self._event_loop,
            should_yield=should_yield,
        )

    def _make_listener(self) -> Listener | None:
        if connections[self._options.using].vendor != "postgresql":
            return None
        return Listener(
            self._options.using,
            on_wake=self._wake,
            on_lock=lambda: self._beating.wake(),
            outage=self._outage,
        )

    def _lock(self) -> workers.WorkerLock | None:
        return self._listener.lock if self._listener else None

    def _wake(self, queue: str | None = None) -> None:
        """Look for work, in one queue or in all of them."""
        if self._dispatcher.want(self._options.queues if queue is None else [queue]):
            self._dispatching.wake()

    def _freed(self, queue: str) -> None:
        if self._dispatcher.freed(queue):
            self._dispatching.wake()

    def run(self) -> bool:
        """Work until asked to stop; ``False`` when steps were still running at the end."""
        forget = wakeups.listen(self._wake)
        self._start()
        try:
            reason = None
            while reason is None:
                reason = self._requests.wait(_LOOK_SECONDS)
            logger.info("Worker %d stops: %s.", os.getpid(), reason)
            is_done = self._drain()
        finally:
            forget()
            self._end()
        return is_done

    def _start(self) -> None:
        if self._options.reload:
            atexit.register(self._end_for_reload)
        if self._listener:
            self._listener.start()
        for loop in (self._beating, self._dispatching, self._reaping):
            loop.start()
        if self._options.scheduler:
            self._scheduling.start()
        if not self._options.until_idle:
            self._pruning.start()
        limits = self._options.limits
        logger.info(
            "Worker %d on database %r serves %s.",
            os.getpid(),
            self._options.using,
            ", ".join(f"{queue} ({limit} at once)" for queue, limit in limits.items()),
        )

    def _drain(self) -> bool:
        """Let running steps end within the grace; ``False`` when some did not."""
        self._pool.drain()
        self._scheduling.stop()
        self._dispatching.stop()
        self._dispatching.join(_END_SECONDS)
        self._give_back_unheld()
        ends_at = time.monotonic() + (
            0 if self._options.reload else self._options.grace
        )
        while not self._pool.join(_DRAIN_LOOK_SECONDS):
            if self._requests.is_urgent or time.monotonic() >= ends_at:
                logger.warning(
                    "%d steps are cut off; others run them again.",
                    len(self._pool.held()),
                )
                return False
        return True

    def _give_back_unheld(self) -> None:
        """Let others have at once what was claimed ahead."""
        try:
            if self._heartbeat.worker_id is not None:
                workers.release(
                    self._heartbeat.worker_id,
                    keep=self._pool.held(),
                    using=self._options.using,
                )
        except Error as error:
            logger.warning("The database does not answer: %s", error)

    def _end(self) -> None:
        """Give back what is left, and end the threads that can be ended."""
        loops = (
            self._scheduling,
            self._dispatching,
            self._beating,
            self._reaping,
            self._pruning,
        )
        for loop in loops:
            loop.stop()
        if self._listener:
            self._listener.stop()
        for loop in loops:
            loop.join(_END_SECONDS)
        self._leave()
        if self._listener:
            self._listener.join()
        self._watchdog.close()
        self._pool.close()
        self._event_loop.close()
        self._logs.close()
        self._ended.set()

    def _leave(self) -> None:
        try:
            if self._heartbeat.worker_id is not None:
                workers.release(self._heartbeat.worker_id, using=self._options.using)
            self._heartbeat.retire()
        except Error as error:
            logger.warning(
                "The database does not answer; others take this worker for dead after "
                "its lease: %s",
                error,
            )

    def _end_for_reload(self) -> None:
        """Give everything back before the code is loaded anew, in the reloader's thread."""
        self._requests.add("the code has changed")
        self._ended.wait(_END_SECONDS)
