"""What the tests of worker processes share.

This file is loaded before Django is set up, so models are imported where they are used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import connection

if TYPE_CHECKING:
    from django_durable.clock import FrozenClock
    from django_durable.models import Worker
    from django_durable.workers.options import Options


@pytest.fixture
def frozen_time() -> Iterator[FrozenClock]:
    from django_durable.clock import freeze
    from tests.factories import NOON

    with freeze(NOON) as clock:
        yield clock


@pytest.fixture(autouse=True)
def journal(monkeypatch: pytest.MonkeyPatch, tmp_path) -> dict[str, str]:
    """Let the workflows of the test application write their lines somewhere."""
    monkeypatch.setenv("JOURNAL", str(tmp_path / "journal"))
    return {"JOURNAL": str(tmp_path / "journal")}


@pytest.fixture
def postgres_only() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("only on PostgreSQL")


@pytest.fixture
def make_worker(db: None) -> Callable[..., Worker]:
    """Register workers that live for 30 s unless they beat."""
    from django_durable.store import workers

    def make(**options) -> Worker:
        options = {"queues": {"default": 10}, "lease": timedelta(seconds=30), **options}
        return workers.register(using="default", **options)

    return make


@pytest.fixture
def options(settings) -> Options:
    """Two queues, of which a process runs 3 and 1 executions at once."""
    from django_durable.workers.options import make_options

    queues = {"default": {"concurrency": 3}, "slow": {"concurrency": 1}}
    settings.DURABLE = {"default": {"QUEUES": queues}}
    return make_options()
