"""Short lines on how nodes stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from django_durable.definition.durations import brief
from django_durable.drawing.evidence import Evidence, state_of
from django_durable.drawing.facts import Ended, Standers
from django_durable.drawing.moments import clock_or_day
from django_durable.drawing.parts import Part
from django_durable.drawing.standing import State
from django_durable.types import StepKind, StepStatus

_ORDER = (
    State.FAILED,
    State.RUNNING,
    State.COMPENSATING,
    State.RETRYING,
    State.WAITING,
    State.PAUSED,
    State.READY,
    State.CANCELLED,
)
_MOST_MESSAGE = 300


def tally(states: Counter[State], done: int = 0, undone: int = 0) -> str:
    """Return how many stand how: ``480 done, 8 failed, 12 running``."""
    counts = [
        (done, "done"),
        *((states[state], _adjective(state)) for state in _ORDER),
        (undone, "undone"),
    ]
    return ", ".join(f"{count:,} {what}" for count, what in counts if count)


def _adjective(state: State) -> str:
    return "ready" if state is State.READY else state.words


class Wording:
    """Says of single nodes how they stand, at the instant ``now``."""

    def __init__(self, evidence: Evidence, now: datetime) -> None:
        self.evidence = evidence
        self.now = now

    def of(self, part: Part, state: State, here: Sequence[Standers]) -> str:
        """Return one short line about a node at which one thing stands, or has stood."""
        standing = next((one for one in here if state_of(one) is state), None)
        match state:
            case State.RUNNING:
                return self._attempt(part, standing) if standing else ""
            case State.RETRYING if standing:
                at = (
                    f" at {clock_or_day(standing.due, self.now)}"
                    if standing.due
                    else ""
                )
                return f"{self._attempt(part, standing)}{at}"
            case State.WAITING:
                return self._until(part, standing)
            case State.FAILED:
                return self._fault(part)
            case State.COMPLETED:
                return self._took(part)
            case _:
                return ""

    def of_start(self, state: State) -> str:
        """Return one short line about an execution that has not started yet."""
        due = self.evidence.facts.due
        is_later = due is not None and due > self.now
        if due is None or not is_later or state not in (State.READY, State.WAITING):
            return ""
        return f"starts {clock_or_day(due, self.now)}"

    def detail(self, part: Part, state: State) -> str:
        """Return what is worth telling besides."""
        if state in (State.WAITING, State.PAUSED):
            waits = self.evidence.waits(part.path)
            return f"waits for {waits[0].sentence}" if waits else ""
        if state is State.FAILED and self._is_faulty(part):
            return self.evidence.facts.error_message[:_MOST_MESSAGE]
        return ""

    def _attempt(self, part: Part, standing: Standers) -> str:
        if standing.attempt <= 1:
            return ""
        most = part.node.max_attempts
        of = f" of {most}" if most >= standing.attempt else ""
        return f"attempt {standing.attempt}{of}"

    def _until(self, part: Part, standing: Standers | None) -> str:
        waits = self.evidence.waits(part.path)
        until = min((one.until for one in waits if one.until), default=None)
        if until is None and not waits and standing:
            until = standing.due
        return f"until {clock_or_day(until, self.now)}" if until else ""

    def _is_faulty(self, part: Part) -> bool:
        return self.evidence.facts.failed_at == part.path

    def _fault(self, part: Part) -> str:
        facts = self.evidence.facts
        if not self._is_faulty(part) or not facts.error_type:
            return ""
        # Of a raised `Fail` the reason says more than its type.
        is_own = facts.error_type == "failed" and facts.error_message
        return f"failed: {facts.error_message if is_own else facts.error_type}"

    def _took(self, part: Part) -> str:
        visits = _completed(self.evidence.ended(part.path))
        count = sum(one.count for one in visits)
        if count > 1:
            return f"completed {count:,} times"
        for one in visits:
            if one.started_at and one.completed_at:
                return f"completed in {brief(one.completed_at - one.started_at)}"
        return ""


def _completed(ended: Sequence[Ended]) -> list[Ended]:
    return [
        one
        for one in ended
        if one.status == StepStatus.COMPLETED and one.kind != StepKind.COMPENSATION
    ]
