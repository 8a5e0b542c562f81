"""Class bodies -> a graph, with every mistake found on the way.

The order of a body is the order of execution. A subclass inherits the nodes and
overrides one by name, in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, overload

from django_durable.definition.blocks import (
    Block,
    Branch,
    Case,
    Default,
    Each,
    FanOut,
    Lane,
    Loop,
    Parallel,
)
from django_durable.definition.graph import Graph
from django_durable.definition.nodes import (
    BranchNode,
    CaseNode,
    EachNode,
    LaneNode,
    LoopNode,
    Node,
    ParallelNode,
    StepNode,
    Undo,
    is_same,
)
from django_durable.definition.paths import blocks_around, join
from django_durable.definition.retry import ONCE, Retry
from django_durable.definition.steps import Compensation, Step
from django_durable.definition.waits import WaitNode
from django_durable.exceptions import DefinitionError
from django_durable.types import MAX_PATH, StepKind

Blocks = tuple[type[Block], ...]

_INDEX_LENGTH = len("[9999999]")
_NAME = re.compile(r"[A-Za-z_]\w*\Z")


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake in a definition: its id, where, what is wrong, what would be right."""

    id: str
    where: str
    fault: str
    hint: str

    def __str__(self) -> str:
        return f"{self.id}: {self.where}: {self.fault} {self.hint}"


