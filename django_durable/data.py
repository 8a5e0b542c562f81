"""Small changes to data that leave the given mapping as it was.

Made for a step's last line: ``return increment(data, "attempts")``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from numbers import Number
from typing import Any


def assign(data: Mapping[str, Any], /, **values: Any) -> dict[str, Any]:
    """Return the data with ``values`` laid over it."""
    return {**data, **values}


def update(
    data: Mapping[str, Any], key: str, default: Any, function: Callable[[Any], Any]
) -> dict[str, Any]:
    """Return the data with ``data[key]`` replaced by ``function`` of it.

    A missing key starts from ``default``: ``function`` is applied to that. It gets a
    copy, so it may change what it gets.
    """
    return {**data, key: function(copy.deepcopy(data.get(key, default)))}


def append(data: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """Return the data with ``value`` at the end of the list ``data[key]``.

    A missing key starts from an empty list.
    """
    items = data.get(key, [])
    if not isinstance(items, list):
        raise TypeError(f"data[{key!r}] is {_kind(items)}; append() needs a list.")
    return {**data, key: [*items, value]}


def increment(data: Mapping[str, Any], key: str, by: Any = 1) -> dict[str, Any]:
    """Return the data with ``by`` added to the number ``data[key]``.

    A missing key starts from zero.
    """
    number = data.get(key, 0)
    if not isinstance(number, Number) or isinstance(number, bool):
        raise TypeError(
            f"data[{key!r}] is {_kind(number)}; increment() needs a number."
        )
    return {**data, key: number + by}


def _kind(value: Any) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"
