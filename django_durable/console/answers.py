"""The answer of a subcommand, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from django_durable.console.tables import Table, plain

Block: TypeAlias = str | Table
"""Text that is printed as it is, or a table that is fitted to the terminal."""

Object: TypeAlias = dict[str, Any]
"""A JSON object with stable keys."""

DONE, REFUSED, MISUSED = 0, 1, 2
"""Exit codes: it is done; it was refused, or something is wrong; it was asked wrongly."""


class UsageError(Exception):
    """The command was written wrongly; ends with ``MISUSED``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a subcommand found or did.

    ``blocks`` are for people, ``objects`` for programs. ``fault`` says what is wrong,
    where that is the answer; the command then ends with ``REFUSED``.
    """

    blocks: Sequence[Block]
    objects: Sequence[Object]
    fault: str = ""

    def as_text(self, width: int | None) -> str:
        """Return the answer for people, at most ``width`` columns wide if it can be."""
        return "\n".join(
            block.render(width) if isinstance(block, Table) else _plain_lines(block)
            for block in self.blocks
        )

    def as_json(self) -> str:
        """Return one JSON object per line."""
        return "\n".join(json.dumps(one, ensure_ascii=False) for one in self.objects)


def _plain_lines(text: str) -> str:
    return "\n".join(map(plain, text.split("\n")))
