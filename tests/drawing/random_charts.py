"""Charts of random workflows: blocks in blocks, with jumps wherever one may lead."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from django_durable import (
    Branch,
    Case,
    Default,
    Each,
    Lane,
    Loop,
    Parallel,
    Sleep,
    Workflow,
    days,
    decision,
    step,
)
from django_durable.definition.charts import Chart

_KINDS = ["step"] * 4 + ["jump", "jump", "sleep", "branch", "loop", "parallel", "each"]
_WORDS = ["n", "a_step_with_a_name_that_is_rather_long_", "x" * 60]


@st.composite
def charts(draw: Any, depth: int = 3, most: int = 5) -> Chart:
    """Return the chart of a workflow, with blocks at most ``depth`` deep."""
    words = draw(st.sampled_from(_WORDS))
    names = (f"{words}{number}" for number in itertools.count())
    body = _body(draw, names, depth, most, ())
    return type("Random", (Workflow,), body, abstract=True).graph()


def _body(
    draw: Any, names: Iterator[str], depth: int, most: int, around: tuple[str, ...]
) -> dict[str, Any]:
    """Return a body; ``around`` are the names that a jump may lead to besides its own."""
    own = list(itertools.islice(names, draw(st.integers(1, most))))
    return {"__module__": __name__} | {
        name: _node(draw, name, names, depth, (*own, *around)) for name in own
    }


def _node(
    draw: Any, name: str, names: Iterator[str], depth: int, targets: tuple[str, ...]
) -> Any:
    kind = draw(st.sampled_from(_KINDS if depth else _KINDS[:7]))
    if kind == "step":
        return step(lambda self: None)
    if kind == "sleep":
        return Sleep(days(draw(st.integers(1, 400))))
    if kind == "jump":
        wanted = st.lists(st.sampled_from(targets), min_size=1, max_size=3, unique=True)
        return decision(targets=draw(wanted))(lambda self: None)
    if kind == "loop":
        inside = _body(draw, names, depth - 1, 3, targets)
        return type(name, (Loop,), {**inside, "condition": lambda self: False})
    if kind == "each":
        inside = _body(draw, names, depth - 1, 3, ())
        return type(name, (Each,), {**inside, "items": lambda self: []})
    if kind == "branch":
        return type(name, (Branch,), _cases(draw, names, depth, targets))
    return type(name, (Parallel,), _members(draw, names, depth))


def _cases(
    draw: Any, names: Iterator[str], depth: int, targets: tuple[str, ...]
) -> dict[str, Any]:
    body: dict[str, Any] = {"__module__": __name__, "on": lambda self: None}
    for number in range(draw(st.integers(1, draw(st.sampled_from([2, 3, 9]))))):
        case = next(names)
        is_empty = draw(st.integers(0, 5)) == 0
        inside = {} if is_empty else _body(draw, names, depth - 1, 2, targets)
        inside["__module__"] = __name__
        body[case] = type(case, (Case,), inside, when=number)
    if draw(st.booleans()):
        inside = _body(draw, names, depth - 1, 2, targets)
        body["other"] = type("other", (Default,), inside)
    return body


def _members(draw: Any, names: Iterator[str], depth: int) -> dict[str, Any]:
    body: dict[str, Any] = {"__module__": __name__}
    for _ in range(draw(st.integers(1, draw(st.sampled_from([2, 3, 12]))))):
        name = next(names)
        if draw(st.booleans()):
            inside = _body(draw, names, depth - 1, 3, ())
            body[name] = type(name, (Lane,), inside)
        else:
            # A step that is a member cannot jump anywhere.
            body[name] = step(lambda self: None)
    return body
