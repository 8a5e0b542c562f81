"""Several executions' checkpoints in one commit, without a thread or a timer for it."""

from __future__ import annotations

import threading
from collections import deque

from django.db import Error, connections

from django_durable.runtime.persisting import persist
from django_durable.store import moves
from django_durable.store.moves import Move, Moved

_MOST = 200
"""Moves in one commit, at the most."""


class _Entry:
    """A move that waits to be written, and what came of it."""

    __slots__ = ("error", "is_written", "move", "moved")

    def __init__(self, move: Move) -> None:
        self.move = move
        self.moved: Moved | None = None
        self.error: BaseException | None = None
        self.is_written = False

    def end(self, moved: Moved | None, error: BaseException | None = None) -> None:
        self.moved, self.error, self.is_written = moved, error, True


class Writer:
    """Writes the moves of all threads of a process.

    Who has a move to write, and finds nobody writing, writes it at once, together with
    those that others have handed in meanwhile. So an idle engine pays one round trip,
    and a busy one batches by itself: the longer a commit takes, the more ride with the
    next. ``write`` returns when the move is stored, so that no step begins before the
    one before it is durable.
    """

    def __init__(self) -> None:
        self._waiting: deque[_Entry] = deque()
        self._turn = threading.Lock()

    def write(self, move: Move) -> Moved | None:
        """Write ``move``, however long the database is away; ``None``: lease lost."""
        using = move.lease.using
        if connections[using].in_atomic_block:
            # In the transaction of an atomic step, or of a test.
            return moves.write([move], using=using)[0]
        entry = _Entry(move)
        self._waiting.append(entry)
        with self._turn:
            while not entry.is_written:
                self._write_some(using)
        if entry.error is not None:
            raise entry.error
        return entry.moved

    def _write_some(self, using: str) -> None:
        """Write what waits, in order, up to the most that one commit takes."""
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST))]
        try:
            self._write_all(batch, using)
        except Error:
            # One that the database refuses must fail alone.
            for entry in batch:
                self._write_alone(entry, using)
        except BaseException as error:
            for entry in batch:
                entry.end(None, error)

    def _write_all(self, batch: list[_Entry], using: str) -> None:
        written = persist(
            lambda: moves.write([entry.move for entry in batch], using=using),
            using=using,
        )
        for entry, moved in zip(batch, written, strict=True):
            entry.end(moved)

    def _write_alone(self, entry: _Entry, using: str) -> None:
        try:
            self._write_all([entry], using)
        except Error as error:
            entry.end(None, error)
