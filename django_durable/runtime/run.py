"""One leased execution in the hands of one process, of one thread at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from django.db import connections, transaction

from django_durable import clock
from django_durable.definition import registry
from django_durable.definition.graph import Graph
from django_durable.definition.nodes import EachNode, FanOutNode
from django_durable.definition.workflow import Workflow
from django_durable.engine.state import Done, ExecutionState, Member
from django_durable.engine.waiting import Answer, WaitKey, answers_by_key
from django_durable.models.execution import FINAL
from django_durable.runtime.persisting import persist
from django_durable.store import cancelling, families, leases, moves, resuming
from django_durable.store.history import history, undone
from django_durable.store.leases import Claimed
from django_durable.store.moves import Busy, Move, Moved
from django_durable.types import ExecutionStatus, Tree

OnTakeover: TypeAlias = Callable[[bool, bool], None]
"""Is told whether there is more to do, and whether a thread hangs in the body."""


_MANY_LANES = 100
"""Executions do not wait for each other's lanes when these are more."""


class Run:
    """Where a leased execution stands, as far as is stored; ``data`` is encoded.

    What is stored changes only by writing a ``Move``; ``follow`` then takes it over.
    ``given`` is what its steps get besides the data: in an ``Each`` item and index.
    ``on_takeover`` is called when the watchdog has settled an attempt in the place of
    its thread: see ``Executor.begin``. ``steps`` and ``began`` tell how
    long it has had its turn.
    """

    def __init__(
        self,
        claimed: Claimed,
        on_takeover: OnTakeover = lambda goes_on, hangs: None,
    ) -> None:
        self.claimed = claimed
        self.began = time.monotonic()
        self.steps = 0
        self.lease = claimed.lease
        self.on_takeover = on_takeover
        self.known_workflow: type[Workflow] | None = registry.find(claimed.workflow)
        self.position = claimed.position
        if claimed.is_first and self.graph is not None:
            # What was the first node when it was started need not be so any more.
            self.position = self.graph.first(claimed.scope)
        self.sequence = claimed.sequence
        self.attempt = claimed.attempt
        self.calls = claimed.calls
        self.failure = claimed.failure
        self.given: Tree = claimed.input or {}
        self.step_started_at = claimed.step_started_at
        self.answers: dict[WaitKey, Answer] = {}
        self.members: Sequence[Member] | None = None
        self._has_joined = False
        self._done: Sequence[Done] | None = None
        self._answers_are_loaded = not claimed.calls
        self._base = self._data_before()
        self.data = families.overlay(self._base, claimed.data)
        self._deadline = (
            None
            if claimed.seconds_left is None
            else time.monotonic() + claimed.seconds_left
        )

    def __str__(self) -> str:
        return str(self.claimed)

    @property
    def graph(self) -> Graph | None:
        """The graph of its workflow, if this worker's code has it."""
        return self.known_workflow.definition if self.known_workflow else None

    @property
    def workflow(self) -> type[Workflow]:
        """The workflow; asked only after the planner has found its graph."""
        assert self.known_workflow is not None
        return self.known_workflow

    @property
    def is_first(self) -> bool:
        """Whether a workflow's execution begins now."""
        return self.claimed.is_first and self.lease.lane is None

    @property
    def visit(self) -> int:
        """The step visit that durable calls are filed under.

        The first compensation must not find the answers of the step that failed, which
        was visited under the same ``sequence``.
        """
        return self.sequence + (self.failure is not None)

    @property
    def compensates(self) -> bool:
        """Whether a failure of this execution is followed by undoing."""
        is_workflow = self.lease.lane is None
        return is_workflow and self.graph is not None and self.graph.has_compensations

    def _data_before(self) -> Tree:
        """Return what a lane's data is laid over; nothing for a workflow's execution."""
        above, visit = self.claimed.awaited_by, self.claimed.awaited_visit
        if self.lease.lane is None or above is None or visit is None:
            return {}
        if self.claimed.base is not None:
            return self.claimed.base
        return persist(
            lambda: families.data_before(above, visit, self.lease.using),
            using=self.lease.using,
        )

    @property
    def _own_calls(self) -> int:
        """Durable calls that may be open, or answered: not the wait for ended lanes."""
        return self.calls - self._has_joined

    def state(self) -> ExecutionState:
        """Return the snapshot that the planner judges."""
        seconds_left = self.seconds_left()
        return ExecutionState(
            position=self.position,
            has_begun=bool(self.sequence or self.calls),
            scope=self.claimed.scope,
            sequence=self.sequence,
            attempt=self.attempt,
            queue=self.claimed.queue,
            home_queue=self.claimed.home_queue,
            is_expired=seconds_left is not None and seconds_left <= 0,
            members=self._members(),
            failure=self.failure,
            history=self._history(),
        )

    def _members(self) -> Sequence[Member] | None:
        """Return how the lanes of the block stand that it is at, if they are open."""
        is_block = (
            self.graph is not None
            and self.position is not None
            and isinstance(self.graph.find(self.position), FanOutNode)
        )
        if self.calls and is_block and self.members is None:
            self.members = self._members_that_have_ended() or persist(
                lambda: families.members(self.lease, sequence=self.sequence),
                using=self.lease.using,
            )
            self._has_joined = not any(member.is_open for member in self.members)
        return self.members if is_block else None

    def _members_that_have_ended(self) -> Sequence[Member] | None:
        """Return the lanes as the claim has seen them, if none can change any more."""
        if self.claimed.lanes is None or self.sequence != self.claimed.sequence:
            return None
        found = families.as_members(self.claimed.lanes)
        return None if any(member.is_open for member in found) else found

    def _history(self) -> Sequence[Done]:
        """Return what was done and undone; read once, for nobody else adds to it."""
        if self.failure is None:
            return ()
        if self._done is None:
            self._done = persist(
                lambda: history(self.lease, sequence=self.sequence),
                using=self.lease.using,
            )
        return self._done

    def seconds_left(self) -> float | None:
        """Return the time until the workflow's timeout; ``None`` without one."""
        return None if self._deadline is None else self._deadline - time.monotonic()

    def load_answers(self) -> None:
        """Read what the durable calls of the current step have got, if there are any."""
        if self._own_calls and not self._answers_are_loaded:
            found = persist(
                lambda: resuming.answers(
                    self.lease, sequence=self.visit, attempt=self.attempt
                ),
                using=self.lease.using,
            )
            self.answers = answers_by_key(found)
            self._answers_are_loaded = True

    def remember(self, position: str, answer: Answer) -> None:
        """Take over an answer that was stored while the lease was kept."""
        self.position = position
        self.calls += 1
        self.answers[answer.key] = answer

    def move(
        self, status: ExecutionStatus, *, data: Tree | None = None, **changes: Any
    ) -> Move:
        """Return a move from where the execution stands; ``data`` is the whole of it."""
        stays = {
            "position": self.position,
            "sequence": self.sequence,
            "attempt": self.attempt,
            "error": self.failure,
        }
        if data is not None:
            data = families.changes_to(self._base, data) if self.lease.lane else data
        return Move(lease=self.lease, status=status, data=data, **{**stays, **changes})

    def concerns_others(self, move: Move) -> bool:
        """Say whether ``move`` changes more rows than can be written with other moves."""
        is_final = move.status in FINAL
        if is_final and self.claimed.awaited_by is not None and move.waiter is None:
            return True
        opens_many = move.opens is not None and len(move.opens.lanes) > _MANY_LANES
        return opens_many or self._closes_below(move)

    def _closes_below(self, move: Move) -> bool:
        """Say whether waits, lanes or children may be open that ``move`` is to close."""
        begins_undoing = move.error is not None and self.failure is None
        return bool(self._own_calls) and (move.status in FINAL or begins_undoing)

    def counted_down(self, move: Move) -> Move:
        """Return ``move``, to be counted down where the execution waits for its lanes.

        That is for a lane that has completed and has nothing open. What a failed one
        means to its siblings is no matter of counting, and another one's turn is not.
        """
        is_done = move.status is ExecutionStatus.COMPLETED and not self._own_calls
        if not is_done or self.lease.lane is None or self.graph is None:
            return move
        can_count = connections[self.lease.using].vendor == "postgresql"
        block = self.graph.block_of(self.claimed.scope)
        if not can_count or (isinstance(block, EachNode) and block.max_concurrency):
            return move
        waiter, visit = self.claimed.awaited_by, self.claimed.awaited_visit
        return replace(move, waiter=waiter, waiter_visit=visit)

    def write(self, move: Move) -> Moved | None:
        """Write ``move`` and all that it entails; ``None`` when the lease is lost."""
        if move.status in FINAL and self.claimed.awaited_by is not None:
            return self._finish(move)
        if self._closes_below(move):
            return self._write_and_close(move)
        return moves.write([move], using=self.lease.using)[0]

    def _write_and_close(self, move: Move) -> Moved | None:
        """Write the end of an execution that may have waits, lanes or children open."""
        using = self.lease.using
        with transaction.atomic(using=using):
            moved = moves.write([move], using=using)[0]
            if moved:
                cancelling.close_below(
                    self.lease.execution_id, owner_id=self.lease.owner_id, using=using
                )
        return moved

    def _finish(self, move: Move) -> Moved | None:
        """Write the last move of an execution that another one waits for."""
        if move.waiter is not None:
            moved = moves.write_counted(move)
            if not isinstance(moved, Busy):
                return moved
        block = self.graph.block_of(self.claimed.scope) if self.graph else None
        assert self.claimed.awaited_by is not None
        return families.finish(
            replace(move, waiter=None),
            awaited_by=self.claimed.awaited_by,
            result=self.data if move.data is None else move.data,
            fails_fast=block is None or block.on_error == "fail_fast",
            has_open=bool(self._own_calls),
        )

    def follow(self, move: Move, moved: Moved) -> bool:
        """Stand where ``move`` leads; say whether the lease still holds."""
        if not move.keeps_lease or moved.status is ExecutionStatus.PAUSED:
            return False
        begins_undoing = move.error is not None and self.failure is None
        if move.sequence != self.sequence or begins_undoing:
            self.calls, self.answers, self._answers_are_loaded = 0, {}, True
            self.members, self._has_joined = None, False
        if begins_undoing:
            self._deadline = None
        elif self._done is not None and move.sequence != self.sequence and move.step:
            self._done = [undone(move.step), *self._done]
        self.position, self.sequence = move.position, move.sequence
        self.attempt, self.step_started_at = move.attempt, moved.at
        self.failure = move.error
        if move.data is not None:
            self.data = families.overlay(self._base, move.data)
        return True

    def was_written(self, move: Move) -> Moved | None:
        """Look whether ``move`` is stored, after a commit whose answer was lost.

        The row is locked for it, so a commit that is still under way is waited for.
        """

        def look() -> Moved | None:
            with transaction.atomic(using=self.lease.using):
                row = leases.hold(self.lease)
                if row.sequence != move.sequence:
                    return None
                # A paused execution has no step that has started.
                at = row.step_started_at or clock.now()
                return Moved(ExecutionStatus(row.status), at)

        return persist(look, using=self.lease.using)
