"""What an examination finds, as a value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that some rows break: which rule, what that means, what to do about it.

    ``ids`` are executions unless ``about`` says otherwise, at most as many as were
    asked for; ``has_more`` when there are others.
    """

    rule: str
    message: str
    remedy: str
    ids: tuple[str, ...]
    about: str = "execution"
    has_more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """The database that is examined, and how many ids a finding names at the most."""

    using: str
    limit: int = 20

    def finding(
        self,
        rule: str,
        ids: Iterable[Any],
        message: str,
        remedy: str,
        *,
        about: str = "execution",
    ) -> list[Finding]:
        """Return one finding, or none where no row breaks the rule.

        ``ids`` holds one more than the limit where there are more.
        """
        found = list(ids)
        if not found:
            return []
        return [
            Finding(
                rule=rule,
                message=message,
                remedy=remedy,
                ids=tuple(map(str, found[: self.limit])),
                about=about,
                has_more=len(found) > self.limit,
            )
        ]
