"""Call user code, and turn whatever it does into an ``Outcome``."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Coroutine, Mapping
from contextvars import Context, copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db.transaction import TransactionManagementError

from django_durable import codec
from django_durable.definition.blocks import Block
from django_durable.definition.steps import Goto
from django_durable.definition.workflow import Workflow
from django_durable.engine.outcomes import (
    CancelledItself,
    Outcome,
    Raised,
    Returned,
    Snoozed,
    Suspended,
)
from django_durable.exceptions import (
    Cancel,
    ChildFailed,
    DefinitionError,
    Fail,
    InvalidStepReturn,
    MissingParameter,
    NotStorable,
    RetryAfter,
    Snooze,
    StepTimeout,
    SuspensionSwallowed,
    WaitTimeout,
)
from django_durable.runtime.asynchronous import run_coroutine
from django_durable.runtime.calls import Call
from django_durable.runtime.context import StepContext, Suspend
from django_durable.runtime.leftovers import OpenBlocks
from django_durable.runtime.parameters import Bound, bind, parameters_of
from django_durable.runtime.ready_steps import run_ready
from django_durable.runtime.watchdog import Attempt
from django_durable.types import ErrorInfo, Tree

_ENGINE_WORDS: tuple[tuple[type[BaseException], str, bool], ...] = (
    # What user code raised, the word it is stored as, and whether a retry may help.
    (MissingParameter, "missing_parameter", False),
    (InvalidStepReturn, "invalid_step_return", False),
    (NotStorable, "not_storable", False),
    (SuspensionSwallowed, "suspension_swallowed", False),
    (DefinitionError, "DefinitionError", False),
    (StepTimeout, "step_timeout", True),
    (WaitTimeout, "wait_timeout", True),
    (ChildFailed, "child_failed", True),
    (Fail, "failed", False),
)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A body that has been called and is a coroutine, still to be awaited.

    ``conclude`` makes an outcome of what it returns.
    """

    body: Coroutine[Any, Any, Any]
    surroundings: Context
    context: StepContext
    conclude: Callable[[Any], Outcome]


def run_step(
    workflow: type[Workflow],
    call: Call,
    context: StepContext,
    attempt: Attempt,
    surroundings: Context,
) -> Outcome | Unfinished:
    """Run one attempt of a body; what user code raises becomes an outcome."""
    blocks = OpenBlocks()
    begin = partial(surroundings.run, _begin, workflow, call, context)
    begun = _outcome(context, attempt, begin)
    if isinstance(begun, Unfinished):
        return begun
    attempt.leave_body()
    return _restored(blocks, begun, context)


def finish_here(unfinished: Unfinished, attempt: Attempt) -> Outcome:
    """Await a coroutine in this thread."""
    blocks = OpenBlocks()
    run = partial(unfinished.surroundings.run, run_coroutine, unfinished.body, attempt)
    outcome = finish(unfinished, attempt, run)
    attempt.leave_body()
    return _restored(blocks, outcome, unfinished.context)


def finish(
    unfinished: Unfinished, attempt: Attempt, result: Callable[[], Any]
) -> Outcome:
    """Return the outcome of a coroutine that has ended; ``result`` may raise."""

    def conclude() -> Outcome:
        return unfinished.surroundings.run(unfinished.conclude, result())

    found = _outcome(unfinished.context, attempt, conclude)
    assert not isinstance(found, Unfinished)
    return found


def _restored(blocks: OpenBlocks, outcome: Outcome, context: StepContext) -> Outcome:
    try:
        blocks.restore()
    except TransactionManagementError as error:
        return outcome if isinstance(outcome, Raised) else failure(error, context.step)
    return outcome


def _outcome(
    context: StepContext, attempt: Attempt, run: Callable[[], Outcome | Unfinished]
) -> Outcome | Unfinished:
    try:
        return run()
    except Suspend as suspension:
        return Suspended(request=suspension.request)
    except Snooze as snooze:
        return Snoozed(delay=snooze.delay)
    except Cancel as cancel:
        return CancelledItself(reason=codec.describe_exception(cancel)["message"])
    except BaseException as error:
        if is_interruption(error):
            attempt.leave_body()
            raise
        return failure(error, context.step)


