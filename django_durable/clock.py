"""The only reader of time. ``now()`` is for people, ``db_now()`` for leases and dues.

Two machines whose clocks differ would take each other's work if leases and due times
followed the worker's clock, so these are computed by the database. ``freeze`` stops
both clocks in tests, for every thread of the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from django.db.models import DateTimeField, Expression, ExpressionWrapper, Value
from django.db.models.functions import Now
from django.utils import timezone

from django_durable.types import Moment

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class FrozenClock:
    """A stopped clock that a test moves by hand."""

    def __init__(self, instant: datetime) -> None:
        self.instant = instant

    def advance(self, delay: timedelta) -> None:
        """Move the clock forward by ``delay``."""
        self.instant += delay


_frozen: FrozenClock | None = None


def now() -> datetime:
    """Return the current instant of this process, aware, in UTC."""
    return _frozen.instant if _frozen else timezone.now()


def frozen_instant() -> datetime | None:
    """Return the instant at which the clock stands, or ``None`` when it runs."""
    return _frozen.instant if _frozen else None


def from_microseconds(since_epoch: int) -> datetime:
    """Return the instant that a statement tells in this way: quicker to read than text."""
    return _EPOCH + timedelta(microseconds=since_epoch)


def db_now() -> Expression:
    """Return the database's current instant as an expression for the ORM."""
    if _frozen:
        return Value(_frozen.instant, output_field=DateTimeField())
    return Now()


def due(moment: Moment) -> Expression:
    """Return when ``moment`` is due: itself, or that long after the database's now."""
    if isinstance(moment, datetime):
        return Value(moment, output_field=DateTimeField())
    if _frozen:
        return Value(_frozen.instant + moment, output_field=DateTimeField())
    if not moment:
        # SQLite compares text, and writes a sum in another format than its own now: on
        # a full second what is due now would seem to be due later.
        return Now()
    return ExpressionWrapper(Now() + moment, output_field=DateTimeField())


@contextmanager
def freeze(instant: datetime | None = None) -> Iterator[FrozenClock]:
    """Stop both clocks at ``instant`` (now, unless told) for the whole process."""
    global _frozen
    before, _frozen = _frozen, FrozenClock(instant or now())
    try:
        yield _frozen
    finally:
        _frozen = before
