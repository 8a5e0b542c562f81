"""A site that is served by a process, with a real worker beside it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.processes.worker_processes import MANAGE, WorkerProcess, eventually

_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")


@dataclass(frozen=True)
class Site:
    """A site under ``url``. ``pages`` are addresses by name, ``orders`` ids by number.

    ``sessions`` are the cookies of people who are logged in; ``links`` answer questions.
    """

    url: str
    pages: Mapping[str, str]
    orders: Mapping[str, int]
    sessions: Mapping[str, str]
    links: list[str]


def environment(folder: Path, *, with_theme: bool) -> dict[str, str]:
    """Return what the processes of a site are started with; its database is a file."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.browser.settings",
        "DATABASE_URL": f"sqlite:///{folder / 'site.sqlite3'}",
        "JOURNAL": str(folder / "journal"),
        "PYTHONPATH": str(MANAGE.parent),
        "PYTHONUNBUFFERED": "1",
        # Pages of errors are those that people see.
        "DEBUG": "0",
        "ADMIN_THEME": "1" if with_theme else "0",
    }


def furnish(folder: Path) -> dict[str, object]:
    """Fill the database, and return what is to be found there."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.browser.furnish"],
        # The theme has tables of its own; without it nothing asks for them.
        env=environment(folder, with_theme=True),
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


@contextmanager
def working(folder: Path) -> Iterator[None]:
    """Run a worker beside the block."""
    worker = WorkerProcess(
        environment(folder, with_theme=True),
        folder / "worker.log",
        f"--parent={os.getpid()}",
    )
    try:
        worker.wait_until_it_serves()
        yield
    finally:
        worker.end()


@contextmanager
def serving(folder: Path, *, with_theme: bool) -> Iterator[str]:
    """Run the site beside the block, and give its address."""
    log = folder / f"server{'-with-theme' * with_theme}.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            # The system chooses a port that is free, and the server says which.
            [
                sys.executable,
                MANAGE,
                "runserver",
                "--noreload",
                # Static files, though this is not for debugging.
                "--insecure",
                "127.0.0.1:0",
            ],
            env=environment(folder, with_theme=with_theme),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        found = eventually(
            lambda: _ADDRESS.search(log.read_text()) or server.poll() is not None,
            within=60,
            what="a server that says where it is",
        )
        if found is True:
            raise AssertionError(f"the server ended: {log.read_text()}")
        yield found[0]
    finally:
        server.terminate()
        server.wait(10)
