"""The loop around one leased execution: ask the planner, do it, write what follows."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from contextlib import ExitStack, closing
from contextvars import copy_context
from functools import partial
from typing import TypeAlias

from django.db import (
    DatabaseError,
    Error,
    InterfaceError,
    OperationalError,
    connections,
    transaction,
)

from django_durable.conf import Settings
from django_durable.engine.actions import (
    AskItems,
    AskLoop,
    Choose,
    Consequence,
    GoOn,
    LoseUndo,
    OpenLanes,
    RunStep,
    StepFailed,
    Wait,
)
from django_durable.engine.outcomes import CancelledItself, Outcome
from django_durable.engine.planner import after_attempt, next_action
from django_durable.engine.waiting import WaitRequest
from django_durable.exceptions import Cancelled, LeaseLost
from django_durable.runtime import blocks, settling
from django_durable.runtime.attempts import (
    Awaiting,
    CutOff,
    context_of,
    outcome_of,
    timed_out,
)
from django_durable.runtime.context import StepContext
from django_durable.runtime.event_loop import EventLoop
from django_durable.runtime.log_capture import StepLines
from django_durable.runtime.log_writer import LogWriter
from django_durable.runtime.persisting import persist
from django_durable.runtime.run import OnTakeover, Run
from django_durable.runtime.step_runner import failure, is_interruption
from django_durable.runtime.watchdog import Attempt, Watchdog
from django_durable.store import announcements, leases, waits
from django_durable.store.leases import Claimed
from django_durable.store.logs import LogSource
from django_durable.store.moves import Move, Moved
from django_durable.types import ErrorInfo, StepStatus

logger = logging.getLogger("django_durable.runtime")

Following: TypeAlias = Move | Awaiting | bool
"""What comes next: a move to write, a coroutine to await, or whether there is more."""


class _NotCommitted(Exception):
    """Leaves the transaction of an atomic step that must not be committed."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class Executor:
    """Runs leased executions, each by one thing at a time: ask, do, write, follow.

    It keeps nothing between two calls: what it knows of an execution is in its ``Run``.
    Moves that concern one execution alone are returned, for the caller to write; others
    are written here. No error of user code leaves it. ``Abandoned`` does, in a thread
    whose attempt exceeded its time limit: the watchdog has settled it.

    ``inline`` means that all runs in the thread and transaction of the caller: nothing
    is settled from another thread. ``should_yield`` is asked after each step whether the
    execution is to go back to its queue. Coroutines are awaited on ``loop``; without
    one, in the thread of the caller.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        watchdog: Watchdog,
        logs: LogWriter | None = None,
        inline: bool = False,
        loop: EventLoop | None = None,
        should_yield: Callable[[Run], bool] = lambda run: False,
    ) -> None:
        self._settings = settings
        self._watchdog = watchdog
        self._logs = logs or LogWriter(settings, inline=inline)
        self._inline = inline
        self._loop = loop
        self._should_yield = should_yield

    def run(
        self,
        claimed: Claimed,
        on_takeover: OnTakeover = lambda goes_on, hangs: None,
    ) -> None:
        """Run in this thread until the execution ends, waits, or goes back to a queue."""
        assert self._loop is None
        run = self.begin(claimed, on_takeover)
        following: Following = True
        while run is not None and following:
            following = self.advance(run)
            if isinstance(following, Move):
                following = self._write_and_follow(run, following)

    def begin(self, claimed: Claimed, on_takeover: OnTakeover) -> Run | None:
        """Take over a claimed execution; ``None`` when it is gone already.

        ``on_takeover`` is called when the watchdog has settled an attempt in the place
        of its thread, and told whether there is more to do, and whether the thread
        hangs in the body.
        """
        try:
            run = Run(claimed, on_takeover)
        except LeaseLost as lost:
            _stopped(claimed, lost)
            return None
        if run.is_first and run.graph is not None:
            announcements.started(run.lease, run.claimed.workflow)
        return run

    def advance(self, run: Run) -> Following:
        """Do the next thing.

        Returns a move, to be written and then handed to ``follow``; a coroutine, to be
        handed to ``await_`` and then to ``resume``; or whether the lease still holds and
        more is to do.
        """
        try:
            return self._advance(run)
        except (LeaseLost, Cancelled) as lost:
            return _stopped(run, lost)

    def await_(self, run: Run, awaiting: Awaiting, on_end: Callable[[], None]) -> None:
        """Await a coroutine; ``on_end`` is called unless the watchdog has settled it."""
        assert self._loop is not None
        awaiting.start(self._loop, run.lease.using, on_end)

    def resume(self, run: Run, awaiting: Awaiting) -> Following:
        """Go on after a coroutine, as ``advance`` does."""
        try:
            with closing(awaiting.lines):
                outcome = awaiting.outcome()
            consequence = self._consequence(run, awaiting.step, outcome)
            return self._settle(run, awaiting.step, consequence)
        except (LeaseLost, Cancelled) as lost:
            return _stopped(run, lost)

    def write(self, run: Run, move: Move) -> Moved | None:
        """Write ``move`` by itself, however long the database is away."""
        return persist(lambda: run.write(move), using=run.lease.using)

    def follow(self, run: Run, move: Move, moved: Moved | None) -> bool:
        """Tell of a move that is written, and stand where it leads.

        Says whether the lease still holds and more is to do. ``moved`` is ``None`` when
        the move was refused.
        """
        if moved is None:
            return _stopped(run, "It has another owner now, or was cancelled.")
        _log(run, move)
        announcements.moved(move, run.claimed.workflow)
        return run.follow(move, moved)

    def _write_and_follow(self, run: Run, move: Move) -> bool:
        return self.follow(run, move, self.write(run, move))

    def _advance(self, run: Run) -> Following:
        action = next_action(
            run.graph, run.state(), max_lost=self._settings.max_lost_attempts
        )
        match action:
            case RunStep():
                return self._run_step(run, action)
            case OpenLanes():
                return self._open_lanes(run, action)
            case LoseUndo(step=step, error=error):
                return self._settle(run, step, _lost(error))
            case Choose() | AskLoop() | AskItems():
                return self._ask(run, action)
            case _:
                return self._go(run, settling.move_for(run, action))

    def _go(self, run: Run, move: Move) -> Move | bool:
        """Return a move that may be written with those of others; else go there."""
        move = run.counted_down(move)
        return self._write_and_follow(run, move) if run.concerns_others(move) else move

    def _ask(self, run: Run, action: Choose | AskLoop | AskItems) -> Move | bool:
        """Ask a block what comes next, and go there."""
        try:
            with closing(self._lines_of(run, action.path, run.attempt)) as lines:
                surroundings = copy_context()
                surroundings.run(lines.capture)
                answer = surroundings.run(blocks.ask, run, action)
        except BaseException as error:
            if is_interruption(error):
                raise
            return self._go(run, blocks.move_after_error(run, action, error))
        if isinstance(answer, OpenLanes):
            return self._open_lanes(run, answer)
        return self._go(run, answer)

    def _open_lanes(self, run: Run, action: OpenLanes) -> Move | bool:
        """Open lanes and park; without any the block is joined at once."""
        if action.lanes:
            return self._go(run, settling.move_into(run, action))
        run.position, run.members = action.path, ()
        return True

    def _run_step(self, run: Run, step: RunStep) -> Following:
        run.load_answers()
        lines = self._lines_of(run, step.path, step.attempt)
        attempt = self._begin(run, step, lines)
        max_bytes = self._settings.max_payload_bytes
        context = context_of(run, step, attempt, max_bytes=max_bytes)
        # Before the end of an attempt is written, its lines are; those of an atomic one
        # after its transaction, so that they are not rolled back with it.
        with ExitStack() as stack:
            stack.callback(lines.close)
            if step.node.atomic:
                return self._run_atomic(run, step, context, attempt, lines)
            loop = self._loop
            outcome = outcome_of(run, step, context, attempt, lines, loop=loop)
            if isinstance(outcome, Awaiting):
                stack.pop_all()
                return outcome
        return self._settle(run, step, self._consequence(run, step, outcome))

    def _lines_of(self, run: Run, path: str, attempt: int) -> StepLines:
        source = LogSource(
            execution_id=run.lease.owner_id,
            lane=run.lease.lane,
            step=path,
            sequence=run.sequence,
            attempt=attempt,
        )
        return self._logs.lines_of(source)

    def _begin(self, run: Run, step: RunStep, lines: StepLines) -> Attempt:
        """Start the clock of one attempt."""
        timeout = step.node.timeout
        attempt = Attempt(
            None if timeout is None else timeout.total_seconds(),
            None if self._inline else partial(self._take_over, run, step, lines),
            ends_in=run.seconds_left(),
        )
        self._watchdog.watch(attempt)
        return attempt

    def _consequence(self, run: Run, step: RunStep, outcome: Outcome) -> Consequence:
        assert run.graph is not None
        scope, draw = run.claimed.scope, random.random()
        return after_attempt(run.graph, step, outcome, draw=draw, scope=scope)

    def _settle(self, run: Run, step: RunStep, consequence: Consequence) -> Move | bool:
        """Wait, or return the move that ends an attempt."""
        if isinstance(consequence, Wait):
            return self._wait(run, step, consequence.request)
        yields = self._should_yield(run)
        return self._go(run, settling.move_after(run, step, consequence, yields=yields))

    def _wait(self, run: Run, step: RunStep, request: WaitRequest) -> bool:
        """Park until ``request`` is answered, or go on at once when it is already."""
        answer = persist(
            lambda: waits.open_wait(
                run.lease,
                request,
                path=step.path,
                sequence=run.visit,
                attempt=step.attempt,
            ),
            using=run.lease.using,
        )
        if answer is None:
            logger.info("%s: %s waits for %s", run, step.path, request.sentence)
            announcements.waiting(run.lease, run.claimed.workflow, request.sentence)
            return False
        run.remember(step.path, answer)
        return True

    def _run_atomic(
        self,
        run: Run,
        step: RunStep,
        context: StepContext,
        attempt: Attempt,
        lines: StepLines,
    ) -> Move | bool:
        """Run body, checkpoint and the move to the next step as one transaction."""
        using, move = run.lease.using, None
        try:
            with transaction.atomic(using=using):
                outcome = outcome_of(run, step, context, attempt, lines)
                assert not isinstance(outcome, Awaiting)
                consequence = self._consequence(run, step, outcome)
                if not isinstance(consequence, GoOn):
                    raise _NotCommitted(outcome)  # noqa: TRY301
                yields = self._should_yield(run)
                move = settling.move_after(run, step, consequence, yields=yields)
                moved = _held(run.write(move))
        except _NotCommitted as refused:
            outcome = refused.outcome
        except LeaseLost:
            if not persist(lambda: leases.holds(run.lease), using=using):
                raise
            # The body cancelled its own execution, which was rolled back with the rest.
            outcome = CancelledItself(reason=f"{step.path} cancelled it")
        except (OperationalError, InterfaceError) as error:
            return self._after_outage(run, move, attempt, error)
        except DatabaseError as error:
            outcome = failure(error, step.path)
        else:
            return self.follow(run, move, moved)
        return self._settle(run, step, self._consequence(run, step, outcome))

    def _after_outage(
        self, run: Run, move: Move | None, attempt: Attempt, error: Error
    ) -> bool:
        """Go on after the database did not answer in an atomic step's transaction."""
        if move is None:
            # Not even begun: the body did not run, so this was no attempt.
            attempt.take()
            persist(lambda: leases.holds(run.lease), using=run.lease.using)
            return True
        # The commit may have happened all the same.
        stored = run.was_written(move)
        if stored is None:
            # Nothing of the attempt is left.
            raise CutOff(str(error)) from error
        return self.follow(run, move, stored)

    def _take_over(
        self, run: Run, step: RunStep, lines: StepLines, hangs: bool
    ) -> None:
        """Settle an attempt that is late, in the watchdog's thread."""
        goes_on = False
        try:
            lines.flush()
            consequence = self._consequence(run, step, timed_out(run, step))
            following = self._settle(run, step, consequence)
            if isinstance(following, Move):
                following = self._write_and_follow(run, following)
            goes_on = following
        except LeaseLost as lost:
            _stopped(run, lost)
        finally:
            connections.close_all()
            run.on_takeover(goes_on, hangs)


def _held(moved: Moved | None) -> Moved:
    if moved is None:
        raise LeaseLost("It has another owner now, or was cancelled.")
    return moved


def _stopped(run: Run | Claimed, reason: object) -> bool:
    """Leave a run whose lease is lost: nothing more can be written for it."""
    logger.info("%s: stopped, nothing more is written. %s", run, reason)
    return False


def _lost(error: ErrorInfo) -> StepFailed:
    return StepFailed(error=error, status=StepStatus.LOST, is_undoing=True)


def _log(run: Run, move: Move) -> None:
    if not logger.isEnabledFor(logging.INFO):
        return
    ended = f"{move.step.path} {move.step.status}, " if move.step else ""
    reason = f" ({move.waiting_for})" if move.waiting_for else ""
    where = f" at {move.position}" if move.position else ""
    logger.info("%s: %sexecution %s%s%s", run, ended, move.status, where, reason)
