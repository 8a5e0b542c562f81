"""``async def`` bodies, and blocking writes asked for from inside one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import AsyncToSync, async_to_sync
from django.db import close_old_connections

from django_durable.exceptions import StepTimeout
from django_durable.runtime.watchdog import Attempt

P = ParamSpec("P")
T = TypeVar("T")

# Blocking database work may not run in a thread that runs an event loop.
_writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="durable-async-writes")


def run_coroutine(body: Coroutine[Any, Any, Any], attempt: Attempt) -> Any:
    """Run an ``async def`` body to its end; a timeout of ``attempt`` cancels it."""

    async def run() -> Any:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def cancel() -> None:
            # The loop is closed when the body ends at this very moment.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(task.cancel)

        attempt.interrupt = cancel
        try:
            return await body
        except asyncio.CancelledError:
            if attempt.timed_out:
                raise StepTimeout("The step took longer than its timeout.") from None
            raise

    return async_to_sync(run)()


def outside_event_loop(
    function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Return ``function(…)``, called in another thread when this one runs a loop.

    That is the thread that waits for the loop, where there is one: it may have begun
    the transaction that all of this is part of.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return function(*args, **kwargs)
    call = partial(function, *args, **kwargs)
    done = _submit_to_waiting_thread(call) or _writer.submit(_on_own_connection, call)
    return done.result()


def _submit_to_waiting_thread(call: Callable[[], T]) -> Future[T] | None:
    waiting = getattr(AsyncToSync.executors, "current", None)
    try:
        return waiting.submit(call) if waiting is not None else None
    except RuntimeError:
        # It is this thread, or it does not wait any more.
        return None


def _on_own_connection(call: Callable[[], T]) -> T:
    close_old_connections()
    try:
        return call()
    finally:
        close_old_connections()
