"""The test project with the workflows of the benchmarks, on PostgreSQL and SQLite."""

from __future__ import annotations

import os

from testproject import database_urls
from testproject.settings import *  # noqa: F403
from testproject.settings import DATABASES, INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "bench"]
DEBUG = False

DATABASES["sqlite"] = database_urls.parse(f"sqlite:///{os.environ['BENCH_SQLITE']}")
DATABASES["sqlite"]["OPTIONS"]["init_command"] = (
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=20000;"
)

_QUEUES = {"default": {"concurrency": 16}}
DURABLE = {
    "default": {"QUEUES": _QUEUES},
    "sqlite": {"DATABASE": "sqlite", "QUEUES": _QUEUES},
}
