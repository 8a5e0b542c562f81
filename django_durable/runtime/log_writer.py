"""Writes what steps log: at the end of each attempt, and while long ones run."""

from __future__ import annotations

import logging
import threading
from itertools import chain

from django.db import Error, connections

from django_durable.conf import Settings
from django_durable.runtime import log_capture
from django_durable.runtime.log_capture import StepLines
from django_durable.runtime.persisting import persist
from django_durable.store import logs
from django_durable.store.logs import LogLine, LogSource

logger = logging.getLogger("django_durable.runtime")

FLUSH_SECONDS = 1.0
"""How long a line of a step that runs stays in memory."""

_END_SECONDS = 5.0


class LogWriter:
    """Stores the lines of all steps of a process.

    Who writes takes with it what all steps have at hand, and who comes meanwhile finds
    its lines written: the busier the process, the more lines share a commit. ``inline``
    means that only the caller's connection may be used, so that nothing is written
    while a step runs.
    """

    def __init__(self, settings: Settings, *, inline: bool = False) -> None:
        self._settings = settings.logs
        self._using = settings.database
        self._inline = inline
        self._watched: set[StepLines] = set()
        self._turn = threading.Lock()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        log_capture.install()

    def lines_of(self, source: LogSource) -> StepLines:
        """Return what collects the lines of one run of a body."""
        return StepLines(source, self._settings, self)

    def watch(self, lines: StepLines) -> None:
        """Store ``lines`` before long, until it is closed and empty."""
        with self._lock:
            self._watched.add(lines)
            if self._thread is None and not self._inline:
                self._thread = threading.Thread(
                    target=self._run, name="durable-logs", daemon=True
                )
                self._thread.start()

    def store(self, lines: StepLines) -> None:
        """Store what ``lines`` holds; nothing is to do if someone has done it by now."""
        with self._turn:
            if not lines.is_empty:
                self._store_all()
        self._forget_closed()

    def close(self) -> None:
        """Store what is left, as far as the database answers, and let go of stdout."""
        self._closed.set()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(_END_SECONDS)
        log_capture.release_stdout()

    def _run(self) -> None:
        """Store what comes, until nobody has anything to store."""
        has_more = True
        while has_more:
            self._closed.wait(FLUSH_SECONDS)
            with self._turn:
                self._store_all()
            self._forget_closed()
            with self._lock:
                has_more = bool(self._watched) and not self._closed.is_set()
                if not has_more:
                    self._thread = None
        connections[self._using].close()

    def _store_all(self) -> None:
        with self._lock:
            watched = list(self._watched)
        taken = [found for lines in watched if (found := lines.take())]
        if not taken:
            return
        try:
            self._insert(list(chain.from_iterable(taken)))
        except Error:
            # Lines that the database refuses must not take the others with them.
            for found in taken:
                self._insert_or_drop(found)

    def _insert_or_drop(self, lines: list[LogLine]) -> None:
        try:
            self._insert(lines)
        except Error:
            step = lines[0].source.step
            logger.exception("%d log lines of %s are lost.", len(lines), step)

    def _insert(self, lines: list[LogLine]) -> None:
        persist(lambda: logs.insert(lines, using=self._using), using=self._using)

    def _forget_closed(self) -> None:
        with self._lock:
            ended = [one for one in self._watched if one.is_closed and one.is_empty]
            self._watched.difference_update(ended)
        for lines in ended:
            lines.unwatched()
