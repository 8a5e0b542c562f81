"""A ``Move``: all that changes about one leased execution at once, and its writing.

A worker's hot path is made of moves only: checkpoint, complete, retry, snooze, park,
hand over. Each is one value; any number of them is one commit: on PostgreSQL by one
fenced statement (``move_statement``), elsewhere by a few (``move_rows``). A move whose
lease is lost changes nothing and does not disturb the others.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import connections

from django_durable.ids import new_id
from django_durable.models import Execution, Wait
from django_durable.store import move_rows, move_statement
from django_durable.store.leases import Lease
from django_durable.types import ExecutionStatus, Moment, StepKind, StepStatus, Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnd:
    """The end of one attempt, as it is recorded; ``started_at`` is the database's.

    It has its id from the start, so that writing it twice records it once.
    """

    path: str
    kind: StepKind
    sequence: int
    attempt: int
    status: StepStatus
    started_at: datetime
    output: Tree | None = None
    error: Tree | None = None
    undoes: UUID | None = None
    id: UUID = field(default_factory=new_id)


@dataclass(frozen=True, slots=True)
class Opening:
    """The lanes of a block as unsaved rows, and the wait that holds their execution.

    At most ``limit`` of them (``None``: all) may be claimed at a time. Their ids are
    there from the start, so that writing them twice inserts them once.
    """

    lanes: Sequence[Execution]
    wait: Wait
    limit: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Where a leased execution goes. What is ``None`` in ``data`` and ``queue`` stays.

    ``adds_output``: the data is what it was, with the output of ``step`` laid over it,
    so that no more than this output has to be sent.

    A new ``sequence`` begins a new step visit, whose durable calls start from none. A
    move that records a step leads elsewhere: to another sequence, attempt or status.

    With ``keeps_lease`` the next step begins at once; else the lease is given back, and
    ``due`` is when a worker may claim it again; ``None``: when something wakes it. A
    paused execution stays paused, and keeps ``due`` for later.

    ``opens`` are lanes to open; they are paused where the execution is.

    ``waiter`` is who waits for a lane that has nothing open any more, at the visit
    ``waiter_visit``. On PostgreSQL the lane is counted down there, and the last one
    wakes who waits; ``Busy`` says where that is not all there is to do.
    """

    lease: Lease
    status: ExecutionStatus
    position: str | None
    sequence: int
    attempt: int
    data: Tree | None = None
    error: Tree | None = None
    due: Moment | None = None
    queue: str | None = None
    waiting_for: str = ""
    step: StepEnd | None = None
    keeps_lease: bool = False
    adds_output: bool = False
    opens: Opening | None = None
    waiter: UUID | None = None
    waiter_visit: int | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """A move that was written: the status that the row has now, and the instant."""

    status: ExecutionStatus
    at: datetime


class Busy(enum.Enum):
    """Stands for a move that is to be written by itself: it is not written yet.

    Another transaction holds its row or that of who waits for it, or the end of a lane
    means more to who waits than one lane less.
    """

    BUSY = "busy"


def write(moves: Sequence[Move], *, using: str) -> list[Moved | None]:
    """Write the moves; each gives its ``Moved``, or ``None`` when its lease is lost.

    Rows that another transaction holds are waited for.
    """
    if connections[using].vendor != "postgresql":
        written = move_rows.send(moves, using=using)
    else:
        written = move_statement.send(moves, waits=True, using=using)
    return [_moved(written.get(number)) for number in range(len(moves))]


def write_free(moves: Sequence[Move], *, using: str) -> list[Moved | Busy | None]:
    """Write the moves that can be written together: those whose rows nobody holds.

    Who cancels an execution, or sends it an event, may take long to commit: the others
    do not wait for that.
    """
    if connections[using].vendor != "postgresql":
        return [*write(moves, using=using)]
    written = move_statement.send(moves, waits=False, using=using)
    return [
        _moved(written[number]) if number in written else Busy.BUSY
        for number in range(len(moves))
    ]


def write_counted(move: Move) -> Moved | Busy | None:
    """Write the end of a lane as ``write_free`` does, waiting for who holds its rows."""
    written = move_statement.send([move], waits=True, using=move.lease.using)
    return _moved(written[0]) if 0 in written else Busy.BUSY


def _moved(row: tuple[str, datetime] | None) -> Moved | None:
    return None if row is None else Moved(ExecutionStatus(row[0]), row[1])
