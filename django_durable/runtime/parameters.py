"""A step gets what its parameters name: keys of the data, ``data`` itself, ``ctx``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django_durable import codec
from django_durable.exceptions import MissingParameter
from django_durable.types import Tree


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a function asks for. ``optional`` parameters have a default."""

    names: tuple[str, ...]
    optional: frozenset[str]


@dataclass(slots=True)
class Bound:
    """Arguments of one call. ``data`` is the decoded object, if the body asked for it."""

    arguments: dict[str, Any]
    data: dict[str, Any] | None


@lru_cache(maxsize=4096)
def parameters_of(
    function: Callable[..., Any], *, is_method: bool = True
) -> Parameters:
    """Return what ``function`` asks for; ``self`` is left out of a method's."""
    parameters = list(inspect.signature(function).parameters.values())[int(is_method) :]
    return Parameters(
        tuple(parameter.name for parameter in parameters),
        frozenset(
            parameter.name
            for parameter in parameters
            if parameter.default is not inspect.Parameter.empty
        ),
    )


def bind(wanted: Parameters, tree: Tree, given: Mapping[str, Any]) -> Bound:
    """Return the arguments for one call from the encoded data ``tree``.

    Names in ``given`` (``ctx``, ``item`` …) come first. What is decoded is a copy; model
    instances are fetched here, so that a deleted one is an error of this step.
    """
    names = [name for name in wanted.names if name not in given]
    arguments = {name: given[name] for name in wanted.names if name in given}
    data: dict[str, Any] | None = None
    if "data" in names:
        data = codec.decode(tree, instances=codec.fetch_instance)
        arguments["data"] = data
        names.remove("data")
    for name in names:
        if name in tree:
            arguments[name] = (
                data[name]
                if data is not None
                else codec.decode(tree[name], instances=codec.fetch_instance)
            )
        elif name not in wanted.optional:
            known = ", ".join(sorted(tree)) or "nothing"
            raise MissingParameter(
                f"It asks for {name!r}, which the data does not have. The data has: "
                f"{known}. Give the parameter a default if it may be missing."
            )
    return Bound(arguments, data)
