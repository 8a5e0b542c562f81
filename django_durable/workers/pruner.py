"""Deletes what ``RETENTION`` does not keep any longer."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

from django_durable.store import retention
from django_durable.workers.options import Options

logger = logging.getLogger("django_durable.workers")

PRUNE_INTERVAL = 300.0
"""Seconds between two sweeps."""

_LONGEST_REST = 1.0


class Pruner:
    """Sweeps expired families away, one short transaction per call.

    After each it rests as long as that took, so that on a database with one writer at a
    time the others have their turn.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._sweep: Iterator[int] | None = None
        self._count = 0

    def run_once(self) -> bool:
        """Delete some; say whether there may be more."""
        began = time.monotonic()
        if self._sweep is None:
            self._sweep, self._count = self._sweeps(), 0
        try:
            count = next(self._sweep, None)
        except Exception:
            self._sweep = None
            raise
        if count is not None:
            self._count += count
            time.sleep(min(time.monotonic() - began, _LONGEST_REST))
            return True
        if self._count:
            logger.info("%d old executions were deleted.", self._count)
        self._sweep = None
        return False

    def _sweeps(self) -> Iterator[int]:
        for status, age in self._options.settings.retention.items():
            if age is not None:
                yield from retention.sweep(status, age, using=self._options.using)
