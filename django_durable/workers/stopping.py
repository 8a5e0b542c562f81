"""How a process is told to stop: by a signal, by its own work, or by its parent's end."""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT)

URGENT = signal.SIGQUIT
"""What a parent sends to a process of its own that is to stop now."""


class StopRequests:
    """Requests to stop, each a reason in words.

    ``parent`` is the id of the process without which this one does not go on.
    ``is_urgent``: a second signal has come, so nothing is waited for any longer. Where
    there is a parent, it says so: who stops a service often tells all of its processes,
    and what the parent then passes on would be taken for a second signal.
    """

    def __init__(self, parent: int | None = None) -> None:
        # A signal handler runs in the middle of whatever the main thread does, also of
        # its wait for the next request: of all queues only this one can take that.
        self._reasons: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._parent = parent
        self.is_urgent = False

    def add(self, reason: str) -> None:
        """Ask to stop."""
        self._reasons.put(reason)

    def wait(self, seconds: float) -> str | None:
        """Return the next reason; ``None`` when there is none within so many seconds."""
        if self._parent is not None and os.getppid() != self._parent:
            return "its parent process has ended"
        try:
            return self._reasons.get(timeout=seconds)
        except queue.Empty:
            return None

    @contextmanager
    def from_signals(self) -> Iterator[None]:
        """Take SIGTERM and Ctrl-C as requests; the third one kills the process.

        Signals are the main thread's: called in another one this changes nothing.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        signals = _SIGNALS if self._parent is None else (*_SIGNALS, URGENT)
        before = {number: signal.getsignal(number) for number in signals}
        came: list[int] = []

        def handle(number: int, _: FrameType | None) -> None:
            came.append(number)
            is_second = len(came) > 1 and self._parent is None
            self.is_urgent = self.is_urgent or is_second or number == URGENT
            self.add(signal.Signals(number).name)
            if self.is_urgent:
                _set_handlers(dict.fromkeys(signals, signal.SIG_DFL))

        _set_handlers(dict.fromkeys(signals, handle))
        try:
            yield
        finally:
            _set_handlers(before)


def _set_handlers(handlers: dict[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
