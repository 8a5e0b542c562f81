"""What may come next after a part, where something in between leaves no trace.

A loop without a round and a branch without a match are gone through and write nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from django_durable.drawing.parts import Part


def may_leave_no_trace(part: Part) -> bool:
    """Say whether the tables may be the same as if the part had not been gone through."""
    match part.node.kind:
        case "loop":
            return True
        case "branch":
            return part.may_match_nothing or any(map(may_leave_no_trace, part.columns))
        case "case":
            return all(map(may_leave_no_trace, part.body))
        case _:
            return False


def is_in(path: str, around: str) -> bool:
    """Say whether a node is another one, or inside of it."""
    return path == around or path.startswith(f"{around}.")


class Ahead:
    """Which part follows which, in its body and out of it."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts: dict[str, Part] = {}
        self._following: dict[str, str | None] = {}
        self._index(parts, None)

    def following(self, path: str) -> str | None:
        """Return what comes after a part, ``None`` at the end of what runs it.

        After the last part of a round that is the loop itself, which asks again.
        """
        return self._following[path]

    def may_lead(self, path: str | None, place: str) -> bool:
        """Say whether ``place`` may be the first trace of going on at ``path``."""
        seen: set[str] = set()
        while path is not None and path not in seen:
            seen.add(path)
            if is_in(place, path):
                return True
            if not may_leave_no_trace(self._parts[path]):
                return False
            path = self._following[path]
        return False

    def _index(self, parts: Sequence[Part], after: str | None) -> None:
        following = [*(part.path for part in parts[1:]), after]
        for part, then in zip(parts, following, strict=False):
            self._place(part, then)

    def _place(self, part: Part, then: str | None) -> None:
        self._parts[part.path] = part
        self._following[part.path] = then
        match part.node.kind:
            case "branch":
                for case in part.columns:
                    self._place(case, then)
            case "case":
                self._index(part.body, then)
            case "loop":
                self._index(part.body, part.path)
            case _:
                # A lane ends with the last part in it.
                self._index(part.body, None)
                for member in part.columns:
                    self._place(member, None)
