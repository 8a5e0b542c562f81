"""The test project with the workflows of the benchmarks, on one database."""

from __future__ import annotations

import os

from testproject.settings import *  # noqa: F403
from testproject.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "bench"]
DEBUG = False
DURABLE = {
    "default": {
        "QUEUES": {"default": {"concurrency": int(os.environ.get("BENCH_SLOTS", "16"))}}
    }
}
