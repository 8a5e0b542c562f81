"""Whether two trees are the same, as JSON sees it."""

from __future__ import annotations

from django_durable.types import JSON


def is_same(tree: JSON, other: JSON) -> bool:
    """Say whether two encoded trees are the same; ``1``, ``1.0`` and ``True`` are not."""
    if tree is other:
        return True
    if type(tree) is not type(other):
        return False
    if isinstance(tree, dict) and isinstance(other, dict):
        return tree.keys() == other.keys() and all(
            is_same(item, other[key]) for key, item in tree.items()
        )
    if isinstance(tree, list) and isinstance(other, list):
        return len(tree) == len(other) and all(map(is_same, tree, other))
    return tree == other
