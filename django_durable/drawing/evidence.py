"""Facts by the parts of a drawing: who stands where, and what was ever reached."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from django_durable.definition.charts import END, START
from django_durable.definition.paths import (
    index_of,
    items_of,
    split,
    template,
    without_items,
)
from django_durable.drawing.facts import Ended, Facts, OpenWait, Standers
from django_durable.drawing.parts import Part
from django_durable.drawing.standing import State
from django_durable.types import ExecutionStatus, StepKind, StepStatus

_FINAL = {
    ExecutionStatus.COMPLETED: State.COMPLETED,
    ExecutionStatus.CANCELLED: State.CANCELLED,
    ExecutionStatus.FAILED: State.FAILED,
    ExecutionStatus.COMPENSATED: State.FAILED,
    ExecutionStatus.COMPENSATION_FAILED: State.FAILED,
}
_OPEN = {
    ExecutionStatus.RUNNING: State.RUNNING,
    ExecutionStatus.WAITING: State.WAITING,
    ExecutionStatus.PAUSED: State.PAUSED,
    ExecutionStatus.COMPENSATING: State.COMPENSATING,
}


def state_of(one: Standers) -> State:
    """Return how an execution or a lane stands where it stands."""
    status = ExecutionStatus(one.status)
    if status in _FINAL:
        return _FINAL[status]
    if status in _OPEN:
        return _OPEN[status]
    if not one.is_told:
        return State.READY
    # Pending, and it is said what for: the next attempt, or the end of a snooze.
    return State.RETRYING if one.attempt > 1 else State.WAITING


_Fact = TypeVar("_Fact", Ended, OpenWait)


class Evidence:
    """The facts about an execution, by part.

    Every part belongs to a *scope*: that of the execution (``""``), a member of a
    parallel block or the items of an each. What stands at a part counts for it only
    within its scope: an execution that has failed names the step of the lane that did.
    """

    def __init__(self, parts: Sequence[Part], facts: Facts) -> None:
        self.facts = facts
        self.top = parts
        self.scopes: dict[str, str] = {}
        self._bodies: dict[str, tuple[Part, ...]] = {"": tuple(parts)}
        for part in parts:
            self._index(part, "")
        self._ended = _by_path(facts.ended)
        self._waits = _by_path(facts.waits)
        self._standers: dict[str, list[tuple[str, Standers]]] = {}
        for one in facts.standers:
            place = one.path or self._first_place(one)
            self._standers.setdefault(one.scope, []).append((place, one))
        self._marks = set(self._marked())
        self._reached: dict[str, bool] = {}
        for part in parts:
            self._look(part)

    def has_reached(self, part: Part) -> bool:
        """Say whether the part, or anything in it, was ever come to."""
        return self._reached[part.path]

    def ended(self, path: str) -> list[Ended]:
        """Return the attempts that ended at a node."""
        return self._ended.get(path, [])

    def waits(self, path: str) -> list[OpenWait]:
        """Return the open waits at a node."""
        return self._waits.get(path, [])

    def done(self, path: str) -> int:
        """Return how many visits of a node have been completed."""
        return sum(
            one.count
            for one in self.ended(path)
            if one.status == StepStatus.COMPLETED and one.kind != StepKind.COMPENSATION
        )

    def undone(self, path: str) -> int:
        """Return how many visits of a node have been undone."""
        return sum(
            one.count for one in self._undos(path) if one.status == StepStatus.COMPLETED
        )

    def has_undo_failed(self, path: str) -> bool:
        """Say whether a visit of a node could not be undone."""
        return bool(self._undos(path)) and self.undone(path) < self.done(path)

    def attempts(self, path: str) -> int:
        """Return the number of attempts that the most difficult visit has taken."""
        return max(
            (
                one.attempts
                for one in self.ended(path)
                if one.kind != StepKind.COMPENSATION
            ),
            default=0,
        )

    def _undos(self, path: str) -> list[Ended]:
        return [one for one in self.ended(path) if one.kind == StepKind.COMPENSATION]

    def in_scope(self, scope: str) -> list[Standers]:
        """Return all that runs a scope."""
        return [one for _, one in self._standers.get(scope, [])]

    def at(self, path: str) -> list[Standers]:
        """Return what stands at a node."""
        return [
            one
            for place, one in self._standers.get(self.scopes.get(path, ""), [])
            if place == path
        ]

    def within(self, part: Part) -> list[Standers]:
        """Return what stands at a part or in it, of the scope that the part is in."""
        paths = {inside.path for inside in part.walk()}
        return [
            one
            for place, one in self._standers.get(self.scopes[part.path], [])
            if place in paths
        ]

    def is_open(self, part: Part) -> bool:
        """Say whether something stands at a part or in it, and may go on from there."""
        return any(one.status not in _FINAL for one in self.within(part))

    def rounds(self, loop: Part) -> int:
        """Return how many rounds of a loop have begun: where there were most."""
        indices = [
            one.last_index
            for part in _in_rounds(loop)
            for one in self.ended(part.path)
            if one.last_index is not None
        ]
        indices += [
            index
            for one in self.within(loop)
            for index in _indices(one.position, loop.path)
        ]
        return max(indices, default=-1) + 1

    def states(self, standers: Sequence[Standers]) -> Counter[State]:
        """Return how many of them stand how."""
        states: Counter[State] = Counter()
        for one in standers:
            state = state_of(one)
            if state is State.FAILED and self.facts.error_type == "cancelled":
                # It was cancelled, and undone then.
                state = State.CANCELLED
            states[state] += one.count
        return states

    def places(self, scope: str) -> Iterator[tuple[str, Standers]]:
        """Yield what runs a scope, each with the path at which it stands."""
        yield from self._standers.get(scope, [])

    def unknown(self) -> tuple[str, ...]:
        """Return paths at which something has ended or stands, and that are not drawn."""
        return tuple(sorted(mark for mark in self._marks if mark not in self.scopes))

    def _index(self, part: Part, scope: str) -> None:
        self.scopes[part.path] = scope
        inside = items_of(part.path) if part.node.kind == "each" else scope
        if part.node.kind in ("lane", "each"):
            self._bodies[inside] = part.body
        for child in part.body:
            self._index(child, inside)
        for child in part.columns:
            is_member = part.node.kind == "parallel"
            self._index(child, child.path if is_member else inside)

    def _first_place(self, one: Standers) -> str:
        """Return where something stands whose first step has not ended."""
        body = self._bodies.get(one.scope, ())
        if one.scope and not body:
            # A member that is no lane is its own first node.
            return without_items(one.scope)
        if one.status in (ExecutionStatus.RUNNING, ExecutionStatus.FAILED):
            return next((part.path for part in body if part.path != START), "")
        return START if not one.scope and not self.facts.has_started else ""

    def _marked(self) -> Iterator[str]:
        yield from self._ended
        for scope, standers in self._standers.items():
            if scope:
                yield without_items(scope)
            yield from (place for place, _ in standers if place)
        if self.facts.failed_at:
            yield self.facts.failed_at
        if self.facts.has_started:
            yield START
        if self.facts.status == ExecutionStatus.COMPLETED:
            yield END

    def _look(self, part: Part) -> bool:
        # Not `any`, which would stop at the first one.
        inside = [self._look(child) for child in (*part.body, *part.columns)]
        found = part.path in self._marks or True in inside
        self._reached[part.path] = found
        return found


def _by_path(facts: Iterable[_Fact]) -> dict[str, list[_Fact]]:
    found: dict[str, list[_Fact]] = {}
    for fact in facts:
        found.setdefault(fact.path, []).append(fact)
    return found


def _in_rounds(block: Part) -> Iterator[Part]:
    """Yield what is in a loop and whose last index therefore is that of the round."""
    for part in (*block.body, *block.columns):
        yield part
        if part.node.kind not in ("loop", "each"):
            yield from _in_rounds(part)


def _indices(position: str, loop: str) -> list[int]:
    """Return the round of a loop in which a position with indices is."""
    while position:
        if template(position) == loop:
            return [index for index in [index_of(position)] if index is not None]
        position = split(position)[0]
    return []
