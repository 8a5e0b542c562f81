"""What the benchmarks run: steps that do nothing."""

from __future__ import annotations

import time

from django_durable import Workflow, step


class BenchOne(Workflow):
    """One step."""

    @step
    def first(self):
        return {"first": 1}


class BenchFive(Workflow):
    """Five steps."""

    @step
    def first(self):
        return {"first": 1}

    @step
    def second(self):
        return {"second": 2}

    @step
    def third(self):
        return {"third": 3}

    @step
    def fourth(self):
        return {"fourth": 4}

    @step
    def fifth(self):
        return {"fifth": 5}


class BenchClock(Workflow):
    """Two steps that say when they began and ended, in ns of the machine's clock."""

    @step
    def first(self):
        return {"began": time.monotonic_ns()}

    @step
    def second(self):
        return {"second_began": time.monotonic_ns()}
