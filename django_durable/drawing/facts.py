"""What the tables say about an execution, gathered by place: a few rows, however much it
has done. Paths are without indices, so they name nodes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Attempts that ended alike at one node. ``attempts`` is the highest number.

    ``last_index`` is the highest index of the innermost loop or each around.
    """

    path: str
    kind: str
    status: str
    count: int = 1
    attempts: int = 1
    last_index: int | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standers:
    """Executions and lanes that stand alike at one node.

    ``scope`` is the path of the member that they run, or what stands for the items of a
    block (``paths.items_of``), as the block may be a member itself; it is empty for an
    execution. ``path`` is empty before the first step has ended. ``position`` is the
    path of one of them with its indices. ``is_told``: it is said what they wait for.
    """

    scope: str
    path: str
    status: str
    count: int = 1
    attempt: int = 1
    position: str = ""
    is_told: bool = False
    due: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWait:
    """Open waits at one node: the first moment at which one of them ends."""

    path: str
    kind: str
    count: int = 1
    sentence: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known about one execution and its lanes.

    ``failed_at`` is the node that its
    error names. ``moves`` are pairs of nodes of which one was visited right after the
    other; ``None`` comes after the last one.
    """

    status: str
    has_started: bool = True
    due: datetime | None = None
    error_type: str = ""
    error_message: str = ""
    failed_at: str = ""
    ended: Iterable[Ended] = ()
    standers: Iterable[Standers] = ()
    waits: Iterable[OpenWait] = ()
    moves: frozenset[tuple[str, str | None]] = frozenset()
