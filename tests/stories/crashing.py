"""Faults at chosen statements of the engine, and the drive of a scenario to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import OperationalError, connection, connections

from django_durable import clock
from django_durable.models import Execution, InputRequest, Step
from django_durable.runtime.attempts import CutOff
from tests.factories import NOON, claim, reap, run


class Crash(BaseException):
    """The process is gone: nothing after this reaches the database."""


class Fault:
    """Counts the statements of the engine, commits included, and fails at one of them.

    ``error`` is ``Crash``, after which every statement fails, or ``OperationalError``,
    after which all is well again. ``after``: the statement is carried out, and only the
    answer is lost.
    """

    def __init__(
        self,
        at: int | None = None,
        error: type[BaseException] = Crash,
        *,
        after: bool = False,
    ) -> None:
        self.at, self.error, self.after = at, error, after
        self.seen: list[str] = []
        self.is_quiet = self.is_dead = self.has_struck = False

    def __call__(
        self,
        execute: Callable[..., Any],
        sql: str,
        params: Any,
        many: bool,
        context: Any,
    ) -> Any:
        if "django_durable" not in sql:
            self._refuse_the_dead()
            return execute(sql, params, many, context)
        return self._pass(sql, lambda: execute(sql, params, many, context))

    def commit(self, commit: Callable[[], Any]) -> Any:
        try:
            return self._pass("COMMIT", commit)
        except Crash:
            # The server does this when the process is gone; Django expects it here.
            connection._rollback()
            raise

    def _pass(self, sql: str, do: Callable[[], Any]) -> Any:
        if self.is_quiet:
            return do()
        self._refuse_the_dead()
        self.seen.append(sql)
        strikes = len(self.seen) - 1 == self.at
        if strikes and not self.after:
            self._strike()
        done = do()
        if strikes:
            self._strike()
        return done

    def _strike(self) -> None:
        self.has_struck = True
        self.is_dead = self.error is Crash
        raise self.error("the database is gone")

    def _refuse_the_dead(self) -> None:
        if self.is_dead:
            raise Crash

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Neither count nor fail: what is asked here is no part of the engine."""
        before, self.is_quiet = self.is_quiet, True
        try:
            yield
        finally:
            self.is_quiet = before

    @contextmanager
    def installed(self) -> Iterator[None]:
        """See everything that this thread's connection does."""
        real = connection._commit
        connection._commit = lambda: self.commit(real)
        try:
            with connection.execute_wrapper(self):
                yield
        finally:
            del connection._commit


def changes_something(sql: str) -> bool:
    """Whether a lost answer leaves open what has happened."""
    return not sql.lstrip().startswith(("SELECT", "BEGIN"))


def start_over() -> None:
    """Be a new process: with a connection of its own, and the old one's gone."""
    connection.close()
    del connections[connection.alias]


Act = Callable[[Execution | None], Execution]
"""Starts a scenario, or does what others would do now for one that waits."""


def play(act: Act, fault: Fault) -> Execution:
    """Drive a scenario to its end, by a new process once the first has crashed."""
    with clock.freeze(NOON) as time:
        try:
            with fault.installed():
                return _drive(act, fault, time)
        except Crash:
            start_over()
            return _drive(act, Fault(), time)


def _drive(act: Act, fault: Fault, time: clock.FrozenClock) -> Execution:
    is_fresh = True
    for _ in range(200):
        try:
            if is_fresh:
                reap()
            is_fresh = False
            with fault.quiet():
                known = Execution.objects.filter(idempotency_key=KEY).first()
            if known is not None and known.is_final:
                return known
            if known is None or known.status == "waiting":
                act(known)
            claimed = claim(limit=1)
            if not claimed:
                with fault.quiet():
                    _go_on_to_what_is_due(time)
            for one in claimed:
                run(one)
        except (OperationalError, CutOff):
            # A worker lives on; what is in nobody's hands counts as lost.
            connection.close()
            is_fresh = True
    raise AssertionError("it comes to no end")


def _go_on_to_what_is_due(time: clock.FrozenClock) -> None:
    due = Execution.objects.filter(available_at__gt=time.instant)
    if found := due.order_by("available_at").first():
        time.instant = found.available_at


KEY = "the scenario"


def assert_nothing_is_left(execution: Execution) -> None:
    """Whatever happened on the way, an ended execution is settled in every table."""
    assert execution.leased_by is None
    assert execution.available_at is None
    assert execution.completed_at is not None
    assert not execution.waits.filter(status="open").exists()
    assert not InputRequest.objects.filter(execution=execution, status="open").exists()
    done = list(
        Step.objects.filter(execution=execution, status="completed")
        .order_by("sequence")
        .values_list("path", flat=True)
    )
    assert len(done) == len(set(done)), f"done twice: {done}"
