"""The frozen graph of a workflow, and the way through it by path.

A path names a node by where it stands: ``route.invoice.extract``. It is made of names
only, so it stays true across deploys; an index in it (``until_ready[2].poll``) counts
a round or an item and does not choose another node.

A *scope* is what one execution runs: the whole workflow (``""``), or one member of a
``Parallel`` (its path) or one item of an ``Each`` (``recipients[3]``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property

from django_durable.definition.nodes import (
    BranchNode,
    CaseNode,
    EachNode,
    FanOutNode,
    LaneNode,
    LoopNode,
    Node,
    ParallelNode,
    Place,
    StepNode,
)
from django_durable.definition.paths import (
    index_of,
    join,
    round_of,
    split,
    template,
    without_index,
)


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A workflow as the engine sees it: options, and nodes in order of execution."""

    workflow: str
    nodes: tuple[Node, ...]
    timeout: timedelta | None = None
    queue: str = "default"
    priority: int = 0
    max_steps: int = 10_000
    input_form: type | None = None
    doc: str = ""
    _by_path: Mapping[str, Place] = field(init=False, repr=False)
    _names: Mapping[str, tuple[str, ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Index the nodes by path, and the names in each body by the body's."""
        index = {place.path: place for place in _walk(self.nodes)}
        object.__setattr__(self, "_by_path", index)
        names = {
            path: tuple(split(node.path)[1] for node in self._body(path))
            for path in ("", *index)
        }
        object.__setattr__(self, "_names", names)

    def find(self, path: str) -> Node | None:
        """Return the node at ``path``, or ``None`` when this code has none there."""
        place = self._by_path.get(template(path))
        return None if isinstance(place, CaseNode | LaneNode) else place

    def walk(self) -> Iterator[Node]:
        """Yield every node, blocks before what they hold."""
        for place in self._by_path.values():
            if not isinstance(place, CaseNode | LaneNode):
                yield place

    def paths(self) -> Iterator[str]:
        """Yield every path, without indices."""
        yield from self._by_path

    @cached_property
    def has_compensations(self) -> bool:
        """Whether any step can be undone."""
        return any(isinstance(node, StepNode) and node.undo for node in self.walk())

    def first(self, scope: str = "") -> str | None:
        """Return the path of the first node of a scope; ``None`` in an empty one."""
        place = self._by_path.get(template(scope))
        is_item = isinstance(place, EachNode) and index_of(scope) is not None
        if scope and not (is_item or isinstance(place, LaneNode)):
            return scope
        nodes = self._body(scope)
        return join(scope, split(nodes[0].path)[1]) if nodes else None

    def after(self, path: str, scope: str = "") -> str | None:
        """Return the path of what follows ``path``; ``None`` at the end of ``scope``."""
        if path == scope:
            return None
        around, name = split(path)
        names = self._names[template(around)]
        following = names.index(template(name)) + 1
        if following < len(names):
            return join(around, names[following])
        if around == scope:
            return None
        block = self._by_path[template(around)]
        if isinstance(block, LoopNode):
            return round_of(around, plus=1)
        return self.after(split(around)[0], scope)

    def enter(self, branch: str, case: CaseNode, scope: str = "") -> str | None:
        """Return the path of the first node of ``case``, or what follows the branch."""
        if not case.nodes:
            return self.after(branch, scope)
        inside = join(branch, split(case.path)[1])
        return join(inside, split(case.nodes[0].path)[1])

    def target(self, path: str, name: str) -> str | None:
        """Return the node called ``name`` in the block of ``path`` or one around it.

        A jump does not leave the member or the item that makes it.
        """
        around = split(path)[0]
        while not isinstance(self._by_path.get(template(around)), ParallelNode):
            if any(split(node.path)[1] == name for node in self._body(around)):
                return join(around, name)
            place = self._by_path.get(template(around))
            if not around or isinstance(place, LaneNode | EachNode):
                return None
            around = split(around)[0]
        return None

    def block_of(self, scope: str) -> FanOutNode | None:
        """Return the block that a lane of this scope is a member or an item of."""
        is_item = index_of(scope) is not None
        block = self.find(without_index(scope) if is_item else split(scope)[0])
        return block if isinstance(block, ParallelNode | EachNode) else None

    def has_scope(self, scope: str) -> bool:
        """Say whether this code has the member or the item that ``scope`` names."""
        place = self._by_path.get(template(scope))
        return not scope or (place is not None and self.block_of(scope) is not None)

    def iteration(self, path: str) -> int | None:
        """Return the number of the round, from 0, of the innermost loop around."""
        around = split(path)[0]
        while around:
            if isinstance(self._by_path.get(template(around)), LoopNode):
                return index_of(around)
            around = split(around)[0]
        return None

    def _body(self, around: str) -> tuple[Node, ...]:
        """Return the nodes of the block at ``around``, of which one follows the other."""
        if not around:
            return self.nodes
        block = self._by_path[template(around)]
        if isinstance(block, CaseNode | LaneNode | EachNode | LoopNode):
            return block.nodes
        return ()


def _walk(places: tuple[Place, ...]) -> Iterator[Place]:
    for place in places:
        yield place
        match place:
            case BranchNode(cases=inside) | ParallelNode(members=inside):
                yield from _walk(inside)
            case CaseNode() | LaneNode() | EachNode() | LoopNode():
                yield from _walk(place.nodes)


__all__ = ["Graph", "join", "split"]
