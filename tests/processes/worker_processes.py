"""Real ``manage.py runworkers`` processes, and waiting for what they do."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

MANAGE = Path(__file__).resolve().parents[2] / "manage.py"


def eventually(check: Callable[[], Any], *, within: float, what: str = "") -> Any:
    """Return the first true value of ``check``; fail when there is none in time."""
    ends_at = time.monotonic() + within
    while not (value := check()):
        if time.monotonic() > ends_at:
            raise AssertionError(f"not within {within} s: {what or check}")
        time.sleep(0.02)
    return value


class WorkerProcess:
    """One ``manage.py runworkers``; what it says goes to ``log``."""

    def __init__(
        self, environment: Mapping[str, str], log: Path, *arguments: str
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, MANAGE, "runworkers", "--skip-checks", *arguments],
                env=dict(environment),
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def lives(self) -> bool:
        return self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill the process as a power cut would, also when it is stopped."""
        self._process.kill()
        self._process.wait(10)

    def end(self) -> None:
        """Stop the process now, with all that it has started, and kill it if need be."""
        for number in (signal.SIGCONT, signal.SIGTERM, signal.SIGTERM):
            self.send(number)
            time.sleep(0.05)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()

    def wait(self, within: float) -> int:
        """Return the exit code."""
        return self._process.wait(within)

    def says(self, text: str) -> bool:
        return text in self.log.read_text()

    def wait_until_it_serves(self) -> None:
        eventually(
            lambda: self.says(" serves "), within=20, what="a worker that serves"
        )
