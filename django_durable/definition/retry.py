"""``Retry``: how often and how fast a failed step is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, get_args

Backoff = Literal["exponential", "linear", "constant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """A retry policy.

    ``max_attempts`` counts all attempts, the first included. The delay after failed
    attempt *n* (from 1) is ``base * 2**n`` (exponential), ``base * n`` (linear) or
    ``base`` (constant), at most ``max_backoff``, then spread by ± ``jitter`` (a
    fraction from 0 to 1). Only exceptions in ``on`` and not in ``give_up_on`` are
    tried again.
    """

    max_attempts: int = 3
    backoff: Backoff = "exponential"
    base: timedelta = timedelta(seconds=1)
    max_backoff: timedelta = timedelta(minutes=5)
    jitter: float = 0.25
    on: type[BaseException] | tuple[type[BaseException], ...] = (Exception,)
    give_up_on: type[BaseException] | tuple[type[BaseException], ...] = ()

    def __post_init__(self) -> None:
        """Refuse what could never work, where it is written."""
        if not isinstance(self.max_attempts, int) or self.max_attempts < 1:
            raise ValueError(
                f"Retry(max_attempts={self.max_attempts!r}): attempts are counted from "
                "1, the first included. Use 1 for no retry."
            )
        if self.backoff not in get_args(Backoff):
            raise ValueError(
                f"Retry(backoff={self.backoff!r}): use one of "
                f"{', '.join(map(repr, get_args(Backoff)))}."
            )
        if not 0 <= self.jitter <= 1:
            raise ValueError(
                f"Retry(jitter={self.jitter!r}): jitter is a fraction from 0 to 1."
            )
        for name in ("base", "max_backoff"):
            delay = getattr(self, name)
            if not isinstance(delay, timedelta) or delay < timedelta(0):
                raise ValueError(
                    f"Retry({name}={delay!r}): give a timedelta that is not negative, "
                    "such as seconds(1)."
                )

    def covers(self, error: BaseException) -> bool:
        """Say whether this policy tries again after ``error``."""
        return isinstance(error, self.on) and not isinstance(error, self.give_up_on)


ONCE = Retry(max_attempts=1)


def as_retry(value: Retry | int | None) -> Retry | None:
    """Return the policy that ``retry=`` means; a number is short for its attempts."""
    if value is None or isinstance(value, Retry):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Retry(max_attempts=value)
    raise ValueError(f"retry={value!r}: give a Retry or the number of attempts.")
