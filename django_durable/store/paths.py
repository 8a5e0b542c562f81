"""Paths in SQL: without their indices, and the last of these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.models import CharField, Func, IntegerField, Value
from django.db.models.functions import Cast, NullIf

from django_durable.definition.paths import last_index, template


class Template(Func):
    """The path without indices, as ``definition.paths.template`` returns it."""

    function = "REGEXP_REPLACE"

    def __init__(self, path: Any) -> None:
        super().__init__(
            path, Value(r"\[[0-9]+\]"), Value(""), output_field=CharField()
        )

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Replace every index and not only the first, which is the default there."""
        every = self.copy()
        every.set_source_expressions([*self.get_source_expressions(), Value("g")])
        return every.as_sql(compiler, connection, **context)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Call the function that ``teach_sqlite`` has made known."""
        return _taught(self, "DURABLE_TEMPLATE", compiler, connection, **context)


class LastIndex(Func):
    """The last index in the path as text that begins with it."""

    function = "REGEXP_SUBSTR"

    def __init__(self, path: Any) -> None:
        # What follows the last bracket that opens, with all that stands behind it: a
        # number in text is read up to where it ends.
        super().__init__(path, Value(r"[0-9]+\][^\[]*$"), output_field=CharField())

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Take only the digits, for a cast there reads nothing else."""
        digits = self.copy()
        path, _ = self.get_source_expressions()
        digits.set_source_expressions([path, Value(r"\[([0-9]+)\][^\[]*$")])
        return digits.as_sql(compiler, connection, function="SUBSTRING", **context)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Call the function that ``teach_sqlite`` has made known."""
        return _taught(self, "DURABLE_LAST_INDEX", compiler, connection, **context)


def last_index_of(path: str) -> Cast:
    """Return the last index in a column as a number, ``NULL`` where there is none."""
    # MariaDB finds an empty text where there is nothing to find.
    return Cast(NullIf(LastIndex(path), Value("")), IntegerField())


def _taught(
    expression: Func, name: str, compiler: Any, connection: Any, **context: Any
) -> Any:
    alone = expression.copy()
    alone.set_source_expressions(expression.get_source_expressions()[:1])
    return alone.as_sql(compiler, connection, function=name, **context)


def teach_sqlite(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Make both known to a connection to SQLite, which knows no patterns itself."""
    if connection.vendor == "sqlite" and connection.connection is not None:
        for name, function in (
            ("DURABLE_TEMPLATE", template),
            ("DURABLE_LAST_INDEX", last_index),
        ):
            connection.connection.create_function(
                name, 1, _or_null(function), deterministic=True
            )


def teach_all() -> None:
    """Teach the connections that are open, and each that will be."""
    connection_created.connect(teach_sqlite)
    for connection in connections.all(initialized_only=True):
        teach_sqlite(connection)


def _or_null(function: Callable[[str], Any]) -> Callable[[str | None], Any]:
    return lambda path: None if path is None else function(path)
