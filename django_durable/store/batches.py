"""So many at a time as one statement may name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

_T = TypeVar("_T")

BATCH = 500


def in_batches(items: Sequence[_T], size: int = BATCH) -> Iterator[Sequence[_T]]:
    """Yield ``items`` in slices of ``size``, for databases limit the parameters."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
