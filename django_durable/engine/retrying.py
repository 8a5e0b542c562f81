"""What follows a failed or a lost attempt."""

from __future__ import annotations

from datetime import timedelta

from django_durable.definition.retry import Retry


def backoff(policy: Retry, *, attempt: int, draw: float) -> timedelta:
    """Return the delay after failed attempt number ``attempt``, counted from 1.

    ``draw`` is in [0, 1); the caller draws it, so that this stays pure. It spreads
    the capped delay evenly over ± ``policy.jitter``.
    """
    seconds, most = policy.base.total_seconds(), policy.max_backoff.total_seconds()
    # A hundred years: later than that is beyond the calendar before long.
    most = min(most, 36525.0 * 86400)
    match policy.backoff:
        case "exponential":
            # 2**64 seconds is beyond any cap; the bound keeps huge attempts from overflow.
            seconds *= 2.0 ** min(attempt, 64)
        case "linear":
            seconds *= attempt
    spread = 1 + policy.jitter * (2 * draw - 1)
    return timedelta(seconds=min(seconds, most) * spread)


def attempts_allowed(policy: Retry, *, max_lost: int) -> int:
    """Return how many attempts a step has when workers die under it.

    A lost attempt counts like any other for a step with a retry policy. A step
    without one gets its single attempt back up to ``max_lost`` times.
    """
    return policy.max_attempts if policy.max_attempts > 1 else 1 + max_lost


def delay_after_loss(attempt: int) -> timedelta:
    """Return how long an execution rests after attempt ``attempt`` was lost.

    The first time it goes on at once. After that it may be what kills the workers, so
    it comes back alone, later and later, and does not take others down with it.
    """
    return timedelta(seconds=0 if attempt <= 1 else min(2.0 ** (attempt - 1), 60.0))
