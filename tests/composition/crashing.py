"""A worker that dies at a chosen statement, and what comes after its death."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connection

from tests.factories import claim, reap, run

_BOUNDS = ("SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT")


class Killed(BaseException):
    """SIGKILL, as far as one thread can have it: nothing of the worker runs after it."""


class DiesAt:
    """Kills at statement number ``number``, from 0: before it is sent, or after."""

    def __init__(self, number: int, *, after: bool = False) -> None:
        self.left = number
        self.after = after
        self.has_died = False

    def __call__(
        self,
        execute: Callable[..., Any],
        sql: str,
        params: Any,
        many: bool,
        context: Any,
    ) -> Any:
        # A crash beside the bounds of a transaction is one beside the next statement.
        if sql.startswith(_BOUNDS) or self.has_died:
            return execute(sql, params, many, context)
        self.left -= 1
        if self.left >= 0:
            return execute(sql, params, many, context)
        self.has_died = True
        if self.after:
            execute(sql, params, many, context)
        raise Killed


def drain_with(death: DiesAt, *queues: str) -> None:
    """Run all that is due; when the worker dies, others take over what it held."""
    with connection.execute_wrapper(death):
        try:
            _drain(*queues)
        except Killed:
            reap()
            _drain(*queues)


def _drain(*queues: str) -> None:
    while claimed := [
        one for queue in queues or ("default",) for one in claim(queue, limit=1)
    ]:
        for one in claimed:
            run(one)
