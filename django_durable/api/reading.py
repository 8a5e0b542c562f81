"""Look at executions, and wait for their results."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from asgiref.sync import sync_to_async

from django_durable.api.references import ExecutionRef, WorkflowRef, id_of, name_of
from django_durable.conf import get_settings
from django_durable.exceptions import ExecutionFailed, ExecutionNotFound, WaitTimeout
from django_durable.models import Execution
from django_durable.store import queries
from django_durable.types import ExecutionStatus


def get_execution(
    execution: ExecutionRef,
    include_steps: bool = False,
    include_logs: bool = False,
    *,
    durable: str = "default",
) -> Execution:
    """Return an execution as it is now; ``ExecutionNotFound`` when there is none.

    ``include_steps`` loads its ``steps`` with it, in the order in which they began.
    ``include_logs`` loads the steps, the ``logs`` of the execution and those of each
    step, in the order in which they were written.
    """
    found = queries.find(
        id_of(execution),
        include_steps=include_steps,
        include_logs=include_logs,
        using=get_settings(durable).database,
    )
    if found is None:
        raise ExecutionNotFound(f"There is no execution {id_of(execution)}.")
    return found


def list_executions(
    workflow: WorkflowRef | None = None,
    status: str | Iterable[str] | None = None,
    queue: str | None = None,
    tag: str | None = None,
    limit: int = 50,
    offset: int = 0,
    *,
    durable: str = "default",
) -> list[Execution]:
    """Return executions, newest first. ``status`` is one or several."""
    found = queries.executions(
        workflow=name_of(workflow),
        status=status,
        queue=queue,
        tag=tag,
        using=get_settings(durable).database,
    )
    return list(found[offset : offset + limit])


def list_children(
    execution: ExecutionRef,
    status: str | Iterable[str] | None = None,
    *,
    durable: str = "default",
) -> list[Execution]:
    """Return the executions that an execution started, oldest first."""
    using = get_settings(durable).database
    found = queries.executions(status=status, parent=id_of(execution), using=using)
    return list(found.order_by("id"))


def wait_for_result(
    execution: ExecutionRef,
    timeout: timedelta | float | None = None,
    *,
    durable: str = "default",
) -> Any:
    """Block until an execution ends, and return its result.

    ``timeout`` is a timedelta or seconds. Raises ``WaitTimeout`` after it, and
    ``ExecutionFailed`` (``.status``, ``.error``) when the execution ended without a
    result. Do not call it in a transaction: it would not see the end.
    """
    for pause in _pauses(execution, timeout):
        found = get_execution(execution, durable=durable)
        if found.is_final:
            return _result(found)
        time.sleep(pause)
    raise AssertionError("unreachable: _pauses ends with WaitTimeout")


async def await_for_result(
    execution: ExecutionRef,
    timeout: timedelta | float | None = None,
    *,
    durable: str = "default",
) -> Any:
    """Wait, without blocking the event loop, until an execution ends."""
    for pause in _pauses(execution, timeout):
        found = await sync_to_async(get_execution)(execution, durable=durable)
        if found.is_final:
            return _result(found)
        await asyncio.sleep(pause)
    raise AssertionError("unreachable: _pauses ends with WaitTimeout")


def _pauses(
    execution: ExecutionRef, timeout: timedelta | float | None
) -> Iterator[float]:
    """Yield growing pauses between two looks; raise ``WaitTimeout`` after ``timeout``."""
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    end = None if seconds is None else time.monotonic() + seconds
    pause = 0.01
    while end is None or time.monotonic() < end:
        yield pause if end is None else max(0.0, min(pause, end - time.monotonic()))
        pause = min(pause * 1.5, 0.5)
    raise WaitTimeout(f"Execution {id_of(execution)} has not ended within {seconds} s.")


def _result(execution: Execution) -> Any:
    if execution.status == ExecutionStatus.COMPLETED:
        return execution.result
    error = execution.error or {}
    raise ExecutionFailed(
        f"{execution} is {execution.status}: {error.get('type')}: {error.get('message')}",
        status=execution.status,
        error=execution.error,
    )
