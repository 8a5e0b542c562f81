"""Several worker processes, and the parent that starts them anew when one dies."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from dataclasses import dataclass

from django.conf import settings

from django_durable.workers.options import Options
from django_durable.workers.stopping import URGENT, StopRequests

logger = logging.getLogger("django_durable.workers")

_LOOK_SECONDS = 0.2
_LONGEST_PAUSE = 30.0
_STABLE_AFTER = 60.0
_KILL_AFTER = 10.0


@dataclass(slots=True)
class _Child:
    """One place for a process: who is in it, or when the next one is started."""

    process: subprocess.Popen[bytes] | None = None
    failures: int = 0
    started_at: float = 0.0
    starts_at: float = 0.0
    is_done: bool = False


class Processes:
    """Runs ``options.processes`` worker processes until asked to stop, or all are idle.

    They are fresh interpreters: nothing is inherited, no connection and no thread.
    """

    def __init__(
        self, options: Options, requests: StopRequests, *, verbosity: int
    ) -> None:
        self._options = options
        self._requests = requests
        self._command = _command(options, verbosity)
        self._children = [_Child() for _ in range(options.processes)]

    def run(self) -> bool:
        """Keep the processes running; ``False`` when one ended badly after the request."""
        try:
            reason = None
            while reason is None and not all(child.is_done for child in self._children):
                for child in self._children:
                    self._tend(child)
                reason = self._requests.wait(_LOOK_SECONDS)
            if reason:
                logger.info("The workers stop: %s.", reason)
            return self._stop()
        finally:
            for process in self._running():
                process.kill()

    def _running(self) -> list[subprocess.Popen[bytes]]:
        processes = [child.process for child in self._children if child.process]
        return [process for process in processes if process.poll() is None]

    def _tend(self, child: _Child) -> None:
        """Start a child whose time has come, and notice when one has ended."""
        now = time.monotonic()
        if child.process is None:
            if not child.is_done and now >= child.starts_at:
                child.process, child.started_at = _start(self._command), now
            return
        code = child.process.poll()
        if code is None:
            return
        child.process = None
        child.is_done = self._options.until_idle and code == 0
        if not child.is_done:
            self._note_death(child, code, now)

    def _note_death(self, child: _Child, code: int, now: float) -> None:
        if now - child.started_at > _STABLE_AFTER:
            child.failures = 0
        pause = min(2.0**child.failures, _LONGEST_PAUSE) if child.failures else 0.0
        child.failures += 1
        child.starts_at = now + pause
        logger.error(
            "A worker process ended unexpectedly (%s); the next one starts in %d s.",
            f"signal {-code}" if code < 0 else f"exit code {code}",
            pause,
        )

    def _stop(self) -> bool:
        """Ask all to stop, and pass it on should that become urgent."""
        children = self._running()
        for process in children:
            process.terminate()
        was_urgent = False
        ends_at = time.monotonic() + self._options.grace + _KILL_AFTER
        while self._running() and time.monotonic() < ends_at:
            self._requests.wait(_LOOK_SECONDS)
            if self._requests.is_urgent and not was_urgent:
                was_urgent = True
                for process in self._running():
                    process.send_signal(URGENT)
        return all(process.poll() == 0 for process in children)


def _command(options: Options, verbosity: int) -> list[str]:
    return [
        sys.executable,
        *(f"-W{option}" for option in sys.warnoptions),
        # Not the current directory first: `sys.path` is handed on as it is.
        "-P",
        "-m",
        "django",
        "runworkers",
        *options.arguments(),
        "--skip-checks",
        f"--parent={os.getpid()}",
        f"--verbosity={verbosity}",
    ]


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": settings.SETTINGS_MODULE,
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
    }
    # In a group of their own, so that Ctrl-C in the terminal reaches them once: from here.
    return subprocess.Popen(command, env=environment, process_group=0)  # noqa: S603
