"""``--until-idle`` in one thread: where others would not see the data, as in a test."""

from __future__ import annotations

import time
from contextlib import suppress

from django.db import Error, connections

from django_durable.runtime.executor import Executor
from django_durable.runtime.log_writer import LogWriter
from django_durable.runtime.watchdog import Watchdog
from django_durable.store import leases, workers
from django_durable.workers.options import Options
from django_durable.workers.scheduler import Scheduler
from django_durable.workers.services import Heartbeat, Reaper, idle_margin

_PAUSE = 0.05


def is_needed(using: str) -> bool:
    """Say whether other connections see nothing: in a transaction, or in memory."""
    connection = connections[using]
    in_memory = getattr(connection, "is_in_memory_db", lambda: False)
    return connection.in_atomic_block or in_memory()


def run_inline(options: Options) -> None:
    """Run all that is due, one after the other, until nothing is due soon.

    What other workers hold is not waited for.
    """
    worker = _InlineWorker(options)
    try:
        while worker.run_once() or worker.is_due_soon():
            pass
    finally:
        worker.end()


class _InlineWorker:
    def __init__(self, options: Options) -> None:
        self._options = options
        self._heartbeat = Heartbeat(options)
        self._reaper = Reaper(options)
        self._scheduler = Scheduler(options)
        self._watchdog = Watchdog()
        self._logs = LogWriter(options.settings, inline=True)
        self._executor = Executor(
            options.settings, watchdog=self._watchdog, logs=self._logs, inline=True
        )

    def run_once(self) -> bool:
        """Run what is due first in each queue; say whether there was anything."""
        self._heartbeat.run_once()
        self._reaper.run_once()
        if self._options.scheduler:
            self._scheduler.run_once()
        ran = [self._run_next(queue) for queue in self._options.queues]
        return any(ran)

    def _run_next(self, queue: str) -> bool:
        assert self._heartbeat.worker_id is not None
        claimed = leases.claim(
            queue=queue,
            worker_id=self._heartbeat.worker_id,
            limit=1,
            using=self._options.using,
        )
        for one in claimed:
            self._executor.run(one)
        return bool(claimed)

    def is_due_soon(self) -> bool:
        """Wait a moment when something is due soon; say whether that is so."""
        is_due = workers.is_due(
            self._options.queues, within=idle_margin(), using=self._options.using
        )
        if is_due:
            time.sleep(_PAUSE)
        return is_due

    def end(self) -> None:
        """Give back what an error has left."""
        self._watchdog.close()
        self._logs.close()
        # In a transaction that is broken this fails, and is not needed: it rolls back.
        with suppress(Error):
            if self._heartbeat.worker_id is not None:
                workers.release(self._heartbeat.worker_id, using=self._options.using)
            self._heartbeat.retire()