def _begin(
    workflow: type[Workflow], call: Call, context: StepContext
) -> Outcome | Unfinished:
    node, tree = call.node, call.tree
    if call.passes is not None:
        return Returned(data={**tree, **call.passes}, output=call.passes)
    given = {**decoded(call.given), "ctx": context}
    if node.wait is not None:
        value = run_ready(node.wait, context, tree, given)
        return _returned(tree, None, context, value)
    assert node.function is not None
    context.index = call.given.get("index", context.index)
    if call.results is not None:
        given["results"] = call.results
    bound = bind(parameters_of(node.function), tree, given)
    value = node.function(owner(workflow, node.blocks), **bound.arguments)
    conclude = partial(_concluded, tree, bound, context)
    if inspect.iscoroutine(value):
        return Unfinished(value, copy_context(), context, conclude)
    return conclude(value)


def _concluded(tree: Tree, bound: Bound, context: StepContext, value: Any) -> Returned:
    if context.suspension is not None:
        raise SuspensionSwallowed(
            f"It waits for {context.suspension.request.sentence}, and the body caught the "
            "engine's suspension and went on. Catch Exception, not BaseException, and "
            "let a bare `except:` raise again."
        )
    return _returned(tree, bound, context, value)


def decoded(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what goes beside the data, as values."""
    return {
        name: codec.decode(tree, instances=codec.fetch_instance)
        for name, tree in given.items()
    }


def _returned(
    tree: Tree, bound: Bound | None, context: StepContext, value: Any
) -> Returned:
    """Return the outcome of a body that returned ``value``: what the data becomes."""
    goto = value if isinstance(value, Goto) else None
    merged = goto.data if goto else value
    if merged is not None and not isinstance(merged, Mapping):
        raise InvalidStepReturn(
            f"It returned {type(merged).__name__}. Return a mapping, which is merged over "
            "the data, or None."
        )
    before = tree
    if bound is not None and bound.data is not None:
        tree = codec.encode(bound.data, name="data")
    added = codec.encode(dict(merged), name="return value") if merged else {}
    tree = {**tree, **added}
    codec.check_size(tree, context.max_payload_bytes, "data")
    changed = {
        key: item
        for key, item in tree.items()
        if key in added or key not in before or not codec.is_same(before[key], item)
    }
    return Returned(data=tree, output=changed, goto=goto)


def failure(error: BaseException, path: str) -> Raised:
    """Return the outcome of an attempt that raised ``error``."""
    for kind, word, may_retry in _ENGINE_WORDS:
        if isinstance(error, kind):
            return Raised(
                error=_described(error, path, word),
                exception=error if may_retry and not _is_final(error) else None,
                is_timeout=isinstance(error, StepTimeout),
            )
    delay = error.delay if isinstance(error, RetryAfter) else None
    return Raised(error=_described(error, path, None), exception=error, delay=delay)


def _is_final(error: BaseException) -> bool:
    return isinstance(error, WaitTimeout) and error.is_final


def _described(error: BaseException, path: str, word: str | None) -> ErrorInfo:
    """Return the error as it is stored. What cannot be told of it is left out."""
    described = codec.describe_exception(error)
    details: Tree | None = None
    if isinstance(error, Fail) and error.details:
        try:
            details = codec.encode(error.details, name="details")
        except NotStorable as refused:
            details = {"not_storable": str(refused)}
    return ErrorInfo(
        word or described["type"],
        described["message"],
        path,
        described.get("traceback"),
        details,
    )


def ask_block(
    workflow: type[Workflow],
    blocks: tuple[type[Block], ...],
    function: Callable[..., Any],
    tree: Tree,
    given: Mapping[str, Any],
) -> Any:
    """Return what a block answers; raises what user code raises."""
    bound = bind(parameters_of(function), tree, decoded(given))
    return function(owner(workflow, blocks), **bound.arguments)


def owner(workflow: type[Workflow], blocks: tuple[type[Block], ...]) -> object:
    """Return what a body gets as ``self``: the workflow, or the block around it."""
    instance: object = workflow()
    for block in blocks:
        instance = block(instance)
    return instance


def is_interruption(error: BaseException) -> bool:
    """Say whether ``error`` is Ctrl-C in the main thread, which is nobody's failure."""
    is_main = threading.current_thread() is threading.main_thread()
    return isinstance(error, KeyboardInterrupt) and is_main
