"""Frozen snapshots of what is stored, as the planner sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django_durable.types import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A lane of a block that has been fanned out: how it stands, or ended.

    ``value`` holds the keys it added or changed, ``error`` why it failed.
    """

    path: str
    is_open: bool
    is_completed: bool
    value: Tree = field(default_factory=dict)
    error: Tree | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A completed step, or (``undoes`` set) an ended compensation of one."""

    id: UUID
    path: str
    is_completed: bool = True
    undoes: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionState:
    """Where one leased execution stands.

    ``scope`` is what it runs: the whole workflow (``""``), a member or an item.
    ``position`` is the path of the node to run next, or ``None`` before the first.
    ``has_begun``: a step has ended, or one has stored a durable call.
    ``sequence`` counts the step visits that ended. ``attempt`` is the number of the
    attempt that runs or comes next at this position, from 1. ``queue`` is where it
    was claimed, ``home_queue`` where it was started. ``is_expired`` says that the
    workflow's timeout has passed on the database's clock. ``members`` are set once the
    block at ``position`` has been fanned out. ``failure`` is set while it compensates,
    and ``history`` then tells, latest ended first, what was done and undone.
    """

    position: str | None
    has_begun: bool = True
    scope: str = ""
    sequence: int = 0
    attempt: int = 1
    queue: str = "default"
    home_queue: str = "default"
    is_expired: bool = False
    members: Sequence[Member] | None = None
    failure: Tree | None = None
    history: Sequence[Done] = ()
