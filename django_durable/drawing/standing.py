"""How the nodes of a workflow stand, as values that a drawing shows."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

Way = tuple[str, str, str]
"""A line of a drawing: its kind, and the paths from which and to which it leads."""


class State(enum.StrEnum):
    """How one node stands, in one execution or in several."""

    NOT_REACHED = "not_reached"
    READY = "ready"
    RUNNING = "running"
    WAITING = "waiting"
    RETRYING = "retrying"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    COMPENSATING = "compensating"
    COMPENSATED = "compensated"
    COMPENSATION_FAILED = "compensation_failed"

    @property
    def words(self) -> str:
        """The state in words."""
        return _WORDS.get(self, self.value.replace("_", " "))


_WORDS = {
    State.SKIPPED: "not taken",
    State.READY: "ready for a worker",
    State.COMPENSATING: "being undone",
    State.COMPENSATED: "undone",
    State.COMPENSATION_FAILED: "could not be undone",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many members or items of a block there are, and how they stand."""

    total: int
    done: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def words(self) -> str:
        """The counts in words: ``12 of 500 done, 1 failed``."""
        parts = [f"{self.done:,} of {self.total:,} done"]
        if self.failed:
            parts.append(f"{self.failed:,} failed")
        if self.cancelled:
            parts.append(f"{self.cancelled:,} cancelled")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStanding:
    """How one node stands. ``words`` is one short line, ``detail`` says more.

    ``attempts`` counts those of the visit that was tried most often. ``counts`` is set
    for blocks with members or items.
    """

    state: State
    words: str = ""
    detail: str = ""
    attempts: int = 0
    counts: Counts | None = None

    @property
    def told(self) -> str:
        """What is written under the name: the words, or else the state."""
        return self.words or self.state.words


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How all nodes stand, by path; what is left out is not shown in any state.

    ``taken`` are the ways that were gone. ``gone`` are paths that were run and that the
    present code does not have.
    """

    nodes: Mapping[str, NodeStanding] = field(default_factory=dict)
    taken: frozenset[Way] = frozenset()
    gone: tuple[str, ...] = ()

    def at(self, path: str) -> NodeStanding | None:
        """Return how the node at ``path`` stands."""
        return self.nodes.get(path)
