"""Tables for a terminal: columns as wide as what is seen, cut to fit."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

_GAP = "  "
_LEAST = 12
"""A column is not cut below this many columns of the terminal."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a header. ``numbers``: columns aligned to the right.

    Where the table is too wide, its widest columns are cut, but not those in ``whole``.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Collection[int] = ()
    whole: Collection[int] = (0,)

    def render(self, width: int | None = None) -> str:
        """Return the table as lines; ``width`` ``None``: as wide as it is."""
        lines = [
            list(self.header),
            *([plain(cell) for cell in row] for row in self.rows),
        ]
        widths = [
            max(map(display_width, column)) for column in zip(*lines, strict=True)
        ]
        if width is not None:
            widths = self._fitted(widths, width)
        return "\n".join(self._line(line, widths) for line in lines)

    def _fitted(self, widths: list[int], width: int) -> list[int]:
        """Return the widths after the widest columns have given way."""
        widths = list(widths)
        excess = sum(widths) + len(_GAP) * (len(widths) - 1) - width
        while excess > 0:
            able = [n for n in range(len(widths)) if n not in self.whole]
            widest = max(able, key=lambda n: widths[n], default=None)
            if widest is None or widths[widest] <= _LEAST:
                break
            widths[widest] -= 1
            excess -= 1
        return widths

    def _line(self, cells: Sequence[str], widths: Sequence[int]) -> str:
        parts = []
        for number, (cell, width) in enumerate(zip(cells, widths, strict=True)):
            text = cut(cell, width)
            blank = " " * (width - display_width(text))
            parts.append(blank + text if number in self.numbers else text + blank)
        return _GAP.join(parts).rstrip()


def terminal_width(stream: Any) -> int | None:
    """Return how wide the terminal is; ``None`` where nobody's screen is written to."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def plain(text: str) -> str:
    """Return ``text`` without what would move the cursor or colour the terminal."""
    # The indentation of a tree is kept; no-break spaces and the like become spaces.
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else "\N{REPLACEMENT CHARACTER}"


def display_width(text: str) -> int:
    """Return how many columns of a terminal ``text`` takes."""
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) == "Cf":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, width: int) -> str:
    """Return ``text``, or its beginning and an ellipsis where it is too wide."""
    if display_width(text) <= width:
        return text
    kept, room = "", width - 1
    for character in text:
        room -= _columns(character)
        if room < 0:
            break
        kept += character
    return f"{kept}…"
