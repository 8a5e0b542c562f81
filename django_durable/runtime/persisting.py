"""A worker outlives its database: writes wait for it to come back."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connections

logger = logging.getLogger("django_durable.runtime")

T = TypeVar("T")

_SHORTEST, _LONGEST = 0.05, 5.0


def persist(write: Callable[[], T], *, using: str) -> T:
    """Return ``write()``, repeated with growing pauses while the database is away.

    ``write`` must be a whole transaction that may be repeated: fenced, so that a second
    run after an answer that was lost changes nothing. Inside a transaction of the
    caller nothing is repeated, for that transaction is broken.
    """
    pause = _SHORTEST
    while True:
        try:
            return write()
        except (OperationalError, InterfaceError) as error:
            connection = connections[using]
            if connection.in_atomic_block:
                raise
            connection.close()
            if pause == _SHORTEST:
                cause = str(error).partition("\n")[0]
                logger.warning("The database does not answer; trying again: %s", cause)
            time.sleep(pause * (0.5 + random.random()))
            pause = min(pause * 2, _LONGEST)
