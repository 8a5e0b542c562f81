"""The nodes of a graph, as frozen values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

from django_durable.definition.blocks import Block, OnError
from django_durable.definition.retry import ONCE, Retry
from django_durable.definition.waits import WaitNode
from django_durable.types import StepKind

Function: TypeAlias = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """How a completed step is undone."""

    function: Function
    retry: Retry


@dataclass(frozen=True, slots=True, kw_only=True)
class StepNode:
    """A node that runs code: a step, a decision, a ready-made wait, a join.

    ``blocks`` are the classes around it inside the workflow, outermost first: its body
    gets an instance of the innermost as ``self``. Without function and wait it passes
    on what it is given.
    """

    path: str
    kind: StepKind
    function: Function | None = None
    wait: WaitNode | None = None
    retry: Retry = ONCE
    timeout: timedelta | None = None
    atomic: bool = False
    queue: str | None = None
    targets: tuple[str, ...] = ()
    undo: Undo | None = None
    blocks: tuple[type[Block], ...] = ()
    doc: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseNode:
    """One way through a branch. ``values`` is empty for the default."""

    path: str
    values: tuple[Any, ...]
    is_default: bool
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchNode:
    """A choice: exactly one case runs, or none."""

    path: str
    on: Function
    cases: tuple[CaseNode, ...]
    blocks: tuple[type[Block], ...] = ()
    doc: str = ""

    def choose(self, answer: Any) -> CaseNode | None:
        """Return the case for what ``on`` answered, or ``None`` to skip the block."""
        for case in self.cases:
            if any(is_same(answer, value) for value in case.values):
                return case
        return next((case for case in self.cases if case.is_default), None)


def is_same(answer: Any, value: Any) -> bool:
    """Compare as a reader would: ``True`` is not the case ``when=1``."""
    if isinstance(answer, bool) or isinstance(value, bool):
        return answer is value
    return bool(answer == value)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneNode:
    """A member of a ``Parallel`` that holds several nodes."""

    path: str
    nodes: tuple[Node, ...]
    doc: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelNode:
    """Members that run at the same time; ``join`` is run when all have ended."""

    path: str
    members: tuple[Node | LaneNode, ...]
    on_error: OnError
    join: StepNode
    blocks: tuple[type[Block], ...] = ()
    doc: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EachNode:
    """A body that runs once per item; ``join`` is run when all have ended."""

    path: str
    items: Function
    nodes: tuple[Node, ...]
    max_concurrency: int | None
    on_error: OnError
    join: StepNode
    blocks: tuple[type[Block], ...] = ()
    doc: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopNode:
    """A body that runs as long as ``condition`` holds."""

    path: str
    condition: Function
    nodes: tuple[Node, ...]
    max_iterations: int
    blocks: tuple[type[Block], ...] = ()
    doc: str = ""


FanOutNode: TypeAlias = ParallelNode | EachNode
Node: TypeAlias = StepNode | BranchNode | ParallelNode | EachNode | LoopNode
Place: TypeAlias = Node | CaseNode | LaneNode
