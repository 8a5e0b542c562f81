"""Worker processes of a test, none of which outlives it."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection

from tests.processes.worker_processes import WorkerProcess

StartWorker = Callable[..., WorkerProcess]


@pytest.fixture
def environment(worker_environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """What the worker processes of this test are started with."""
    worker_environment["JOURNAL"] = str(tmp_path / "journal")
    return worker_environment


@pytest.fixture
def configure(environment: dict[str, str]) -> Callable[..., None]:
    """Set settings of the worker processes, such as ``LEASE=2.0``."""

    def configure(**settings: object) -> None:
        environment["TEST_DURABLE"] = json.dumps({"default": settings})

    return configure


@pytest.fixture
def postgres_only(transactional_db: None) -> None:
    """Skip the test where the database is another one."""
    if connection.vendor != "postgresql":
        pytest.skip("only on PostgreSQL")


@pytest.fixture
def start_worker(environment: dict[str, str], tmp_path: Path) -> Iterator[StartWorker]:
    """Start worker processes; they are stopped, and their logs printed, at the end."""
    started: list[WorkerProcess] = []
    numbers = itertools.count(1)

    def start(*arguments: str) -> WorkerProcess:
        log = tmp_path / f"worker-{next(numbers)}.log"
        started.append(WorkerProcess(environment, log, *arguments))
        return started[-1]

    yield start

    for worker in started:
        worker.end()
        # Shown by pytest when the test has failed.
        sys.stdout.write(f"--- {worker.log.name}\n{worker.log.read_text()}\n")
