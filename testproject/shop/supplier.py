"""A supplier that is not there, and slow to answer."""

from __future__ import annotations

from collections.abc import Collection

from django_durable import seconds

# For the demo. Someone real would be left in peace for an hour.
PATIENCE = seconds(0.05)

_HAS = {"STR-STEEL"}
_ANSWERS_WHEN_ASKED_AGAIN = 2


def has(skus: Collection[str], *, asked_before: int) -> bool | None:
    """Return whether all the articles can be had, or ``None`` for no answer yet."""
    if asked_before < _ANSWERS_WHEN_ASKED_AGAIN:
        return None
    return _HAS.issuperset(skus)
