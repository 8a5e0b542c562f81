"""For tests: run everything that is due, and move the clock."""

from __future__ import annotations

from django.core.management import call_command

from django_durable.clock import FrozenClock, freeze

__all__ = ["FrozenClock", "freeze", "run_until_idle"]


def run_until_idle(durable: str = "default") -> None:
    """Run all executions until none is due; works inside a ``TestCase``."""
    call_command("runworkers", until_idle=True, durable=durable, verbosity=0)
