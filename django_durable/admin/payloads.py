"""Payloads as they are stored, read without decoding them, and never more than asked.

A page reads those that are small enough to be shown; the others it only names, with a
link to all of it. So a page costs little whatever users store.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import Case, F, JSONField, Model, QuerySet, TextField, When
from django.db.models.functions import Cast, Length

MOST_BYTES = 64_000
"""Characters of a stored payload that a page reads to show it."""

M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True)
class Payload:
    """What is stored in one field: ``tree``, unless it ``is_large``."""

    tree: Any
    size: int
    is_large: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing is stored."""
        return self.tree is None and not self.is_large


def with_payloads(
    rows: QuerySet[M], *fields: str, most: int = MOST_BYTES
) -> QuerySet[M]:
    """Read these fields as they are stored, up to so many characters each."""
    for field in fields:
        size, tree = f"{field}_size", f"{field}_tree"
        rows = rows.annotate(**{size: Length(Cast(field, TextField()))})
        small = When(**{f"{size}__lte": most, "then": Cast(field, JSONField())})
        rows = rows.annotate(**{tree: Case(small, output_field=JSONField())})
    return rows.defer(*fields)


def payload_of(row: Model, field: str) -> Payload:
    """Return what ``with_payloads`` has read of a field."""
    size, tree = getattr(row, f"{field}_size"), getattr(row, f"{field}_tree")
    # JSON null is four characters.
    return Payload(tree, size or 0, is_large=tree is None and (size or 0) > len("null"))


def whole(rows: QuerySet[M], field: str) -> Any:
    """Return all of the field of one row, as it is stored; raises ``DoesNotExist``."""
    found = rows.annotate(stored_tree=Cast(F(field), JSONField()))
    return found.values_list("stored_tree", flat=True).get()