def snake_case(name: str) -> str:
    """Return ``HTTPCheck`` as ``http_check``."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return parted.lower()


def members(owner: type) -> dict[str, Any]:
    """Return the nodes in the body of ``owner`` and its bases, by attribute, in order."""
    found: dict[str, Any] = {}
    for base in reversed(owner.__mro__):
        for name, value in vars(base).items():
            if _is_node(value):
                found[name] = value
            elif name in found and value is None:
                del found[name]
            elif name in found:
                raise DefinitionError(
                    f"durable.E009: {owner.__qualname__}.{name} replaces a node by "
                    f"{type(value).__name__}. Decorate it (@step), or set it to None to "
                    "leave the node out."
                )
    return found


def _is_node(value: object) -> bool:
    if isinstance(value, type):
        return issubclass(value, Block) and not value.is_kind
    return isinstance(value, Step | WaitNode)


class Compiler:
    """Builds the nodes of one workflow and collects what is wrong with them."""

    def __init__(self, workflow: type, default_retry: Retry | None) -> None:
        self.workflow = workflow
        self.default_retry = default_retry or ONCE
        self.problems: list[Problem] = []

    def problem(self, number: str, path: str, fault: str, hint: str) -> None:
        """Note a mistake at ``path``."""
        where = (
            f"{self.workflow.__qualname__}.{path}"
            if path
            else self.workflow.__qualname__
        )
        self.problems.append(Problem(f"durable.{number}", where, fault, hint))

    @overload
    def nodes(
        self, owner: type, around: str = "", blocks: Blocks = ()
    ) -> tuple[Node, ...]: ...
    @overload
    def nodes(
        self, owner: type, around: str, blocks: Blocks, *, lanes: Literal[True]
    ) -> tuple[Node | LaneNode, ...]: ...
    def nodes(
        self, owner: type, around: str = "", blocks: Blocks = (), *, lanes: bool = False
    ) -> tuple[Node | LaneNode, ...]:
        """Return the nodes in the body of ``owner``, which stands at ``around``."""
        built: dict[str, Node | LaneNode] = {}
        for attribute, member in members(owner).items():
            name = _node_name(attribute, member)
            path = join(around, name)
            if not _NAME.match(name):
                self.problem(
                    "E017",
                    path,
                    f"{name!r} cannot be a name.",
                    "Use letters, digits and _.",
                )
            elif name in built:
                self.problem(
                    "E004",
                    path,
                    "two nodes of one block have this name.",
                    "Rename one, or give it name=.",
                )
            elif lanes and _is_lane(member):
                nodes = self.body(path, member, (*blocks, member))
                built[name] = LaneNode(path=path, nodes=nodes, doc=first_line(member))
            elif node := self.node(path, member, blocks):
                built[name] = node
        return tuple(built.values())

    def node(self, path: str, member: Any, blocks: Blocks) -> Node | None:
        """Return the graph's node for one member of a body."""
        if isinstance(member, Step):
            return self.step(path, member, blocks)
        if isinstance(member, WaitNode):
            return StepNode(path=path, kind=StepKind.WAIT, wait=member)
        if issubclass(member, Case | Default | Lane):
            around = "Parallel" if issubclass(member, Lane) else "Branch"
            self.problem(
                "E016",
                path,
                f"a {member.__mro__[1].__name__} stands outside a {around}.",
                f"Move it into a class that descends from {around}.",
            )
            return None
        return self.block(path, member, (*blocks, member))

    def block(self, path: str, block: type[Block], blocks: Blocks) -> Node:
        """Return the node of a nested class; ``blocks`` ends with that class."""
        if issubclass(block, Parallel):
            return self.parallel(path, block, blocks)
        if issubclass(block, Each):
            return self.each(path, block, blocks)
        if issubclass(block, Loop):
            return self.loop(path, block, blocks)
        assert issubclass(block, Branch)
        return self.branch(path, block, blocks)

    def step(self, path: str, step: Step, blocks: Blocks) -> StepNode:
        """Return the node of a decorated method."""
        return StepNode(
            path=path,
            kind=step.kind,
            function=step.function,
            retry=step.retry or self.default_retry,
            timeout=step.timeout,
            atomic=step.atomic,
            queue=step.queue,
            targets=step.targets,
            undo=self.undo(step.compensation),
            blocks=blocks,
            doc=first_line(step.function),
        )

    def undo(self, compensation: Compensation | None) -> Undo | None:
        """Return how the step is undone, if it can be."""
        if compensation is None:
            return None
        return Undo(
            function=compensation.function,
            retry=compensation.retry or self.default_retry,
        )

    def defined(self, path: str, block: type[Block], method: str, hint: str) -> Any:
        """Return a method that this sort of block cannot do without."""
        function = getattr(block, method)
        if function.__module__ == Block.__module__:
            self.problem("E006", path, f"the block has no `{method}`.", hint)
        return function

    def parallel(
        self, path: str, block: type[Parallel], blocks: Blocks
    ) -> ParallelNode:
        """Return the node of a ``Parallel`` with its members."""
        members = self.nodes(block, path, blocks, lanes=True)
        if not members:
            self.problem(
                "E007", path, "the block has no members.", "Add steps or lanes."
            )
        return ParallelNode(
            path=path,
            members=members,
            on_error=block.on_error,
            join=self.join(path, StepKind.PARALLEL, block, blocks),
            blocks=blocks,
            doc=first_line(block),
        )

    def each(self, path: str, block: type[Each], blocks: Blocks) -> EachNode:
        """Return the node of an ``Each`` with its body."""
        hint = "Define `def items(self, data)` that returns a list."
        return EachNode(
            path=path,
            items=self.defined(path, block, "items", hint),
            nodes=self.body(path, block, blocks),
            max_concurrency=block.max_concurrency,
            on_error=block.on_error,
            join=self.join(path, StepKind.EACH, block, blocks),
            blocks=blocks,
            doc=first_line(block),
        )

    def loop(self, path: str, block: type[Loop], blocks: Blocks) -> LoopNode:
        """Return the node of a ``Loop`` with its body."""
        hint = "Define `def condition(self, data)`, which is asked before each round."
        return LoopNode(
            path=path,
            condition=self.defined(path, block, "condition", hint),
            nodes=self.body(path, block, blocks),
            max_iterations=block.max_iterations,
            blocks=blocks,
            doc=first_line(block),
        )

    def body(self, path: str, block: type[Block], blocks: Blocks) -> tuple[Node, ...]:
        """Return the nodes of a block that is nothing without any."""
        nodes = self.nodes(block, path, blocks)
        if not nodes:
            self.problem("E007", path, "the block has no nodes.", "Add a step.")
        return nodes

    def join(
        self, path: str, kind: StepKind, block: type[FanOut], blocks: Blocks
    ) -> StepNode:
        """Return the step that joins the results of a block, at the block's own path."""
        return StepNode(
            path=path,
            kind=kind,
            function=block.join,
            retry=self.default_retry,
            blocks=blocks,
        )

    def branch(self, path: str, block: type[Branch], blocks: Blocks) -> BranchNode:
        """Return the node of a ``Branch`` with its cases."""
        hint = "Define `def on(self, data)` that returns the value to choose by."
        on = self.defined(path, block, "on", hint)
        cases = tuple(self.cases(path, block, blocks))
        if not cases:
            self.problem(
                "E007",
                path,
                "the branch has no cases.",
                "Add `class Name(Case, when=…)`.",
            )
        if sum(case.is_default for case in cases) > 1:
            self.problem("E008", path, "the branch has two defaults.", "Keep one.")
        seen: list[Any] = []
        for case in cases:
            for value in case.values:
                if any(is_same(value, other) for other in seen):
                    self.problem(
                        "E008",
                        case.path,
                        f"when={value!r} is taken already.",
                        "Remove one.",
                    )
                seen.append(value)
        return BranchNode(
            path=path, on=on, cases=cases, blocks=blocks, doc=first_line(block)
        )

    def cases(
        self, path: str, block: type[Branch], blocks: Blocks
    ) -> Iterator[CaseNode]:
        """Yield the cases in the body of a branch."""
        for attribute, member in members(block).items():
            name = _node_name(attribute, member)
            if not (isinstance(member, type) and issubclass(member, Case | Default)):
                self.problem(
                    "E007",
                    join(path, name),
                    "a branch holds cases only.",
                    "Move it into a `class …(Case, when=…)`.",
                )
                continue
            values = member.when if issubclass(member, Case) else ()
            is_default = issubclass(member, Default)
            if not is_default and not values:
                self.problem(
                    "E008",
                    join(path, name),
                    "the case has no `when`.",
                    "Write `class Name(Case, when=value)`, or descend from Default.",
                )
            yield CaseNode(
                path=join(path, name),
                values=values,
                is_default=is_default,
                nodes=self.nodes(member, join(path, name), (*blocks, member)),
            )

    def check_lengths(self, graph: Graph) -> None:
        """Note a path that would not fit where it is stored, indices included."""
        for path in graph.paths():
            indices = sum(
                isinstance(graph.find(around), EachNode | LoopNode)
                for around in blocks_around(path)
            )
            if len(path) + indices * _INDEX_LENGTH > MAX_PATH:
                self.problem(
                    "E019",
                    path,
                    f"its path is too long: {len(path)} characters, and "
                    f"{indices} indices.",
                    "Give the blocks around it shorter names, or nest less deeply.",
                )
                return

    def check_targets(self, graph: Graph) -> None:
        """Note the targets of decisions that do not exist."""
        for node in graph.walk():
            if not isinstance(node, StepNode):
                continue
            if node.kind is StepKind.DECISION and not node.targets:
                self.problem(
                    "E005", node.path, "targets is empty.", "Use @step instead."
                )
            for target in node.targets:
                if graph.target(node.path, target) is None:
                    self.problem(
                        "E005",
                        node.path,
                        f"the target {target!r} does not exist.",
                        "Name a node of the same block or of one around it.",
                    )


def _is_lane(member: Any) -> bool:
    return isinstance(member, type) and issubclass(member, Lane)


def _node_name(attribute: str, member: Any) -> str:
    if isinstance(member, Step) and member.name:
        return member.name
    return snake_case(attribute) if isinstance(member, type) else attribute


def first_line(documented: object) -> str:
    """Return the first line of a docstring, empty without one."""
    doc = getattr(documented, "__doc__", None) or ""
    return doc.strip().partition("\n")[0]
