"""Enum members, dataclasses and named tuples, stored by the import path of their class.

Reading builds objects without calling a constructor or any other code of the class, as
``copy`` and ``pickle`` do; and only objects of classes of these three kinds. So a
forged path can import a module that is there, but run nothing else.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable
from functools import cached_property, lru_cache
from importlib import import_module
from types import ModuleType
from typing import Any, Protocol

from django.utils.functional import cached_property as django_cached_property

from django_durable.codec.refusals import Refused
from django_durable.types import JSON, Tree


class Encoder(Protocol):
    """Encodes a value that stands ``depth`` levels deep."""

    def __call__(self, value: Any, depth: int, /) -> JSON: ...


Decoder = Callable[[Any], Any]


def _checked_path(cls: type) -> str:
    """Return ``"module:Outer.Inner"``, after checking that it leads back to ``cls``."""
    name = cls.__qualname__
    if "<locals>" in name:
        raise Refused(
            f"the class {cls.__name__} is defined inside a function, so no other "
            "process can import it. Move it to the top level of a module."
        )
    if cls.__module__ == "__main__":
        raise Refused(
            f"the class {name} is defined in the program that was started, so a worker "
            "cannot import it. Move it to a module."
        )
    path = f"{cls.__module__}:{name}"
    if _find(path) is not cls:
        raise Refused(
            f"the class {name} is not what {path!r} leads to, so it cannot be imported "
            "again. Give it the name under which its module holds it."
        )
    return path


class_path: Callable[[type], str] = lru_cache(maxsize=1024)(_checked_path)


def _find(path: str) -> object:
    module, _, name = path.partition(":")
    try:
        found: object = import_module(module)
        for part in name.split("."):
            if not isinstance(found, ModuleType | type):
                return None
            found = getattr(found, part)
    except (ImportError, AttributeError, TypeError, ValueError):
        return None
    return found


def _found_class(path: str, kind: type, marker: str = "__name__") -> Any:
    cls = _find(path)
    if not isinstance(cls, type):
        raise Refused(
            f"the class {path!r} cannot be imported any more. Keep it there, if only "
            "as another name for the new one, as long as something stored needs it."
        )
    if not (issubclass(cls, kind) and hasattr(cls, marker)):
        raise Refused(f"{path!r} is no longer a class of the kind that was stored.")
    return cls


def encode_enum(member: enum.Enum, _depth: int) -> JSON:
    """Encode by name, which survives a change of the value; flags also by value."""
    cls = type(member)
    tree: Tree = {"$type": "enum", "class": class_path(cls)}
    name = member._name_
    if name in cls.__members__:
        return {**tree, "name": name}
    if isinstance(member, enum.Flag) and isinstance(member._value_, int):
        return {**tree, "value": member._value_}
    raise Refused(f"it is no member of the enum {cls.__name__}. Store its value.")


def decode_enum(tree: Tree) -> enum.Enum:
    """Return the member."""
    cls: type[enum.Enum] = _found_class(tree["class"], enum.Enum)
    if "value" in tree and issubclass(cls, enum.Flag):
        return cls(tree["value"])
    member = cls.__members__.get(tree["name"])
    if member is None:
        raise Refused(
            f"the enum {tree['class']!r} has no member {tree['name']!r} any more. Keep "
            "the name as an alias as long as something stored needs it."
        )
    return member


def _check_dataclass(cls: type) -> None:
    try:
        object.__new__(cls)
    except TypeError:
        raise Refused(
            f"the dataclass {cls.__name__} also extends a built-in type. Store its "
            "fields."
        ) from None


def encode_dataclass(value: Any, encode: Encoder, depth: int) -> JSON:
    """Encode the fields, and under ``state`` what else the instance was given."""
    cls = type(value)
    _check_dataclass(cls)
    tree: Tree = {"$type": "dataclass", "class": class_path(cls)}
    names = [field.name for field in dataclasses.fields(cls)]
    tree["fields"] = _attributes(value, names, encode, depth)
    others = [
        name
        for name in getattr(value, "__dict__", ())
        if name not in tree["fields"] and not _is_cached(cls, name)
    ]
    if others:
        tree["state"] = _attributes(value, others, encode, depth)
    return tree


def _attributes(value: Any, names: list[str], encode: Encoder, depth: int) -> Tree:
    tree: Tree = {}
    for name in names:
        try:
            if hasattr(value, name):
                tree[name] = encode(getattr(value, name), depth)
        except Refused as refused:
            refused.found_in(value, f".{name}")
            raise
    return tree


def _is_cached(cls: type, name: str) -> bool:
    """Tell whether an attribute is only remembered, and made again when asked for."""
    found = getattr(cls, name, None)
    return isinstance(found, cached_property | django_cached_property)


def decode_dataclass(tree: Tree, decode: Decoder) -> Any:
    """Return the instance; ``__init__`` and ``__post_init__`` are not called.

    A field that was added to the class since gets its default; one that was removed is
    left out.
    """
    cls = _found_class(tree["class"], object, "__dataclass_fields__")
    instance = object.__new__(cls)
    for field in dataclasses.fields(cls):
        if field.name in tree["fields"]:
            value = _part(tree["fields"], field.name, decode, instance)
        elif field.default is not dataclasses.MISSING:
            value = field.default
        elif field.default_factory is not dataclasses.MISSING:
            value = field.default_factory()
        elif field.init:
            raise _no_default(tree["class"], field.name)
        else:
            continue
        object.__setattr__(instance, field.name, value)
    for name in tree.get("state", ()):
        value = _part(tree["state"], name, decode, instance)
        object.__setattr__(instance, name, value)
    return instance


def _part(fields: Tree, name: str, decode: Decoder, container: object) -> Any:
    try:
        return decode(fields[name])
    except Refused as refused:
        refused.found_in(container, f".{name}")
        raise


def _no_default(path: str, name: str) -> Refused:
    return Refused(
        f"{path!r} has a new field {name!r}, which this was stored without. Give the "
        "field a default."
    )


def encode_named_tuple(value: Any, encode: Encoder, depth: int) -> JSON:
    """Encode the fields by name."""
    names = list(type(value)._fields)
    return {
        "$type": "namedtuple",
        "class": class_path(type(value)),
        "fields": _attributes(value, names, encode, depth),
    }


def decode_named_tuple(tree: Tree, decode: Decoder) -> Any:
    """Return the named tuple; a field added since gets its default."""
    cls = _found_class(tree["class"], tuple, "_fields")
    defaults = getattr(cls, "_field_defaults", {})
    values = []
    for name in cls._fields:
        if name in tree["fields"]:
            values.append(_part(tree["fields"], name, decode, cls))
        elif name in defaults:
            values.append(defaults[name])
        else:
            raise _no_default(tree["class"], name)
    return tuple.__new__(cls, values)
