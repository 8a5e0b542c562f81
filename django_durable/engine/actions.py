"""What the planner asks the runtime to do, and what follows an attempt, as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from django_durable.definition.nodes import (
    BranchNode,
    EachNode,
    FanOutNode,
    LoopNode,
    StepNode,
)
from django_durable.engine.state import Done, Member
from django_durable.engine.waiting import WaitRequest
from django_durable.types import JSON, ErrorInfo, ExecutionStatus, StepStatus, Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStep:
    """Run the body of ``node`` at ``path``; this is attempt number ``attempt``.

    ``members`` are what a join is about, ``undoes`` what a compensation is about.
    """

    path: str
    node: StepNode
    attempt: int
    members: Sequence[Member] | None = None
    undoes: Done | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choose:
    """Ask the branch at ``path`` which case runs."""

    path: str
    node: BranchNode


@dataclass(frozen=True, slots=True, kw_only=True)
class AskLoop:
    """Ask the loop at ``path`` whether there is a round number ``iteration``, from 0."""

    path: str
    node: LoopNode
    iteration: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AskItems:
    """Ask the ``Each`` at ``path`` for its items, then open one lane per item."""

    path: str
    node: EachNode


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLanes:
    """Open the lanes of a block, and park until they have ended.

    At most ``limit`` of them (``None``: all) are claimable at a time.
    """

    path: str
    node: FanOutNode
    lanes: tuple[NewLane, ...]
    limit: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLane:
    """A lane to open: its scope, the queue of its own it names, its item (encoded)."""

    path: str
    queue: str | None = None
    item: JSON = None
    index: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepWaiting:
    """Its lanes have not ended yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoseUndo:
    """The compensation ``step`` has lost its last attempt with its worker."""

    step: RunStep
    error: ErrorInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class EndUndoing:
    """Nothing is left to undo."""

    status: ExecutionStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveQueue:
    """Hand the execution to the workers of another queue."""

    position: str
    queue: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Park:
    """Leave it for a worker that has the code; it never fails because of this."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Complete:
    """Nothing is left to run: the data is the result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp:
    """The execution has failed for good; ``error`` is as it is stored."""

    error: Tree


Action: TypeAlias = (
    RunStep
    | Choose
    | AskLoop
    | AskItems
    | OpenLanes
    | KeepWaiting
    | MoveQueue
    | Park
    | Complete
    | GiveUp
    | LoseUndo
    | EndUndoing
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GoOn:
    """The step is done; run what stands at ``position`` (``None``: the end)."""

    position: str | None
    data: Tree
    output: Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class TryAgain:
    """The attempt failed, or snoozed; the next run of the body is due after ``delay``."""

    delay: timedelta
    attempt: int
    status: StepStatus
    error: ErrorInfo | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFailed:
    """The attempt failed and was the last one; the execution fails with it.

    Where ``is_undoing``, a compensation has failed, and the next one comes.
    """

    error: ErrorInfo
    status: StepStatus
    is_undoing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Park until ``request`` is answered."""

    request: WaitRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelExecution:
    """The step cancels the execution."""

    reason: str


Consequence: TypeAlias = GoOn | TryAgain | StepFailed | Wait | CancelExecution
