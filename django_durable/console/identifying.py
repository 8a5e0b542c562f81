"""An id as people write it, perhaps shortened -> the execution."""

from __future__ import annotations

from uuid import UUID

from django_durable.console.answers import UsageError
from django_durable.exceptions import ExecutionNotFound
from django_durable.store import queries

_MOST = 10
_WHOLE = 32


def identify(text: str, *, using: str) -> UUID:
    """Return the id that ``text`` is, or is the beginning of.

    A lane can be named by its whole id only. Raises ``ExecutionNotFound``, and
    ``UsageError`` when several executions begin so.
    """
    digits = text.replace("-", "").lower()
    if not digits or len(digits) > _WHOLE or set(digits) - set("0123456789abcdef"):
        raise UsageError(
            f"{text!r} is no id. Give the id of an execution, or its first digits."
        )
    if len(digits) == _WHOLE:
        return UUID(hex=digits)
    rows = queries.with_prefix(digits, using=using)
    found = list(rows.values_list("pk", "workflow", "status")[: _MOST + 1])
    if not found:
        raise ExecutionNotFound(f"There is no execution whose id begins with {text!r}.")
    if len(found) > 1:
        lines = [f"  {pk}  {workflow}  {status}" for pk, workflow, status in found]
        more = ["  … and more"] if len(lines) > _MOST else []
        raise UsageError(
            "\n".join([f"Several ids begin with {text!r}:", *lines[:_MOST], *more])
        )
    return found[0][0]
