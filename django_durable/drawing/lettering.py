"""How wide text will be, as far as that can be known without the reader's fonts."""

from __future__ import annotations

import unicodedata
from functools import cache

ELLIPSIS = "…"

# Widths in em of a common sans serif, rounded up: text rather ends early than runs out
# of its box.
_WIDTHS = {
    0.28: "'|",
    0.34: " ijl!,.:;I[]",
    0.41: 'frt()-/\\`"*{}',
    0.58: "ckszJvxy?",
    0.64: "abdeghnopqu0123456789_#$",
    0.84: "+<=>~^",
    0.76: "ABCDEFGHKLNOPQRSTUVXYZ&w",
    0.99: "mMW%@",
}
_OF = {letter: width for width, letters in _WIDTHS.items() for letter in letters}
_BOLD = 1.07


def width_of(text: str, size: float, *, is_bold: bool = False) -> float:
    """Return the width of a line of ``text``, for a font of ``size`` pixels."""
    em = sum(map(_em, text))
    return em * size * (_BOLD if is_bold else 1.0)


def fit(text: str, room: float, size: float, *, is_bold: bool = False) -> str:
    """Return ``text``, shortened with an ellipsis to what fits into ``room`` pixels."""
    if width_of(text, size, is_bold=is_bold) <= room:
        return text
    left = room - width_of(ELLIPSIS, size, is_bold=is_bold)
    for length, letter in enumerate(text):
        left -= width_of(letter, size, is_bold=is_bold)
        if left < 0:
            return text[:length].rstrip() + ELLIPSIS
    return text


@cache
def _em(letter: str) -> float:
    known = _OF.get(letter)
    if known is not None:
        return known
    if unicodedata.combining(letter) or unicodedata.category(letter) in ("Cf", "Mn"):
        return 0.0
    return 1.0 if unicodedata.east_asian_width(letter) in "WF" else 0.75


def fit_end(text: str, room: float, size: float) -> str:
    """Return ``text``, shortened at its beginning: the end of a path says the most."""
    return fit(text[::-1], room, size)[::-1]
