"""Tables in a terminal, whatever script the names are written in."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

_JOINER = "\u200d"
_LEFT_TO_RIGHT_MARK = "\u200e"
_EMOJI_STYLE = "\ufe0f"


def width(text: str) -> int:
    """Return how many columns a terminal takes for ``text``, as well as can be known.

    Chinese, Japanese, Korean and emoji take two columns, accents that are written as
    characters of their own none, and emoji that are joined to one take that one's.
    """
    total, is_joined = 0, False
    for character in text:
        if character == _JOINER:
            is_joined = True
        elif character == _EMOJI_STYLE:
            total += 1
        elif not is_joined and not _is_invisible(character):
            total += 2 if unicodedata.east_asian_width(character) in "WF" else 1
        is_joined = character == _JOINER
    return total


def _is_invisible(character: str) -> bool:
    is_skin_tone = "\U0001f3fb" <= character <= "\U0001f3ff"
    return is_skin_tone or unicodedata.category(character) in ("Mn", "Me", "Cf", "Cc")


def fit(text: str, columns: int, *, right: bool = False) -> str:
    """Return ``text`` filled up, or cut, to exactly so many columns."""
    if width(text) > columns:
        while text and width(text) > columns - 1:
            text = text[:-1].removesuffix(_JOINER)
        text += "…"
    padding = " " * (columns - width(text))
    if any(unicodedata.bidirectional(character) in ("R", "AL") for character in text):
        # Without it a terminal that knows right-to-left turns the next cell round too.
        text += _LEFT_TO_RIGHT_MARK
    return padding + text if right else text + padding


def columns_of(rows: Sequence[Sequence[str]], *, most: int) -> list[int]:
    """Return how wide each column must be, ``most`` at most."""
    return [min(most, max(map(width, cells))) for cells in zip(*rows, strict=True)]
