"""Ask blocks what comes next: a branch its case, a loop its round, an each its items."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django_durable import codec
from django_durable.engine.actions import AskItems, AskLoop, Choose, GiveUp, OpenLanes
from django_durable.engine.planner import after_asking, after_choice, lanes_for_items
from django_durable.runtime import settling
from django_durable.runtime.run import Run
from django_durable.runtime.step_runner import ask_block, failure
from django_durable.store.moves import Move
from django_durable.types import StepKind

_KINDS = {
    Choose: StepKind.BRANCH,
    AskLoop: StepKind.LOOP,
    AskItems: StepKind.EACH,
}


def ask(run: Run, action: Choose | AskLoop | AskItems) -> Move | OpenLanes:
    """Return what the block's answer leads to; raises what user code raises."""
    assert run.graph is not None
    scope = run.claimed.scope
    match action:
        case Choose(path=path, node=node):
            answer = _answer(run, action, node.on)
            position = after_choice(run.graph, path, node, answer, scope)
            return settling.move_to(run, path, position)
        case AskLoop(path=path, node=node):
            answer = _answer(run, action, node.condition)
            following = after_asking(run.graph, action, answer, scope)
            if isinstance(following, GiveUp):
                return settling.move_for(run, following)
            return settling.move_to(run, path, following)
        case AskItems(path=path, node=node):
            items = list(_answer(run, action, node.items))
            encoded = codec.encode(items, name=f"items of {path}")
            return lanes_for_items(action, encoded)


def _answer(run: Run, action: Choose | AskLoop | AskItems, function: Any) -> Any:
    return ask_block(run.workflow, action.node.blocks, function, run.data, run.given)


def move_after_error(
    run: Run, action: Choose | AskLoop | AskItems, error: BaseException
) -> Move:
    """Return the move that fails an execution whose block could not answer."""
    told = failure(error, action.path).error
    if isinstance(action, Choose):
        told = replace(told, type="branch_error")
    kind = _KINDS[type(action)]
    return settling.move_from_broken_block(run, action.path, kind, told)
