"""Paths: names joined by dots, with an index after a round or an item."""

from __future__ import annotations

import re
from collections.abc import Iterator

_INDEX = re.compile(r"\[\d+\]")
_INDEX_AT_END = re.compile(r"\[(\d+)\]\Z")
_LAST_INDEX = re.compile(r"\[(\d+)\][^\[]*\Z")


def split(path: str) -> tuple[str, str]:
    """Return the path of the block around, empty at the top, and the last name."""
    around, _, name = path.rpartition(".")
    return around, name


def blocks_around(path: str) -> Iterator[str]:
    """Yield the path and those of all blocks around it, innermost first."""
    while path:
        yield path
        path = split(path)[0]


def join(around: str, name: str) -> str:
    """Return the path of ``name`` in the block at ``around``."""
    return f"{around}.{name}" if around else name


def template(path: str) -> str:
    """Return the path without indices: where the node stands in the graph."""
    return _INDEX.sub("", path) if "[" in path else path


def index_of(path: str) -> int | None:
    """Return the index at the very end of ``path``."""
    found = _INDEX_AT_END.search(path)
    return int(found[1]) if found else None


def last_index(path: str) -> int | None:
    """Return the last index in ``path``, wherever it stands."""
    found = _LAST_INDEX.search(path)
    return int(found[1]) if found else None


def without_index(path: str) -> str:
    """Return ``path`` without the index at its very end."""
    return _INDEX_AT_END.sub("", path)


def items_of(each: str) -> str:
    """Return what stands for the paths of all items of an each, and not for its own."""
    return f"{each}[]"


def without_items(path: str) -> str:
    """Return the path of the each if ``path`` stands for its items, or ``path``."""
    return path.removesuffix("[]")


def round_of(loop: str, *, plus: int = 0) -> str:
    """Return the path of a round of a loop; without an index it is the first."""
    return f"{without_index(loop)}[{(index_of(loop) or 0) + plus}]"
