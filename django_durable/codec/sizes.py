"""Trees as text, and how large they may be."""

from __future__ import annotations

import json
from typing import Any

from django_durable.codec.refusals import key_part
from django_durable.exceptions import NotStorable

# A tree that `encode` made has no cycles: not looking for them takes half the time.
_WRITER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")
)


def dumps(tree: Any) -> str:
    """Return the compact JSON text of a tree."""
    return _WRITER.encode(tree)


def check_size(text_or_tree: Any, limit: int, name: str = "data") -> None:
    """Refuse what is more than ``limit`` bytes of JSON in UTF-8.

    ``text_or_tree`` is a tree or what ``dumps`` made of it. The error names the largest
    part.
    """
    is_text = isinstance(text_or_tree, str)
    text = text_or_tree if is_text else dumps(text_or_tree)
    # UTF-8 takes at most four bytes for a character: most texts need not be encoded.
    if len(text) * 4 <= limit or (size := len(text.encode())) <= limit:
        return
    raise NotStorable(
        name + _largest_part(text),
        f"{name} takes {size:,} bytes of JSON, and MAX_PAYLOAD_BYTES allows {limit:,}. "
        "Store large values elsewhere, and a reference to them here.",
    )


def _largest_part(text: str) -> str:
    try:
        tree = json.loads(text)
    except ValueError:  # A tree that is a str is its own text.
        return ""
    if not isinstance(tree, dict):
        return ""
    return key_part(max(tree, key=lambda key: len(dumps(tree[key]))))
