"""Several executions' checkpoints in one commit, without a timer for it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from django.db import Error, connections

from django_durable.runtime.persisting import persist
from django_durable.store import moves
from django_durable.store.moves import Busy, Move, Moved

_MOST = 200
"""Moves in one commit, at the most."""


class Writable(Protocol):
    """A move to write, and what comes of it: what it ``moved``, or an ``error``."""

    @property
    def move(self) -> Move: ...

    moved: Moved | Busy | None
    error: BaseException | None


W = TypeVar("W", bound=Writable)


class Writer(Generic[W]):
    """Writes the moves of all executions of a process, in a thread of its own.

    It writes whenever its connection is free, all that has been handed in meanwhile. So
    an idle engine pays one round trip, and a busy one batches by itself: the longer a
    commit takes, the more ride with the next. ``on_written`` is told what is stored, so
    that no step begins before the one before it is durable.
    """

    def __init__(self, using: str, on_written: Callable[[Sequence[W]], None]) -> None:
        self._using = using
        self._on_written = on_written
        self._inbox: queue.SimpleQueue[W | None] = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=self._run, name="durable-writer", daemon=True
        )

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def write(self, one: W) -> None:
        """Write a move before long, however long the database is away."""
        self._inbox.put(one)

    def close(self) -> None:
        """Write what is left, and end the thread."""
        if self._thread.is_alive():
            self._inbox.put(None)

    def join(self, timeout: float | None = None) -> None:
        """Wait until the thread has ended."""
        self._thread.join(timeout)

    def _run(self) -> None:
        while batch := self._take():
            self._write(batch)
            self._on_written(batch)
        connections.close_all()

    def _take(self) -> list[W]:
        """Return what waits to be written, once there is something; nothing at the end."""
        batch: list[W] = []
        while not batch or (len(batch) < _MOST and not self._inbox.empty()):
            one = self._inbox.get()
            if one is None:
                if batch:
                    self._inbox.put(None)
                break
            batch.append(one)
        return batch

    def _write(self, batch: Sequence[W]) -> None:
        try:
            self._write_together(batch)
        except Error:
            # One that the database refuses must fail alone.
            for one in batch:
                self._write_alone(one)
        except BaseException as error:
            for one in batch:
                one.error = error

    def _write_together(self, batch: Sequence[W]) -> None:
        using = self._using
        batch_moves = [one.move for one in batch]
        written = persist(
            lambda: moves.write_free(batch_moves, using=using), using=using
        )
        for one, moved in zip(batch, written, strict=True):
            one.moved = moved

    def _write_alone(self, one: W) -> None:
        try:
            self._write_together([one])
        except Error as error:
            one.error = error
