"""What an execution has done and when, as the tables tell it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An attempt that has ended. ``lane`` is who made it, ``None`` the execution."""

    step: UUID
    lane: UUID | None = None
    path: str
    kind: str
    sequence: int
    attempt: int
    status: str
    error: str = ""
    started_at: datetime
    completed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A wait, open as long as ``closed_at`` is ``None``."""

    lane: UUID | None = None
    path: str
    kind: str
    sequence: int
    sentence: str = ""
    opened_at: datetime
    closed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """An execution, or a lane of it, and where it stands.

    ``lane`` is ``None`` for the execution. ``queued_at`` is when it could have started;
    ``due`` when it goes on, if it is said what for.
    """

    lane: UUID | None = None
    scope: str = ""
    status: str
    queued_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    path: str = ""
    sequence: int = 0
    attempt: int = 1
    step_started_at: datetime | None = None
    is_told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk:
    """What many lanes have done at one node, from the first to the last of them."""

    path: str
    count: int
    failed: int = 0
    started_at: datetime
    completed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All of it. ``bulks`` stand for lanes that are too many to be told one by one.

    ``is_cut``: the oldest part is left out.
    """

    execution: Runner
    lanes: Sequence[Runner] = ()
    attempts: Sequence[Attempt] = ()
    pauses: Sequence[Pause] = ()
    bulks: Sequence[Bulk] = ()
    is_cut: bool = False
