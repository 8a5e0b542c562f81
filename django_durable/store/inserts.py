"""New executions: inserted, with the news of it, by one statement."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from django.db import connections
from django.db.models import Value
from django.db.models.base import ModelState

from django_durable import clock, codec
from django_durable.ids import new_id
from django_durable.models import Execution
from django_durable.models.fields import Encoded
from django_durable.store import statements, wakeups
from django_durable.types import Tree

# What a row does not say is as in the first one.
_INSERT = """
WITH inserted AS (
    INSERT INTO {execution} SELECT * FROM json_populate_recordset(
        json_populate_record(NULL::{execution}, %s), %s
    )
)
SELECT pg_notify({channel}, queue) FROM json_array_elements_text(%s) AS queue
"""


def insert(rows: Sequence[Execution], *, wakes: Collection[str], using: str) -> None:
    """Insert executions, and wake the workers of the queues in ``wakes``.

    Payloads are ``Encoded``. What is due when the database's clock says so is an
    expression.
    """
    if connections[using].vendor == "postgresql":
        _insert_by_statement(rows, wakes, using)
    else:
        Execution.rows.using(using).bulk_create(rows)
        wakeups.notify(wakes, using=using)


def new(**values: Any) -> Execution:
    """Return an unsaved execution with an id of its own, if none is given."""
    own = {"id": new_id(), "created_at": clock.now(), "tags": [], **values}
    return like(_blank(), **own)


@cache
def _blank() -> Execution:
    return Execution()


def like(pattern: Execution, **values: Any) -> Execution:
    """Return an unsaved execution like another one, but for ``values``.

    The constructor of a model takes longer than all the rest of a start.
    """
    row = Execution.__new__(Execution)
    row.__dict__.update(pattern.__dict__, **values)
    row._state = ModelState()
    return row


def _insert_by_statement(
    rows: Sequence[Execution], wakes: Collection[str], using: str
) -> None:
    pattern, differences = as_trees(rows)
    params = (
        codec.dumps(pattern),
        codec.dumps(differences),
        codec.dumps(sorted(wakes)),
    )
    statements.fetch(using, _sql(using), params)
    for row in rows:
        row._state.adding, row._state.db = False, using


@cache
def _sql(using: str) -> str:
    return _INSERT.format(
        execution=connections[using].ops.quote_name(Execution._meta.db_table),
        channel=wakeups.channel(),
    )


def as_trees(rows: Sequence[Execution]) -> tuple[Tree, list[Tree]]:
    """Return the first row as JSON without NULL, and in what each row differs from it."""
    pattern = rows[0].__dict__
    others = [
        {
            column: value
            for column, value in row.__dict__.items()
            if value is not pattern[column]
        }
        for row in rows[1:]
    ]
    return as_tree(pattern), [{}, *map(_tree, others)]


def as_tree(columns: dict[str, Any]) -> Tree:
    """Return columns of an unsaved row as JSON, without those that are NULL."""
    return _tree({name: value for name, value in columns.items() if value is not None})


def _tree(columns: dict[str, Any]) -> Tree:
    return {
        column: _WRITERS.get(type(value), _plain)(value)
        for column, value in columns.items()
        if column != "_state"
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Value):
        return value.value.isoformat()
    # Every other expression is the database's present, for which it has a word.
    return "now" if hasattr(value, "resolve_expression") else value


def _interval(value: timedelta) -> str:
    return f"{value.days} days {value.seconds}.{value.microseconds:06} seconds"


_WRITERS: dict[type, Callable[[Any], Any]] = {
    Encoded: lambda value: value.tree,
    UUID: lambda value: value.hex,
    datetime: datetime.isoformat,
    timedelta: _interval,
}
