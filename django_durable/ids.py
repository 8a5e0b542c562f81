"""UUID version 7: identities that sort by the time they were made (RFC 9562, 5.7)."""

from __future__ import annotations

import os
import threading
import time
from datetime import datetime
from uuid import UUID

_RANDOM_BITS = 74
_STEP_BITS = 42

_lock = threading.Lock()
_last = 0


def new_id(after: UUID | None = None) -> UUID:
    """Return an id greater than all this process made before, and than ``after``.

    A child's id is greater than its parent's even when the machines' clocks disagree,
    so that "in order of id" is always "ancestors first": the order of all locks.
    """
    global _last
    entropy = int.from_bytes(os.urandom(10)) >> (80 - _RANDOM_BITS)
    value = (time.time_ns() // 1_000_000) << _RANDOM_BITS | entropy
    with _lock:
        least = max(_last, _payload(after) if after else 0)
        if value <= least:
            # Same millisecond, or a clock that was set back: go on from the last one
            # by a random step, which keeps the ids hard to guess.
            value = least + 1 + (entropy >> (_RANDOM_BITS - _STEP_BITS))
        _last = value
    head, tail = value >> 62, value & ((1 << 62) - 1)
    time_part, random_a = head >> 12, head & 0xFFF
    return UUID(int=time_part << 80 | 0x7 << 76 | random_a << 64 | 0b10 << 62 | tail)


def least_id_at(moment: datetime) -> UUID:
    """Return the least id that is made at ``moment``, by the clock of the process."""
    milliseconds = max(int(moment.timestamp() * 1000), 0)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | 0b10 << 62)


def _payload(identity: UUID) -> int:
    """Return the 122 bits of an id that are neither version nor variant."""
    number = identity.int
    return (
        (number >> 80) << 74 | (number >> 64 & 0xFFF) << 62 | number & ((1 << 62) - 1)
    )
