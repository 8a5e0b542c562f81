"""What one run of a body is given: the data, and what goes beside it by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django_durable import codec
from django_durable.definition.nodes import EachNode, FanOutNode, StepNode
from django_durable.engine.actions import RunStep
from django_durable.engine.joining import Result, default_join, name_of
from django_durable.engine.state import Member
from django_durable.runtime.persisting import persist
from django_durable.runtime.run import Run
from django_durable.store.history import seen_by
from django_durable.types import Tree


@dataclass(frozen=True, slots=True)
class Call:
    """One run of the body of ``node``.

    ``tree`` is the encoded data. ``given`` are parameters besides its keys, encoded
    but for ``results``. ``passes`` is what a node without a body adds to the data.
    """

    node: StepNode
    tree: Tree
    given: Mapping[str, Any] = field(default_factory=dict)
    results: Any = None
    passes: Tree | None = None


def call_for(run: Run, step: RunStep) -> Call:
    """Return what the body of ``step`` is given."""
    if step.undoes is not None:
        return _undo(run, step)
    if step.members is None:
        return Call(step.node, run.data, run.given)
    assert run.graph is not None
    block = run.graph.find(step.path)
    assert isinstance(block, FanOutNode)
    if step.node.function is None:
        joined = default_join(block, step.members)
        return Call(step.node, run.data, run.given, passes=joined)
    results = _results(block, step.members)
    return Call(step.node, run.data, run.given, results=results)


def _undo(run: Run, step: RunStep) -> Call:
    """A compensation sees the data with the output of its own step laid over it."""
    assert step.undoes is not None
    done, using = step.undoes, run.lease.using
    data, given = persist(lambda: seen_by(done.id, run.data, using=using), using=using)
    return Call(step.node, data, {**given, "error": run.failure})


def _results(block: FanOutNode, members: Sequence[Member]) -> Any:
    """Return the results by name, or as a list in the order of the items."""
    results = {name_of(member): _result(member) for member in members}
    return list(results.values()) if isinstance(block, EachNode) else results


def _result(member: Member) -> Result:
    if not member.is_completed:
        return Result(ok=False, value=None, error=member.error)
    value = codec.decode(member.value, instances=codec.fetch_instance)
    return Result(ok=True, value=value, error=None)
