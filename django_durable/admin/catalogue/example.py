"""An input to begin with, made of what the first step of a workflow asks for."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django_durable import clock, codec
from django_durable.definition.graph import Graph
from django_durable.definition.nodes import (
    BranchNode,
    EachNode,
    LaneNode,
    LoopNode,
    Node,
    ParallelNode,
    StepNode,
)
from django_durable.definition.paths import split
from django_durable.exceptions import NotStorable
from django_durable.types import Tree

_GIVEN = {"data", "ctx", "results", "item", "index", "error"}


def example_of(graph: Graph) -> Tree:
    """Return an input with the keys that are asked for first, as it is stored."""
    tree: Tree = {}
    for function, known in _first(graph.nodes):
        for name, parameter in list(inspect.signature(function).parameters.items())[1:]:
            if name not in _GIVEN | known:
                tree.setdefault(name, _value(parameter))
    return tree


Asked = tuple[Callable[..., Any], frozenset[str]]


def _first(nodes: Sequence[Node | LaneNode]) -> Iterator[Asked]:
    """Yield the functions that may run first, and what the nodes before have given.

    Ready-made waits are passed over: what they wait for lands under their name.
    """
    known: frozenset[str] = frozenset()
    for node in nodes:
        if isinstance(node, StepNode) and node.wait:
            known |= {split(node.path)[1]}
            continue
        match node:
            case ParallelNode(members=members):
                for member in members:
                    yield from _first([member])
            case LaneNode(nodes=inside):
                yield from _first(inside)
            case _:
                yield _asking(node), known
        return


def _asking(node: Node | LaneNode) -> Callable[..., Any]:
    match node:
        case BranchNode(on=function) | EachNode(items=function):
            return function
        case LoopNode(condition=function) | StepNode(function=function) if function:
            return function
        case _:
            raise AssertionError(f"{node} runs nothing")


_EXAMPLES: Mapping[str, Callable[[], Any]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "list": list,
    "dict": dict,
    "Sequence": list,
    "Mapping": dict,
    "Decimal": lambda: Decimal("0.00"),
    "date": lambda: clock.now().date(),
    "datetime": lambda: clock.now().replace(minute=0, second=0, microsecond=0),
    "time": lambda: time(12),
    "timedelta": lambda: timedelta(hours=1),
    "UUID": lambda: UUID(int=0),
}


def _value(parameter: inspect.Parameter) -> Any:
    """Return the default of a parameter, or an empty value of the type it names."""
    if parameter.default is not inspect.Parameter.empty:
        try:
            return codec.encode(parameter.default)
        except NotStorable:
            return None
    make = _EXAMPLES.get(_type_name(parameter.annotation))
    return codec.encode(make()) if make else None


def _type_name(annotation: Any) -> str:
    """Return ``date`` for ``datetime.date | None``, ``list`` for ``list[str]``."""
    is_text = isinstance(annotation, str)
    name = annotation if is_text else getattr(annotation, "__name__", str(annotation))
    return re.split(r"[\[|]", name)[0].strip().rpartition(".")[2]
