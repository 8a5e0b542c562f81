"""Histories for tests: seconds after noon, instead of moments."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django_durable.drawing.history import Attempt, History, Pause, Runner
from tests.factories import NOON


def at(seconds: float | None) -> datetime | None:
    return None if seconds is None else NOON + timedelta(seconds=seconds)


def attempt(
    path: str, start: float, end: float, sequence: int = 0, **fields: Any
) -> Attempt:
    fields = {"kind": "step", "attempt": 1, "status": "completed", **fields}
    return Attempt(
        step=uuid4(),
        path=path,
        sequence=sequence,
        started_at=at(start),
        completed_at=at(end),
        **fields,
    )


def pause(path: str, start: float, end: float | None, **fields: Any) -> Pause:
    fields = {"kind": "event", "sequence": 0, **fields}
    return Pause(path=path, opened_at=at(start), closed_at=at(end), **fields)


def runner(
    status: str = "completed",
    *,
    queued: float = 0,
    started: float | None = 0,
    ended: float | None = None,
    at_since: float | None = None,
    **fields: Any,
) -> Runner:
    return Runner(
        status=status,
        queued_at=at(queued),
        started_at=at(started),
        completed_at=at(ended),
        step_started_at=at(at_since),
        **fields,
    )


def history(execution: Runner, *attempts: Attempt, **fields: Any) -> History:
    return History(execution=execution, attempts=attempts, **fields)


LANES = [UUID(int=number) for number in range(1, 1000)]
