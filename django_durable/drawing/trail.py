"""Which ways an execution has gone, from what it has reached."""

from __future__ import annotations

from collections.abc import Sequence

from django_durable.definition.charts import END, START
from django_durable.definition.paths import items_of
from django_durable.drawing.ahead import Ahead, is_in, may_leave_no_trace
from django_durable.drawing.evidence import Evidence
from django_durable.drawing.jumps import Plan
from django_durable.drawing.parts import Part
from django_durable.drawing.standing import Way
from django_durable.types import ExecutionStatus

_Ends = Sequence[tuple[str, str]]
"""Kind and source of the lines that lead on from here, if they were gone."""


NO_ROUND, NO_MATCH, PERHAPS = "no round", "no match", "perhaps taken"


class Trail:
    """Walks the parts in order of execution.

    ``taken`` are the ways that were gone. ``skipped`` are the parts that can no longer be
    come to, because the way led past. ``passed`` are those that were gone through and
    left no trace, each with what is known about it: a loop without a round, a branch
    without a match, the case that must have been taken, or that may have been.
    """

    def __init__(self, evidence: Evidence, plan: Plan) -> None:
        self.evidence = evidence
        self.taken: set[Way] = set()
        self.passed: dict[str, str] = {}
        self.skipped: set[str] = set()
        self._ahead = Ahead(evidence.top)
        self._jumped_to: set[str] = set()
        self._targets: dict[str, list[str]] = {}
        for jump in plan.jumps:
            self._targets.setdefault(jump.source, []).append(jump.target)
        is_over = evidence.facts.status == ExecutionStatus.COMPLETED
        self._follow(evidence.top, [], is_over)

    def _follow(self, parts: Sequence[Part], ends: _Ends, is_left: bool) -> _Ends:
        """Follow parts one after the other; ``is_left``: their end was reached."""
        reached = [self.evidence.has_reached(part) for part in parts]
        last = max((i for i, found in enumerate(reached) if found), default=-1)
        for index, part in enumerate(parts):
            is_behind = is_left or index < last
            is_come_to = ends or part.path in self._jumped_to
            if reached[index] or (
                is_come_to and is_behind and may_leave_no_trace(part)
            ):
                self._take(ends, part.path, "flow")
                if not reached[index]:
                    self.passed[part.path] = NO_ROUND
                ends = self._through(part, is_behind)
            else:
                ends = []
            if not reached[index] and is_behind and not self._is_ahead(parts[:index]):
                self.skipped.update(inside.path for inside in part.walk())
        return ends

    def _is_ahead(self, before: Sequence[Part]) -> bool:
        """Say whether something stands before a part, and so may come to it yet."""
        return any(map(self.evidence.is_open, before))

    def _take(self, ends: _Ends, target: str, kind: str) -> None:
        for found, source in ends:
            # The way into a block, and the way past all cases, are called so wherever
            # they lead; others by what they lead to.
            keeps = found == "none" or (found == "enter" and kind == "flow")
            self.taken.add((found if keeps else kind, source, target))

    def _through(self, part: Part, is_behind: bool) -> _Ends:
        """Follow what is inside; return the ways on that were gone."""
        on = [("flow", part.path)]
        match part.node.kind:
            case "branch":
                return self._branch(part, is_behind)
            case "parallel":
                for member in part.columns:
                    if self.evidence.has_reached(member):
                        self._take([("enter", part.path)], member.path, "flow")
                        ends = self._through(member, self._has_left(member.path))
                        self._take(ends, part.path, "leave")
                return on if self.evidence.done(part.path) else []
            case "each":
                is_joined = bool(self.evidence.done(part.path))
                self._items(part, is_joined)
                return on if is_joined else []
            case "loop":
                # Where a second round has begun, one has come to its end.
                is_left = is_behind or self.evidence.rounds(part) > 1
                self._inside(part, is_left, "again")
                return on if is_behind else []
            case "lane":
                return on if self._inside(part, is_behind, "leave") else []
            case _:
                return on if self._has_gone_on(part.path) else []

    def _items(self, part: Part, is_joined: bool) -> None:
        items = items_of(part.path)
        if self.evidence.in_scope(items):
            self._inside(part, is_joined or self._has_left(items), "leave")
        else:
            # Without an item, what may leave no trace was not gone through either.
            self._follow(part.body, [], is_joined)

    def _inside(self, part: Part, is_left: bool, kind: str) -> _Ends:
        if not self.evidence.has_reached(part):
            return []
        ends = self._follow(part.body, [("enter", part.path)], is_left)
        self._take(ends, part.path, kind)
        return ends

    def _branch(self, part: Part, is_behind: bool) -> _Ends:
        taken = [case for case in part.columns if self.evidence.has_reached(case)]
        if not taken and is_behind:
            taken = self._guessed(part)
        ends: list[tuple[str, str]] = []
        for case in part.columns:
            if case in taken:
                self._take([("enter", part.path)], case.path, "flow")
                inside = self._follow(case.body, [("enter", case.path)], is_behind)
                self._take(inside, case.path, "leave")
                ends += [("flow", case.path)] if inside else []
            elif taken or is_behind:
                self.skipped.update(one.path for one in case.walk())
        if self.passed.get(part.path) == NO_MATCH:
            ends.append(("none", part.path))
        return ends

    def _guessed(self, part: Part) -> list[Part]:
        """Return the case of a branch that must have been taken, although it left no trace.

        There may be several that can do without one, and then nobody knows.
        """
        empty = [case for case in part.columns if may_leave_no_trace(case)]
        if not empty and part.may_match_nothing:
            self.passed[part.path] = NO_MATCH
            return []
        if len(empty) == 1 and not part.may_match_nothing:
            self.passed[part.path] = f"took {empty[0].node.name}"
            self.passed[empty[0].path] = ""
            return empty
        self.passed[part.path] = ""
        self.passed |= {case.path: PERHAPS for case in empty}
        return []

    def _has_left(self, scope: str) -> bool:
        """Say whether anything that runs the scope has come to its end."""
        return any(
            one.status == ExecutionStatus.COMPLETED
            for one in self.evidence.in_scope(scope)
        )

    def _has_gone_on(self, path: str) -> bool:
        """Say whether what follows a node was come to from it, and not by a jump."""
        if path == START:
            return self.evidence.facts.has_started
        if path == END or not self.evidence.done(path):
            return False
        targets = self._targets.get(path)
        if not targets:
            return True
        # All of them are looked at, for each may have gone another way.
        natural = [self._was_natural(path, targets, one) for one in self._after(path)]
        return True in natural

    def _was_natural(self, path: str, targets: Sequence[str], after: str) -> bool:
        """Say whether the way from a decision to ``after`` was no jump; note it if it was.

        What comes next there may have left no trace, and ``after`` stands behind it.
        """
        following = self._ahead.following(path)
        if after == path or (following is not None and is_in(after, following)):
            return True
        direct = [target for target in targets if is_in(after, target)]
        if not direct and self._ahead.may_lead(following, after):
            return True
        behind = (one for one in targets if self._ahead.may_lead(one, after))
        target = next(iter(direct), None) or next(behind, None)
        if target is None:
            return True
        self._jumped_to.add(target)
        self.taken.add(("jump", path, target))
        return False

    def _after(self, decision: str) -> set[str]:
        """Return where the execution was, or is, right after a decision."""
        found: set[str] = set()
        for source, after in self.evidence.facts.moves:
            if source == decision and after != decision:
                if after is not None:
                    found.add(after)
                else:
                    found.update(self._positions(decision))
        return found

    def _positions(self, decision: str) -> set[str]:
        """Return where those stand that have done nothing since.

        One that has completed stands at its last step still.
        """
        scope = self.evidence.scopes[decision]
        return {
            place
            for place, one in self.evidence.places(scope)
            if place != decision or one.status == ExecutionStatus.COMPLETED
        }
