"""Random workflows: as values, as real classes, and as what they ought to do.

A plan is a list of frozen nodes. ``build`` makes a workflow of it, ``Expected`` walks
it directly: no database, no lanes, no waiting.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from django_durable import (
    Branch,
    Case,
    Default,
    Each,
    Fail,
    Goto,
    Lane,
    Loop,
    Parallel,
    Retry,
    Workflow,
    decision,
    minutes,
    seconds,
    sleep,
    step,
    wait_for_event,
)

DELAY = minutes(5)
_PATIENT = Retry(max_attempts=4, base=seconds(1), jitter=0)


@dataclass(frozen=True)
class Do:
    """A step: how it ends, and how its compensation does (``None``: it has none)."""

    name: str
    ending: str
    undo: str | None


@dataclass(frozen=True)
class Jump:
    """A decision that goes on at a later node of the same list."""

    name: str
    target: str


@dataclass(frozen=True)
class Choose:
    """A branch whose answer is ``answer``; ``cases`` are numbered, the last one may be
    the default."""

    name: str
    answer: int
    cases: tuple[tuple[Any, ...], ...]
    has_default: bool


@dataclass(frozen=True)
class Rounds:
    """A loop; its first node counts the rounds."""

    name: str
    count: int
    nodes: tuple[Any, ...]


@dataclass(frozen=True)
class Fan:
    """A parallel block. A member that is a tuple is a lane."""

    name: str
    members: tuple[Any, ...]
    on_error: str


@dataclass(frozen=True)
class Items:
    """An each block over ``count`` items."""

    name: str
    count: int
    limit: int | None
    nodes: tuple[Any, ...]
    on_error: str


ENDINGS = st.sampled_from(
    ["return"] * 7 + ["once", "event", "sleep", "event", "sleep", "fail"]
)
UNDOS = st.sampled_from([None, "ok", "ok", "fail"])
ON_ERROR = st.sampled_from(["fail_fast", "complete_all"])


@st.composite
def plans(draw: Any, depth: int = 3) -> tuple[Any, ...]:
    """Return the nodes of a workflow, at most ``depth`` blocks deep."""
    names = (f"n{number}" for number in itertools.count())
    return _nodes(draw, names, depth, most=4)


def _nodes(
    draw: Any, names: Iterator[str], depth: int, *, most: int = 3
) -> tuple[Any, ...]:
    count = draw(st.integers(1, most))
    nodes = [_node(draw, names, depth) for _ in range(count)]
    if count > 1 and draw(st.integers(0, 5)) == 0:
        place = draw(st.integers(0, count - 1))
        target = nodes[draw(st.integers(place, count - 1))]
        nodes.insert(place, Jump(next(names), target.name))
    return tuple(nodes)


def _node(draw: Any, names: Iterator[str], depth: int) -> Any:
    kinds = ["do"] if depth == 0 else ["do", "do", "choose", "rounds", "fan", "items"]
    kind = draw(st.sampled_from(kinds))
    name = next(names)
    if kind == "do":
        return Do(name, draw(ENDINGS), draw(UNDOS))
    if kind == "choose":
        cases = [
            _nodes(draw, names, depth - 1, most=2)
            for _ in range(draw(st.integers(1, 2)))
        ]
        return Choose(name, draw(st.integers(0, 2)), tuple(cases), draw(st.booleans()))
    if kind == "rounds":
        counter = Do(next(names), "return", draw(UNDOS))
        nodes = (counter, *_nodes(draw, names, depth - 1, most=2))
        return Rounds(name, draw(st.integers(0, 2)), nodes)
    if kind == "fan":
        members = [
            _nodes(draw, names, depth - 1, most=2)
            if draw(st.booleans())
            else _node(draw, names, depth - 1)
            for _ in range(draw(st.integers(1, 3)))
        ]
        return Fan(name, tuple(members), draw(ON_ERROR))
    limit = draw(st.sampled_from([None, 1, 2]))
    nodes = _nodes(draw, names, depth - 1, most=2)
    return Items(name, draw(st.integers(0, 3)), limit, nodes, draw(ON_ERROR))


# --- As classes -----------------------------------------------------------------------

_numbers = itertools.count()


def build(plan: tuple[Any, ...]) -> type[Workflow]:
    """Return a registered workflow that is known as long as it is referred to."""
    name = f"Random{next(_numbers)}"
    body = _body(plan)
    return type(name, (Workflow,), {**body, "__qualname__": f"<locals>.{name}"})


def _body(nodes: tuple[Any, ...]) -> dict[str, Any]:
    body: dict[str, Any] = {"__module__": __name__}
    for node in nodes:
        body.update(_member(node))
    return body


def _member(node: Any) -> dict[str, Any]:
    match node:
        case Do():
            return {node.name: _step(node)}
        case Jump(name, target):
            return {name: _decision(name, target)}
        case Choose():
            return _class(node.name, Branch, _cases(node))
        case Rounds(name, count, nodes):
            return _class(name, Loop, {**_body(nodes), "condition": _below(node)})
        case Fan(name, members, on_error):
            body: dict[str, Any] = {"__module__": __name__}
            for number, member in enumerate(members):
                body |= (
                    _class(f"{name}_lane{number}", Lane, _body(member))
                    if isinstance(member, tuple)
                    else _member(member)
                )
            return _class(name, Parallel, body, on_error=on_error)
        case Items(name, count, limit, nodes, on_error):
            body = {**_body(nodes), "items": lambda self: (n for n in range(count))}
            return _class(name, Each, body, on_error=on_error, max_concurrency=limit)
    raise AssertionError(node)


def _class(name: str, base: type, body: dict[str, Any], **options: Any) -> Any:
    return {name: type(name, (base,), body, **options)}


def _cases(node: Choose) -> dict[str, Any]:
    body: dict[str, Any] = {
        "__module__": __name__,
        "on": lambda self: node.answer,
    }
    for number, nodes in enumerate(node.cases):
        inside = _body(nodes)
        if node.has_default and number == len(node.cases) - 1:
            body |= _class(f"case{number}", Default, inside)
        else:
            body |= _class(f"case{number}", Case, inside, when=number)
    return body


def _below(node: Rounds) -> Callable[..., bool]:
    counter = f"{node.nodes[0].name}_count"
    return lambda self, data: data.get(counter, 0) < node.count


def _step(node: Do) -> Any:
    def body(self: Any, ctx: Any, data: Any) -> Any:
        if node.ending == "fail":
            raise Fail(node.name)
        if node.ending == "once" and ctx.attempt == 1:
            raise ConnectionError(node.name)
        if node.ending == "event":
            wait_for_event(f"go_{node.name}")
        if node.ending == "sleep":
            sleep(DELAY)
        return _written(node.name, data, ctx.index)

    def undo(self: Any, ctx: Any, data: Any, error: Any) -> None:
        # What its own step gave lies over the data, wherever the step ran.
        assert data["last"] == node.name
        assert ctx.index == data.get("index")
        assert error["type"] in ("failed", "worker_lost")
        if node.undo == "fail":
            raise ValueError(f"undoing {node.name}")

    made = step(retry=_PATIENT)(body) if node.ending == "once" else step(body)
    if node.undo:
        made.compensate(undo)
    return made


def _decision(name: str, target: str) -> Any:
    def body(self: Any, ctx: Any, data: Any) -> Goto:
        return Goto(target, _written(name, data, ctx.index))

    return decision(targets=[target])(body)


def _written(name: str, data: dict[str, Any], index: int | None) -> dict[str, Any]:
    # A member's value is stored under its name, so this needs another one.
    changes = {f"{name}_count": data.get(f"{name}_count", 0) + 1, "last": name}
    return changes if index is None else {**changes, "index": index}


# --- As what they ought to do ---------------------------------------------------------


@dataclass(frozen=True)
class OneOf:
    """The error of a member: any of these steps may be the one that it names."""

    steps: frozenset[str]


@dataclass(frozen=True)
class Undoable:
    """A completed step with a compensation, and the members it stands in."""

    path: str
    undo: str
    members: tuple[tuple[str, str], ...]

    def follows_no_order_with(self, other: Undoable) -> bool:
        """Say whether both stand in different members of one block."""
        mine = dict(self.members)
        return any(
            block in mine and mine[block] != member for block, member in other.members
        )


@dataclass
class Trace:
    """What one execution has done: surely, and perhaps (in a cancelled sibling)."""

    surely: list[Undoable] = field(default_factory=list)
    perhaps: list[Undoable] = field(default_factory=list)

    def add(self, other: Trace) -> None:
        self.surely += other.surely
        self.perhaps += other.perhaps

    def add_perhaps(self, other: Trace) -> None:
        self.perhaps += [*other.surely, *other.perhaps]


class Failed(Exception):
    def __init__(self, steps: frozenset[str]) -> None:
        super().__init__(steps)
        self.steps = steps


class Expected:
    """Walks a plan; ``data``, ``trace`` and ``failure`` say what it comes to."""

    def __init__(
        self,
        data: dict[str, Any],
        index: int | None = None,
        members: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.data = dict(data)
        self.index = index
        self.members = members
        self.trace = Trace()
        self.failure: frozenset[str] = frozenset()

    def walk(self, nodes: tuple[Any, ...], around: str = "") -> Expected:
        """Walk the nodes of a workflow or a member to their end, or to a failure."""
        try:
            self._nodes(nodes, around)
        except Failed as failed:
            self.failure = failed.steps
        return self

    def _nodes(self, nodes: tuple[Any, ...], around: str) -> None:
        names = [node.name for node in nodes]
        position = 0
        while position < len(nodes):
            node = nodes[position]
            self._node(node, f"{around}.{node.name}" if around else node.name)
            is_jump = isinstance(node, Jump)
            position = names.index(node.target) if is_jump else position + 1

    def _node(self, node: Any, path: str) -> None:
        match node:
            case Do():
                if node.ending == "fail":
                    raise Failed(frozenset([path]))
                self.data |= _written(node.name, self.data, self.index)
                if node.undo:
                    done = Undoable(path, node.undo, self.members)
                    self.trace.surely.append(done)
            case Jump(name):
                self.data |= _written(name, self.data, self.index)
            case Choose():
                self._choose(node, path)
            case Rounds(nodes=nodes):
                number = 0
                while _below(node)(None, self.data):
                    self._nodes(nodes, f"{path}[{number}]")
                    number += 1
            case Fan():
                self._fan(node, path)
            case Items():
                self._items(node, path)

    def _choose(self, node: Choose, path: str) -> None:
        last = len(node.cases) - 1
        number = node.answer
        if number > last or (number == last and node.has_default):
            if not node.has_default:
                return
            number = last
        self._nodes(node.cases[number], f"{path}.case{number}")

    def _fan(self, node: Fan, path: str) -> None:
        lanes = {}
        for number, member in enumerate(node.members):
            if isinstance(member, tuple):
                name, nodes = f"{node.name}_lane{number}", member
                around = f"{path}.{name}"
            else:
                name, nodes, around = member.name, (member,), path
            inside = (*self.members, (path, name))
            lane = Expected(self.data, self.index, inside)
            lanes[name] = lane.walk(nodes, around)
        self._join(node, lanes)
        for name, lane in lanes.items():
            if not lane.failure:
                self.data[name] = lane.changes(self.data_before)

    def _items(self, node: Items, path: str) -> None:
        lanes = {}
        for index in range(node.count):
            inside = (*self.members, (path, str(index)))
            lane = Expected(self.data, index, inside)
            lanes[str(index)] = lane.walk(node.nodes, f"{path}[{index}]")
        self._join(node, lanes)
        values = [lane for lane in lanes.values() if not lane.failure]
        self.data[node.name] = [lane.changes(self.data_before) for lane in values]

    def _join(self, node: Fan | Items, lanes: dict[str, Expected]) -> None:
        self.data_before = dict(self.data)
        failed = [lane for lane in lanes.values() if lane.failure]
        if failed and node.on_error == "fail_fast":
            for lane in lanes.values():
                if failed == [lane]:
                    self.trace.add(lane.trace)
                else:
                    self.trace.add_perhaps(lane.trace)
            raise Failed(frozenset().union(*(lane.failure for lane in failed)))
        for lane in lanes.values():
            self.trace.add(lane.trace)
        errors = {
            name: OneOf(one.failure) for name, one in lanes.items() if one.failure
        }
        if errors:
            self.data[f"{node.name}_errors"] = errors

    def changes(self, before: dict[str, Any]) -> dict[str, Any]:
        """Return the keys that this member has added or changed."""
        return {
            key: value
            for key, value in self.data.items()
            if key not in before or before[key] != value
        }


def matches(expected: Any, actual: Any) -> bool:
    """Compare data; of an error only the step counts."""
    if isinstance(expected, OneOf):
        return actual["step"] in expected.steps
    if isinstance(expected, dict):
        return expected.keys() == actual.keys() and all(
            matches(expected[key], actual[key]) for key in expected
        )
    if isinstance(expected, list):
        return len(expected) == len(actual) and all(map(matches, expected, actual))
    return bool(expected == actual)
