"""A graph as nodes and edges, for people: ``Workflow.graph()`` and its Mermaid text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django_durable.definition.graph import Graph
from django_durable.definition.nodes import (
    BranchNode,
    CaseNode,
    EachNode,
    LaneNode,
    LoopNode,
    ParallelNode,
    Place,
    StepNode,
)
from django_durable.definition.notes import note_on
from django_durable.definition.paths import split

# No node can be called so: a step may be called `start`.
START, END = "(start)", "(end)"


@dataclass(frozen=True, slots=True)
class ChartNode:
    """A node to draw. ``around`` is the path of the block that holds it, or empty.

    ``kind`` is that of the step, or ``branch``, ``case``, ``parallel``, ``lane``,
    ``each``, ``loop``, ``start``, ``end``. ``note`` is what stands under the name,
    ``when`` the answers that lead into a case. ``wait`` is what a ready-made node waits
    for: ``sleep``, ``event``, ``input`` or ``child``.
    """

    path: str
    name: str
    kind: str
    around: str = ""
    note: str = ""
    doc: str = ""
    when: str = ""
    is_default: bool = False
    wait: str = ""
    max_attempts: int = 1

    @property
    def is_block(self) -> bool:
        """Whether other nodes are drawn inside it."""
        return self.kind in ("case", "parallel", "lane", "each", "loop")


@dataclass(frozen=True, slots=True)
class ChartEdge:
    """A way from one node to another, by path. ``is_jump``: only where a decision says."""

    source: str
    target: str
    label: str = ""
    is_jump: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """The nodes and edges of a workflow, in order of execution."""

    workflow: str
    nodes: tuple[ChartNode, ...]
    edges: tuple[ChartEdge, ...]

    def to_mermaid(self) -> str:
        """Return the chart as a Mermaid flowchart."""
        numbers = {node.path: f"n{number}" for number, node in enumerate(self.nodes)}
        lines = ["flowchart TD", *self._drawn("", numbers, "    ")]
        for edge in self.edges:
            arrow = "-.->" if edge.is_jump else "-->"
            label = f"|{_text(edge.label)}|" if edge.label else ""
            source, target = numbers[edge.source], numbers[edge.target]
            lines.append(f"    {source} {arrow}{label} {target}")
        return "\n".join(lines) + "\n"

    def _drawn(
        self, around: str, numbers: dict[str, str], indent: str
    ) -> Iterator[str]:
        for node in self.nodes:
            if node.around != around:
                continue
            number, text = numbers[node.path], _text(node.name, node.note)
            if node.is_block:
                yield f"{indent}subgraph {number}[{text}]"
                yield from self._drawn(node.path, numbers, indent + "    ")
                yield f"{indent}end"
            else:
                opened, closed = _SHAPES.get(node.kind, ("[", "]"))
                yield f"{indent}{number}{opened}{text}{closed}"


_SHAPES = {
    "decision": ("{", "}"),
    "branch": ("{", "}"),
    "wait": ("([", "])"),
    "start": ("((", "))"),
    "end": ("((", "))"),
}


def _text(*parts: str) -> str:
    """Return a quoted label; what Mermaid would read as syntax is written as entities."""
    text = "<br>".join(
        "".join(c if c.isalnum() or c in " _.,:-()" else f"#{ord(c)};" for c in part)
        for part in parts
        if part
    )
    return f'"{text}"'


def chart_of(graph: Graph) -> Chart:
    """Return the chart of a graph."""
    drawing = _Drawing(graph)
    ends = drawing.sequence(graph.nodes, "", [(START, "")])
    nodes = [
        ChartNode(START, "start", "start"),
        *drawing.nodes,
        ChartNode(END, "end", "end"),
    ]
    edges = [
        *drawing.edges,
        *(ChartEdge(source, END, label) for source, label in ends),
        *_jumps(graph),
    ]
    return Chart(graph.workflow, tuple(nodes), tuple(edges))


Ends = Sequence[tuple[str, str]]
"""Where the drawing stands: paths to go on from, each with the label of that way."""


class _Drawing:
    """Collects nodes and edges while walking a graph in order of execution."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[ChartNode] = []
        self.edges: list[ChartEdge] = []

    def sequence(self, places: Sequence[Place], around: str, ends: Ends) -> Ends:
        """Draw nodes that follow each other; return where they end."""
        for place in places:
            ends = self.place(place, around, ends)
        return ends

    def place(self, place: Place, around: str, ends: Ends) -> Ends:
        match place:
            case BranchNode():
                return self._branch(place, around, ends)
            case ParallelNode(path=path, members=members):
                self._node(place, "parallel", around)
                return [
                    end for member in members for end in self.place(member, path, ends)
                ]
            case LaneNode(path=path, nodes=nodes):
                self._node(place, "lane", around)
                return self.sequence(nodes, path, ends)
            case EachNode(path=path, nodes=nodes):
                self._node(place, "each", around)
                return self.sequence(nodes, path, ends)
            case LoopNode(path=path, nodes=nodes):
                self._node(place, "loop", around)
                inside = self.sequence(nodes, path, ends)
                first = nodes[0].path
                self.edges += [ChartEdge(end, first, "again") for end, _ in inside]
                return [*inside, *((end, "no round") for end, _ in ends)]
            case StepNode(path=path, kind=kind):
                self._node(place, kind.value, around)
                self._arrive(path, ends)
                return [(path, "")]
            case CaseNode():
                raise AssertionError("cases are drawn with their branch")

    def _branch(self, branch: BranchNode, around: str, ends: Ends) -> Ends:
        self._node(branch, "branch", around)
        self._arrive(branch.path, ends)
        found: list[tuple[str, str]] = []
        for case in branch.cases:
            self._node(case, "case", around)
            ends = [(branch.path, _when(case))]
            found += self.sequence(case.nodes, case.path, ends)
        if not any(case.is_default for case in branch.cases):
            found.append((branch.path, "no match"))
        return found

    def _node(self, place: Place, kind: str, around: str) -> None:
        step = place if isinstance(place, StepNode) else None
        self.nodes.append(
            ChartNode(
                path=place.path,
                name=split(place.path)[1],
                kind=kind,
                around=around,
                note=note_on(place),
                doc="" if isinstance(place, CaseNode) else place.doc,
                when=_when(place) if isinstance(place, CaseNode) else "",
                is_default=isinstance(place, CaseNode) and place.is_default,
                wait=step.wait.kind if step and step.wait else "",
                max_attempts=step.retry.max_attempts if step else 1,
            )
        )

    def _arrive(self, path: str, ends: Ends) -> None:
        self.edges += [ChartEdge(source, path, label) for source, label in ends]


def _when(case: CaseNode) -> str:
    """Return the answers that lead into a case."""
    return "otherwise" if case.is_default else ", ".join(map(str, case.values))


def _jumps(graph: Graph) -> Iterator[ChartEdge]:
    for node in graph.walk():
        if isinstance(node, StepNode):
            for name in node.targets:
                target = graph.target(node.path, name)
                if target:
                    yield ChartEdge(node.path, _drawn_at(graph, target), name, True)


def _drawn_at(graph: Graph, path: str) -> str:
    """Return where an edge to ``path`` ends: a block is entered at its first node."""
    node = graph.find(path)
    match node:
        case LoopNode(nodes=nodes) | EachNode(nodes=nodes):
            return _drawn_at(graph, nodes[0].path)
        case ParallelNode(members=members):
            first = members[0]
            inside = first.nodes[0].path if isinstance(first, LaneNode) else first.path
            return _drawn_at(graph, inside)
        case _:
            return path
