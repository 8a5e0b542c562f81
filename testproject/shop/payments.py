"""A payment provider that is not there.

What it answers depends on the order number only, so every run of the demo tells the
same story.
"""

from __future__ import annotations

from decimal import Decimal

_seen: set[str] = set()


class Declined(Exception):
    """The bank says no, and will say no again."""


def assess(customer: str, total: Decimal) -> int:
    """Return a risk from 0 to 99. The provider bills every call of this."""
    return (len(customer) * 7 + int(total)) % 100


def charge(number: str, total: Decimal, *, key: str) -> str:
    """Take the money and return the receipt; the same ``key`` twice is one payment."""
    digits = int("".join(filter(str.isdigit, number)) or 0)
    if digits % 17 == 0:
        raise Declined(f"no cover for {total}")
    if digits % 31 == 0:
        raise ConnectionError("the payment provider does not answer")
    if digits % 7 == 0 and key not in _seen:
        # The second attempt gets through.
        _seen.add(key)
        raise ConnectionError("the payment provider did not answer in time")
    return f"R-{number}"


def refund(receipt: str, *, key: str) -> None:
    """Give the money back; the same ``key`` twice is one refund."""
