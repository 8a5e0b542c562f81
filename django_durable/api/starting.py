"""Start executions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django_durable import codec, forms
from django_durable.api.references import WorkflowRef, workflow_of
from django_durable.conf import get_settings
from django_durable.definition.workflow import Workflow
from django_durable.exceptions import InvalidInput
from django_durable.models import Execution
from django_durable.store import executions
from django_durable.store.executions import NewExecution
from django_durable.types import LONGEST, MAX_PRIORITY, Tree


def start(
    workflow: WorkflowRef,
    input: Mapping[str, Any] | None = None,  # noqa: A002
    *,
    queue: str | None = None,
    priority: int | None = None,
    scheduled_at: datetime | None = None,
    idempotency_key: str | None = None,
    tags: Iterable[str] = (),
    timeout: timedelta | None = None,
    durable: str = "default",
) -> Execution:
    """Start an execution of ``workflow``, the class or its name.

    A second start of a workflow with the same ``idempotency_key`` returns the first
    execution, with ``created`` set to ``False``. Raises ``UnknownWorkflow``,
    ``InvalidInput``, and ``NotStorable`` for what the input cannot hold.
    """
    settings = get_settings(durable)
    new = new_execution(
        workflow_of(workflow),
        input,
        max_bytes=settings.max_payload_bytes,
        queue=queue,
        priority=priority,
        scheduled_at=scheduled_at,
        idempotency_key=idempotency_key,
        tags=tags,
        timeout=timeout,
    )
    return executions.create(new, using=settings.database)


def start_many(
    workflow: WorkflowRef,
    inputs: Iterable[Mapping[str, Any] | None],
    *,
    durable: str = "default",
    **options: Any,
) -> list[Execution]:
    """Start one execution per input, in a constant number of statements.

    ``options`` are those of ``start`` but for ``idempotency_key``, and hold for all.
    """
    if "idempotency_key" in options:
        raise TypeError(
            "start_many() takes no idempotency_key, for one key cannot name several "
            "executions. Call start() for each."
        )
    found = workflow_of(workflow)
    settings = get_settings(durable)
    new = _without_input(found, **options)
    max_bytes = settings.max_payload_bytes
    trees = [_encoded(found, one, max_bytes) for one in inputs]
    return executions.create_many(new, trees, using=settings.database)


def new_execution(
    workflow: type[Workflow],
    input: Mapping[str, Any] | None,  # noqa: A002
    *,
    max_bytes: int,
    **options: Any,
) -> NewExecution:
    """Return what ``start`` asks the store for, after validating it."""
    new = _without_input(workflow, **options)
    return replace(new, input=_encoded(workflow, input, max_bytes))


def _encoded(
    workflow: type[Workflow],
    input: Mapping[str, Any] | None,  # noqa: A002
    max_bytes: int,
) -> Tree:
    tree: Tree = codec.encode(_validated(workflow, input), name="input")
    codec.check_size(tree, max_bytes, "input")
    return tree


def _without_input(
    workflow: type[Workflow],
    *,
    queue: str | None = None,
    priority: int | None = None,
    scheduled_at: datetime | None = None,
    idempotency_key: str | None = None,
    tags: Iterable[str] = (),
    timeout: timedelta | None = None,
) -> NewExecution:
    graph = workflow.definition
    if scheduled_at is not None and not _is_aware(scheduled_at):
        raise ValueError(f"scheduled_at={scheduled_at!r}: give an aware datetime.")
    if isinstance(tags, str):
        raise TypeError(f"tags={tags!r}: give a list, such as [{tags!r}].")
    return NewExecution(
        workflow=graph.workflow,
        position=graph.first() or "",
        input={},
        queue=codec.check_name(queue or graph.queue, "queue", limit=100),
        priority=graph.priority if priority is None else _priority(priority),
        scheduled_at=scheduled_at,
        idempotency_key=_key(idempotency_key),
        tags=[codec.check_name(str(tag), "tag") for tag in tags],
        timeout=graph.timeout if timeout is None else _timeout(timeout),
    )


def _priority(priority: int) -> int:
    if not isinstance(priority, int):
        raise TypeError(f"priority={priority!r}: give a whole number.")
    if abs(priority) > MAX_PRIORITY:
        raise ValueError(
            f"priority={priority}: give a number up to {MAX_PRIORITY:,}, or down to its "
            "negative."
        )
    return priority


def _timeout(timeout: timedelta) -> timedelta:
    """Return a timeout that every database can add to its clock.

    What it cannot, it would refuse to the worker who claims the execution, and with it
    the whole queue.
    """
    if not isinstance(timeout, timedelta):
        raise TypeError(f"timeout={timeout!r}: give a timedelta, such as hours(2).")
    if not timedelta(0) < timeout <= LONGEST:
        raise ValueError(
            f"timeout={timeout!r}: give a positive timedelta of at most 100 years."
        )
    return timeout


def _is_aware(moment: object) -> bool:
    return isinstance(moment, datetime) and moment.tzinfo is not None


def _key(idempotency_key: object) -> str | None:
    if idempotency_key is None:
        return None
    return codec.check_name(
        str(idempotency_key), "idempotency_key", limit=codec.MAX_KEY
    )


def _validated(
    workflow: type[Workflow],
    input: Mapping[str, Any] | None,  # noqa: A002
) -> dict[str, Any]:
    """Return the input as the workflow's form cleans it, if it has one."""
    if input is not None and not isinstance(input, Mapping):
        raise InvalidInput(
            f"The input of {workflow.definition.workflow} is {type(input).__name__}; give "
            "a mapping, which becomes the data of the first step."
        )
    given = {} if input is None else input
    form_class: Any = workflow.definition.input_form
    if form_class is None:
        return dict(given)
    what = f"input of {workflow.definition.workflow}"
    return forms.clean_input(form_class, given, what=what)
