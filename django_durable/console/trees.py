"""What an execution has done, as the lines of a tree: steps, members, children."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

from django_durable.console.words import NOTHING, duration, moment
from django_durable.definition.paths import split, without_index
from django_durable.models import Execution, Step
from django_durable.types import StepKind

Line: TypeAlias = tuple[str, ...]
"""Step, status, attempt, started, took, note."""

_INDENT = "  "


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What belongs to an execution: the steps and lanes of all levels, its children."""

    steps: Sequence[Step]
    lanes: Sequence[Execution]
    children: Sequence[Execution]

    def steps_of(self, row: Execution) -> list[Step]:
        """Return the attempts that ``row``, an execution or a lane, made itself."""
        lane = row.pk if row.is_lane else None
        return [step for step in self.steps if step.lane == lane]

    def visits_of(self, row: Execution) -> dict[int, list[Execution]]:
        """Return the lanes and children that ``row`` waits or waited for, by visit."""
        found: dict[int, list[Execution]] = {}
        for one in (*self.lanes, *self.children):
            if one.awaited_by == row.pk and one.awaited_visit is not None:
                found.setdefault(one.awaited_visit, []).append(one)
        return found

    def unawaited(self) -> list[Execution]:
        """Return the children that nobody waits for."""
        return [child for child in self.children if child.awaited_by is None]


def tree(row: Execution, family: Family) -> list[Line]:
    """Return the lines of an execution, members and children under their step."""
    lines = list(_lines(row, family, 0))
    return [*lines, *(_child(child, 0) for child in family.unawaited())]


def _lines(row: Execution, family: Family, depth: int) -> Iterator[Line]:
    attempts = {
        sequence: list(steps)
        for sequence, steps in groupby(
            sorted(
                family.steps_of(row), key=lambda step: (step.sequence, step.attempt)
            ),
            key=lambda step: step.sequence,
        )
    }
    opened = family.visits_of(row)
    for sequence in sorted({*attempts, *opened}):
        made, members = attempts.get(sequence, []), opened.get(sequence, [])
        yield from (_attempt(step, depth) for step in made)
        if members and not made:
            yield _under_way(row, members, depth)
        for member in members:
            yield from _member(member, family, depth + 1)
    if not row.is_final and row.current_step and row.sequence not in opened:
        yield _position(row, depth)


def _member(member: Execution, family: Family, depth: int) -> Iterator[Line]:
    if not member.is_lane:
        yield _child(member, depth)
        return
    steps = family.steps_of(member)
    if steps and all(step.path == member.scope for step in steps):
        # A member that is one step says all by itself.
        yield from _lines(member, family, depth)
        return
    yield (
        _INDENT * depth + member.scope,
        member.status,
        NOTHING,
        moment(member.started_at),
        duration(member.duration),
        _reason(member),
    )
    yield from _lines(member, family, depth + 1)


def _attempt(step: Step, depth: int) -> Line:
    is_undo = step.kind == StepKind.COMPENSATION
    error = step.error or {}
    return (
        _INDENT * depth + step.path + " (undo)" * is_undo,
        step.status,
        str(step.attempt),
        moment(step.started_at),
        duration(step.duration),
        f"{error.get('type')}: {error.get('message')}" if error else "",
    )


def _under_way(row: Execution, members: Sequence[Execution], depth: int) -> Line:
    """Return the line of a block, or a call, that has not ended."""
    first = members[0]
    path = row.current_step
    if first.is_lane:
        is_item = without_index(first.scope) != first.scope
        path = without_index(first.scope) if is_item else split(first.scope)[0]
    return (_INDENT * depth + path, row.status, NOTHING, NOTHING, NOTHING, _reason(row))


def _position(row: Execution, depth: int) -> Line:
    """Return the line of where an open execution stands."""
    return (
        _INDENT * depth + row.current_step,
        row.status,
        str(row.attempt),
        moment(row.step_started_at),
        NOTHING,
        _reason(row),
    )


def _child(child: Execution, depth: int) -> Line:
    return (
        f"{_INDENT * depth}→ {child.workflow} {child.pk}",
        child.status,
        NOTHING,
        moment(child.started_at),
        duration(child.duration),
        _reason(child),
    )


def _reason(row: Execution) -> str:
    error = row.error or {}
    if error:
        return f"{error.get('type')}: {error.get('message')}"
    return f"waits for {row.waiting_for}" if row.waiting_for else ""
