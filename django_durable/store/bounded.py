"""Counts and samples that stop, so that none costs more than it tells.

However many there are, each question is one statement.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import connections
from django.db.models import DateTimeField, F, IntegerField, QuerySet, Subquery, Value
from django.db.models.sql import Query

MOST = 10_000
"""Nothing is counted further: a count of ``MOST`` means as many or more."""

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are; as many or more, when it ``is_cut``."""

    number: int
    is_cut: bool = False

    def __str__(self) -> str:
        """Return it as it is shown: ``12``, ``10,000+``."""
        return f"{self.number:,}{'+' if self.is_cut else ''}"


class CountUpTo(Subquery):
    """How many rows there are, counted no further than ``most``.

    ``by`` is the order of an index, for rows of which a database that looks for any few
    may read all the others before it comes to the first.
    """

    template = "(SELECT COUNT(*) FROM (%(subquery)s) AS counted)"
    output_field = IntegerField()
    empty_result_set_value = 0

    def __init__(
        self, rows: QuerySet[Any, Any], most: int = MOST, *, by: Sequence[str] = ()
    ) -> None:
        # A column would make it look up every row that the index has found.
        super().__init__(rows.order_by(*by).values(one=Value(1))[:most])


class EarliestOf(Subquery):
    """The earliest ``moment`` of the first rows, up to ``most`` of them."""

    template = "(SELECT MIN(moment) FROM (%(subquery)s) AS found)"
    output_field = DateTimeField()

    def __init__(self, rows: QuerySet[Any, Any], moment: str, most: int = MOST) -> None:
        super().__init__(rows.values(moment=F(moment))[:most])


def evaluate(questions: Mapping[K, Subquery], *, using: str) -> dict[K, Any]:
    """Answer questions that stand for themselves, all in one statement."""
    query = Query(None)
    for number, question in enumerate(questions.values()):
        query.add_annotation(question, f"answer_{number}")
    rows = query.get_compiler(using=using).results_iter()
    return dict(zip(questions, next(iter(rows)), strict=True))


def first_of_each(
    parts: Iterable[QuerySet[Any, Any]], most: int, *, using: str
) -> list[tuple[Any, ...]]:
    """Return the first rows of each part, up to ``most``, in one statement.

    The parts are lists of the same values, each in an order of its own.
    """
    slices = [_sliced(part, most, using) for part in parts]
    return list(slices[0].union(*slices[1:], all=True)) if slices else []


def _sliced(part: QuerySet[Any, Any], most: int, using: str) -> QuerySet[Any, Any]:
    if connections[using].features.supports_slicing_ordering_in_compound:
        return part[:most]
    return part.filter(pk__in=part.values("pk")[:most]).order_by()
