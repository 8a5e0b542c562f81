"""Facts -> how each node stands, and which ways were gone. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from django_durable.definition.charts import START, Chart
from django_durable.definition.paths import items_of
from django_durable.drawing.evidence import Evidence
from django_durable.drawing.facts import Facts, Standers
from django_durable.drawing.jumps import Plan
from django_durable.drawing.parts import Part, parts_of
from django_durable.drawing.standing import Counts, NodeStanding, Standing, State
from django_durable.drawing.trail import NO_ROUND, PERHAPS, Trail
from django_durable.drawing.wording import Wording, tally
from django_durable.types import ExecutionStatus

# What is most worth seeing comes first.
_OPEN = (
    State.COMPENSATING,
    State.RUNNING,
    State.RETRYING,
    State.WAITING,
    State.PAUSED,
    State.READY,
)
_ENDED = (State.FAILED, State.CANCELLED)


def judge(chart: Chart, facts: Facts, *, now: datetime) -> Standing:
    """Return how the nodes of a chart stand in the execution that the facts are about."""
    parts = parts_of(chart)
    evidence = Evidence(parts, facts)
    trail = Trail(evidence, Plan(chart, parts))
    judging = _Judge(evidence, trail, now)
    return Standing(
        nodes={part.path: judging.of(part) for one in parts for part in one.walk()},
        taken=frozenset(trail.taken),
        gone=evidence.unknown(),
    )


def judge_open(chart: Chart, standers: Iterable[Standers]) -> Standing:
    """Return how many open executions, and lanes of them, stand at each node."""
    parts = parts_of(chart)
    evidence = Evidence(parts, Facts(status="", has_started=False, standers=standers))
    nodes = {}
    for part in (part for one in parts for part in one.walk()):
        states = evidence.states(evidence.at(part.path))
        state = _first(states, _OPEN)
        if state:
            nodes[part.path] = NodeStanding(state=state, words=tally(states))
    return Standing(nodes=nodes, gone=evidence.unknown())


class _Judge:
    def __init__(self, evidence: Evidence, trail: Trail, now: datetime) -> None:
        self.evidence = evidence
        self.trail = trail
        self.wording = Wording(evidence, now)

    def of(self, part: Part) -> NodeStanding:
        """Return how a part stands."""
        if part.path in self.trail.passed:
            words = self.trail.passed[part.path]
            was_there = words not in (NO_ROUND, PERHAPS)
            state = State.COMPLETED if was_there else State.SKIPPED
            return NodeStanding(state=state, words=words)
        if part.path in self.trail.skipped:
            return NodeStanding(state=State.SKIPPED)
        if not self.evidence.has_reached(part):
            return NodeStanding(state=State.NOT_REACHED)
        return self._reached(part)

    def _reached(self, part: Part) -> NodeStanding:
        match part.node.kind:
            case "start":
                return self._start()
            case "end":
                return NodeStanding(state=State.COMPLETED)
            case "each" | "parallel":
                return self._fan(part)
            case "loop" | "case" | "lane":
                return self._frame(part)
            case "branch":
                return self._branch(part)
            case _:
                return self._step(part)

    def _start(self) -> NodeStanding:
        if self.evidence.facts.has_started:
            return NodeStanding(state=State.COMPLETED)
        states = self.evidence.states(self.evidence.at(START))
        state = _first(states, (*_OPEN, *_ENDED)) or State.READY
        return NodeStanding(state=state, words=self.wording.of_start(state))

    def _step(self, part: Part) -> NodeStanding:
        here = self.evidence.at(part.path)
        states = self._states(part, here)
        done, undone = self.evidence.done(part.path), self.evidence.undone(part.path)
        state = _first(states, (*_OPEN, *_ENDED))
        if state is None and self.evidence.has_undo_failed(part.path):
            state = State.COMPENSATION_FAILED
        elif state is None:
            state = State.COMPENSATED if undone else State.COMPLETED
        scope = self.evidence.scopes[part.path]
        is_many = _count(self.evidence.in_scope(scope)) > 1
        return NodeStanding(
            state=state,
            words=tally(states, done, undone)
            if is_many
            else self.wording.of(part, state, here),
            detail=self.wording.detail(part, state),
            attempts=self.evidence.attempts(part.path),
        )

    def _fan(self, part: Part) -> NodeStanding:
        """Judge a block by its lanes, and by the execution that waits for them."""
        members = [member.path for member in part.columns]
        scopes = members or [items_of(part.path)]
        lanes = [lane for scope in scopes for lane in self.evidence.in_scope(scope)]
        states = self.evidence.states(lanes)
        counts = Counts(
            total=_count(lanes),
            done=states[State.COMPLETED],
            failed=states[State.FAILED],
            cancelled=states[State.CANCELLED],
        )
        own = self._states(part, self.evidence.within(part))
        state = _first(states, _OPEN) or _first(own, (*_OPEN, *_ENDED))
        # Before it has opened its lanes, nobody knows how many there will be.
        otherwise = "" if state else "no items"
        return NodeStanding(
            state=state or State.COMPLETED,
            words=counts.words if counts.total else otherwise,
            counts=counts if counts.total else None,
        )

    def _frame(self, part: Part) -> NodeStanding:
        is_lane = part.node.kind == "lane"
        here = (
            self.evidence.in_scope(part.path) if is_lane else self.evidence.within(part)
        )
        states = self._states(part, here)
        state = _first(states, (*_OPEN, *_ENDED)) or State.COMPLETED
        words = ""
        if part.node.kind == "loop":
            words = self._rounds(part, is_open=state in _OPEN)
        elif is_lane and _count(here) > 1:
            words = tally(states, states[State.COMPLETED])
        return NodeStanding(state=state, words=words)

    def _branch(self, part: Part) -> NodeStanding:
        states = self.evidence.states(self.evidence.at(part.path))
        state = _first(states, (*_OPEN, *_ENDED)) or State.COMPLETED
        names = [
            case.node.name for case in part.columns if self.evidence.has_reached(case)
        ]
        words = f"took {', '.join(names)}" if names and state not in _OPEN else ""
        return NodeStanding(state=state, words=words)

    def _states(self, part: Part, here: Sequence[Standers]) -> Counter[State]:
        """Return how those stand that are here, and whether this is why all is undone."""
        states = self.evidence.states(here)
        facts = self.evidence.facts
        is_undoing = facts.status == ExecutionStatus.COMPENSATING
        if is_undoing and facts.failed_at in {one.path for one in part.walk()}:
            is_cancelled = facts.error_type == "cancelled"
            states[State.CANCELLED if is_cancelled else State.FAILED] += 1
        return states

    def _rounds(self, loop: Part, *, is_open: bool) -> str:
        count = self.evidence.rounds(loop)
        if not count:
            return ""
        if _count(self.evidence.in_scope(self.evidence.scopes[loop.path])) > 1:
            return f"up to {count:,} rounds"
        if is_open:
            return f"round {count:,}"
        return f"{count:,} {'round' if count == 1 else 'rounds'}"


def _first(states: Counter[State], order: Sequence[State]) -> State | None:
    return next((state for state in order if states[state]), None)


def _count(standers: Sequence[Standers]) -> int:
    return sum(one.count for one in standers)
