"""When the members of a block have ended: fail with one of them, or join them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django_durable.definition.nodes import EachNode, FanOutNode
from django_durable.definition.paths import index_of, split, without_index
from django_durable.engine.state import Member
from django_durable.types import Tree


@dataclass(frozen=True, slots=True)
class Result:
    """What a member came to: ``value`` when it is ``ok``, else ``error``.

    ``value`` is the mapping of keys that the member added or changed.
    """

    ok: bool
    value: Any
    error: Tree | None


def first_failure(node: FanOutNode, members: Sequence[Member]) -> Tree | None:
    """Return the error that ends the block, if ``on_error`` lets one do that.

    A member that has cancelled itself cancels the execution, whatever ``on_error`` is.
    """
    failed = [member for member in members if not member.is_completed]
    for member in failed:
        if has_cancelled_itself(member.error):
            return member.error
    if node.on_error == "complete_all":
        return None
    # Siblings that the first failure has cancelled say nothing of their own.
    failed.sort(key=lambda member: (member.error or {}).get("type") == "cancelled")
    return (failed[0].error or {}) if failed else None


def has_cancelled_itself(error: Tree | None) -> bool:
    """Say whether a member's step raised ``Cancel``: only then the error names a step."""
    error = error or {}
    return error.get("type") == "cancelled" and error.get("step") is not None


def name_of(member: Member) -> str:
    """Return the name under which a member's value is joined: its own, or its index."""
    index = index_of(member.path)
    return split(member.path)[1] if index is None else str(index)


def default_join(node: FanOutNode, members: Sequence[Member]) -> Tree:
    """Return what a block without ``join`` adds to the data.

    Each member's value under the member's name, for ``Each`` as a list under the
    block's name; failed ones are left out and kept under ``<block>_errors``.
    """
    block = split(without_index(node.path))[1]
    completed = [member for member in members if member.is_completed]
    errors = {name_of(one): one.error for one in members if not one.is_completed}
    joined: Tree = (
        {block: [member.value for member in completed]}
        if isinstance(node, EachNode)
        else {name_of(member): member.value for member in completed}
    )
    return {**joined, f"{block}_errors": errors} if errors else joined
