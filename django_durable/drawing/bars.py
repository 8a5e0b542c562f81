"""A history as rows of bars. Pure: what is drawn, but not yet where."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django_durable.drawing.history import Attempt, Bulk, History, Pause, Runner
from django_durable.types import ExecutionStatus, StepKind, WaitKind

_FINAL = {
    ExecutionStatus.COMPLETED,
    ExecutionStatus.FAILED,
    ExecutionStatus.CANCELLED,
    ExecutionStatus.COMPENSATED,
    ExecutionStatus.COMPENSATION_FAILED,
}


_BLOCKS = (StepKind.PARALLEL, StepKind.EACH)


class BarKind(enum.StrEnum):
    """What an execution did meanwhile.

    ``queue``: it was ready for a worker. ``between``: it waited for the next attempt.
    ``block``: its members or items ran. ``bulk``: many lanes at once.
    """

    QUEUE = "queue"
    RUN = "run"
    WAIT = "wait"
    BETWEEN = "between"
    BLOCK = "block"
    BULK = "bulk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A stretch of time. ``ends`` is ``None`` as long as it lasts.

    ``status`` is that of the attempt, or ``running``. ``text`` says it in words;
    ``step`` is the record of the attempt, if there is one.
    """

    kind: BarKind
    path: str
    starts: datetime
    ends: datetime | None
    status: str = ""
    text: str = ""
    step: UUID | None = None
    is_undo: bool = False


# What is not waited for by a node that waits is time in the queue: it does nothing else.
_KINDS: Mapping[str, BarKind] = {
    StepKind.PARALLEL: BarKind.BLOCK,
    StepKind.EACH: BarKind.BLOCK,
    StepKind.WAIT: BarKind.QUEUE,
}


def bars_of(history: History) -> Iterator[Bar]:
    """Yield all that an execution and its lanes have done, in no special order."""
    by_lane: dict[UUID | None, list[Attempt]] = {}
    for attempt in history.attempts:
        by_lane.setdefault(attempt.lane, []).append(attempt)
    for runner in (history.execution, *history.lanes):
        # A compensation has the number of the visit that has failed before it.
        attempts = sorted(
            by_lane.get(runner.lane, []),
            key=lambda one: (one.completed_at, one.sequence, one.attempt),
        )
        yield from _runner(runner, attempts, history)
    joined = {
        (one.lane, one.path, one.sequence)
        for one in history.attempts
        if one.kind in _BLOCKS
    }
    for pause in history.pauses:
        # The step that joins a block has lasted as long as the block.
        if (pause.lane, pause.path, pause.sequence) not in joined:
            yield _pause(pause)
    yield from map(_bulk, history.bulks)


def _runner(
    runner: Runner, attempts: Sequence[Attempt], history: History
) -> Iterator[Bar]:
    """Yield what one execution or lane has done itself, and what it did in between."""
    free = runner.queued_at
    visit: tuple[int, str] | None = None
    for attempt in attempts:
        is_cut = visit is None and attempt.sequence > 0
        if attempt.started_at > free and not is_cut:
            is_again = (attempt.sequence, attempt.kind) == visit
            kind = BarKind.BETWEEN if is_again else BarKind.QUEUE
            yield Bar(
                kind=kind,
                path=attempt.path,
                starts=free,
                ends=attempt.started_at,
                text="until the next attempt"
                if is_again
                else "until a worker was free",
                is_undo=attempt.kind == StepKind.COMPENSATION,
            )
        yield _attempt(attempt)
        free, visit = attempt.completed_at, (attempt.sequence, attempt.kind)
    if runner.status not in _FINAL:
        is_again = visit is not None and visit[0] == runner.sequence
        yield from _position(runner, free, history, is_again=is_again)


def _attempt(attempt: Attempt) -> Bar:
    outcome = attempt.status.replace("_", " ")
    error = f": {attempt.error}" if attempt.error else ""
    return Bar(
        kind=_KINDS.get(attempt.kind, BarKind.RUN),
        path=attempt.path,
        starts=attempt.started_at,
        ends=attempt.completed_at,
        status=attempt.status,
        text=f"attempt {attempt.attempt}, {outcome}{error}",
        step=attempt.step,
        is_undo=attempt.kind == StepKind.COMPENSATION,
    )


def _position(
    runner: Runner, free: datetime, history: History, *, is_again: bool
) -> Iterator[Bar]:
    """Yield what an open execution or lane does now."""
    path = runner.path or runner.scope or "start"
    starts = runner.step_started_at or free
    is_undo = runner.status == ExecutionStatus.COMPENSATING
    kind, text = BarKind.QUEUE, runner.status
    if runner.status == ExecutionStatus.WAITING:
        if any(_is_here(pause, runner) for pause in history.pauses):
            # The wait is a bar of its own.
            return
        kind = BarKind.WAIT
    elif runner.is_told and is_again:
        kind, text = BarKind.BETWEEN, "until the next attempt"
    elif runner.status in (ExecutionStatus.RUNNING, ExecutionStatus.COMPENSATING):
        if starts > free:
            yield Bar(kind=BarKind.QUEUE, path=path, starts=free, ends=starts)
        kind, free = BarKind.RUN, starts
        text = f"attempt {runner.attempt}, running"
    yield Bar(
        kind=kind,
        path=path,
        starts=free,
        ends=None,
        status="running" if kind is BarKind.RUN else runner.status,
        text=text,
        is_undo=is_undo,
    )


def _is_here(pause: Pause, runner: Runner) -> bool:
    return pause.lane == runner.lane and pause.closed_at is None


def _pause(pause: Pause) -> Bar:
    is_block = pause.kind == WaitKind.LANES
    return Bar(
        kind=BarKind.BLOCK if is_block else BarKind.WAIT,
        path=pause.path,
        starts=pause.opened_at,
        ends=pause.closed_at,
        status="waiting" if pause.closed_at is None else "",
        text=f"waits for {pause.sentence}" if pause.sentence else pause.kind,
    )


def _bulk(bulk: Bulk) -> Bar:
    failed = f", {bulk.failed:,} failed" if bulk.failed else ""
    return Bar(
        kind=BarKind.BULK,
        path=bulk.path,
        starts=bulk.started_at,
        ends=bulk.completed_at,
        status="failed" if bulk.failed else "completed",
        text=f"{bulk.count:,} attempts{failed}",
    )
