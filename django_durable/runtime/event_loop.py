"""The event loop of a process, on which the coroutines of all its executions run."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import Context
from functools import partial
from queue import SimpleQueue
from typing import Any

from asgiref.sync import SyncToAsync, ThreadSensitiveContext
from django.db import connections

logger = logging.getLogger("django_durable.runtime")

_STUCK_SECONDS = 5.0
"""A loop that does not answer for so long gets no more coroutines."""

_TO_THREADS = 256

Result = Callable[[], Any]
"""Returns what a coroutine has returned, or raises what it has raised."""

Body = Coroutine[Any, Any, Any]


class EventLoop:
    """Runs coroutines in one thread, which starts with the first of them.

    A coroutine that blocks holds up the others, as everywhere in asyncio; those that
    come later get a new loop, once it has done so for long.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stuck: list[asyncio.AbstractEventLoop] = []
        self._asked_at: float | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(
        self, body: Body, surroundings: Context, on_end: Callable[[Result], None]
    ) -> Callable[[], None]:
        """Run ``body``; return what cancels it.

        ``on_end`` is called in the loop's thread.
        """
        with self._lock:
            loop = self._answering_loop()
            if self._asked_at is None:
                self._asked_at = time.monotonic()
        task: asyncio.Task[Result] | None = None

        def begin() -> None:
            nonlocal task
            self._asked_at = None
            task = loop.create_task(_run(body), context=surroundings)
            # The loop itself refers to its tasks weakly.
            self._tasks.add(task)
            # By then the surroundings are left, and others may enter them.
            task.add_done_callback(end)

        def end(task: asyncio.Task[Result]) -> None:
            self._tasks.discard(task)
            if task.cancelled():
                # Before it began.
                body.close()
                on_end(partial(_raise, asyncio.CancelledError()))
            else:
                on_end(task.result())

        def cancel() -> None:
            if task is not None:
                task.cancel()

        _call_soon(loop, begin)
        return partial(_call_soon, loop, cancel)

    def _answering_loop(self) -> asyncio.AbstractEventLoop:
        asked_at = self._asked_at
        is_stuck = asked_at and time.monotonic() - asked_at > _STUCK_SECONDS
        if self._loop is None or is_stuck:
            if self._loop is not None:
                self._stuck.append(self._loop)
                logger.warning(
                    "A coroutine has blocked the event loop for %d s: what others wait "
                    "for is late. Coroutines that begin now run on a new loop.",
                    _STUCK_SECONDS,
                )
            self._loop, self._asked_at = asyncio.new_event_loop(), None
            threading.Thread(
                target=_run_loop, args=[self._loop], name="durable-loop", daemon=True
            ).start()
        return self._loop

    def close(self) -> None:
        """End the thread; what still runs is left where it is."""
        with self._lock:
            loops = [loop for loop in (self._loop, *self._stuck) if loop is not None]
            self._loop, self._stuck = None, []
        for loop in loops:
            _call_soon(loop, loop.stop)


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    # For `asyncio.to_thread`; by default all would share a few more than there are cores.
    threads = ThreadPoolExecutor(_TO_THREADS, thread_name_prefix="durable-to-thread")
    loop.set_default_executor(threads)
    try:
        loop.run_forever()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        loop.close()
        connections.close_all()


def _call_soon(loop: asyncio.AbstractEventLoop, function: Callable[[], object]) -> None:
    # The loop is closed when the process ends at this very moment.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(function)


async def _run(body: Body) -> Result:
    """Await ``body``. An exit in it must not end the loop's thread."""
    try:
        value = await _with_thread_of_its_own(body)
    except BaseException as error:
        return partial(_raise, error)
    return lambda: value


def _raise(error: BaseException) -> Any:
    raise error


async def _with_thread_of_its_own(body: Body) -> Any:
    """Await ``body``, with a thread for what it asks ``sync_to_async`` to do.

    In the one that asgiref has for all, a call that blocks would hold up everybody's
    queries.
    """
    async with ThreadSensitiveContext() as context:
        thread = _Thread()
        SyncToAsync.context_to_thread_executor[context] = thread
        try:
            return await body
        finally:
            # Taken away from asgiref, which would wait for a call that hangs.
            SyncToAsync.context_to_thread_executor.pop(context, None)
            thread.shutdown()


class _Thread(Executor):
    """An executor of one thread, started when it is needed, with connections of its own.

    A daemon, unlike those of ``ThreadPoolExecutor``: a call that never returns does not
    keep the process.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]
        self._calls = SimpleQueue()
        self._is_started = False

    def submit(
        self, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        """Call ``function`` in the thread."""
        done: Future[Any] = Future()
        self._calls.put((done, partial(function, *args, **kwargs)))
        if not self._is_started:
            self._is_started = True
            threading.Thread(
                target=self._run, name="durable-async", daemon=True
            ).start()
        return done

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = False) -> None:
        """End the thread when it has done what it was asked to."""
        self._calls.put(None)

    def _run(self) -> None:
        try:
            while call := self._calls.get():
                done, function = call
                if done.set_running_or_notify_cancel():
                    _call(function, done)
        finally:
            connections.close_all()


def _call(function: Callable[[], Any], done: Future[Any]) -> None:
    try:
        value = function()
    except BaseException as error:
        done.set_exception(error)
    else:
        done.set_result(value)
