"""One thing that a person can do to a row, from its page or from a list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django import forms
from django.contrib.admin.models import CHANGE, DELETION

R = TypeVar("R")
G = TypeVar("G")


@dataclass(frozen=True, slots=True, kw_only=True)
class RowOperation(Generic[R, G]):
    """What is asked before it is done, whom and what it suits, and how it is told.

    ``right`` names the field of the rights that it needs. ``act`` gets a row, what was
    given, and the instance; it raises ``DurableError`` when it is refused or too late.
    ``past`` is for the history, ``button`` what the last button says, if not ``label``.
    """

    name: str
    label: Any
    past: str
    explanation: Any
    right: str
    act: Callable[[R, G, str], object]
    form: type[forms.Form]
    condition: Callable[[R], bool] = lambda _row: True
    bulk_label: Any = ""
    button: Any = ""
    is_dangerous: bool = False
    is_deletion: bool = False

    def is_allowed(self, rights: object) -> bool:
        """Say whether a person with these rights may do it."""
        return bool(getattr(rights, self.right))

    def suits(self, row: R) -> bool:
        """Say whether what a row is, and how it stands, allow it."""
        return self.condition(row)

    @property
    def flag(self) -> int:
        """The kind of its entry in the history."""
        return DELETION if self.is_deletion else CHANGE
