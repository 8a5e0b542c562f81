"""A carrier that is not there.

What it answers depends on the order number only, as with the payment provider.
"""

from __future__ import annotations

_seen: set[str] = set()


class Refused(Exception):
    """The carrier does not take the parcel now. Later it may, or may not."""


def collect(number: str, *, key: str) -> str:
    """Hand over a parcel and return its tracking code; the same ``key`` is one parcel."""
    digits = int("".join(filter(str.isdigit, number)) or 0)
    if digits % 19 == 0:
        raise Refused("the carrier does not go there")
    if digits % 11 == 0 and key not in _seen:
        # The second attempt gets through.
        _seen.add(key)
        raise Refused("the carrier's van is full")
    return f"T-{number}"
