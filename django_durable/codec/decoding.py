"""JSON tree -> value. A tree from the database is not trusted: it calls nothing."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal, DecimalException
from typing import Any
from uuid import UUID

from django_durable.codec.classes import (
    decode_dataclass,
    decode_enum,
    decode_named_tuple,
)
from django_durable.codec.instances import Reference, lazy_instance
from django_durable.codec.refusals import TOO_DEEP, Refused, key_part
from django_durable.exceptions import NotStorable
from django_durable.types import Tree

Instances = Callable[[Reference], Any]

_ESCAPED = re.compile(r"\$+type", re.ASCII)
_DAMAGED = (KeyError, TypeError, ValueError, AttributeError, OverflowError)


def decode(
    tree: Any, *, instances: Instances = lazy_instance, name: str = "data"
) -> Any:
    """Return the value that a tree stands for: new containers each time.

    ``instances`` gets the value of a reference to a model instance: ``lazy_instance``
    (on first use) or ``fetch_instance`` (now; it needs the database). What is no tree,
    such as a ``Decimal``, stays as it is. Raises ``NotStorable`` for what this code
    cannot read (a class that is gone), ``InstanceGone`` for an instance that is.
    """
    try:
        return _decode(tree, instances)
    except Refused as refused:
        raise refused.as_error(name) from refused.__cause__
    except RecursionError:
        raise NotStorable(name, TOO_DEEP) from None


def _decode(tree: Any, instances: Instances) -> Any:
    kind = type(tree)
    if kind is dict:
        return _decode_dict(tree, instances)
    if kind is list:
        return _decode_items(tree, instances)
    return tree


def _decode_dict(tree: Tree, instances: Instances) -> Any:
    if "$type" in tree:
        return _decode_tagged(tree, instances)
    value = {}
    key = ""
    try:
        for key, item in tree.items():
            if key[:2] == "$$" and _ESCAPED.fullmatch(key):
                key = key[1:]
            value[key] = item if type(item) in _PLAIN else _decode(item, instances)
    except Refused as refused:
        refused.found_in(tree, key_part(key))
        raise
    return value


_PLAIN = frozenset({str, int, float, bool, type(None)})


def _decode_items(items: Iterable[Any], instances: Instances) -> list[Any]:
    value: list[Any] = []
    try:
        for item in items:
            # One by one: the length says where the refused item stands.
            value.append(item if type(item) in _PLAIN else _decode(item, instances))  # noqa: PERF401
    except Refused as refused:
        refused.found_in(items, f"[{len(value)}]")
        raise
    return value


def _decode_tagged(tree: Tree, instances: Instances) -> Any:
    tag = tree["$type"]
    reader = _READERS.get(tag) if isinstance(tag, str) else None
    if reader is None:
        raise Refused(
            f"it is stored as {tag!r}, which this version of the code does not know. "
            "Is an older version running beside a newer one?"
        )
    try:
        return reader(tree, instances)
    except NotStorable as error:
        raise Refused(f"{error}", error=type(error)) from error.__cause__
    except (*_DAMAGED, DecimalException) as error:
        raise Refused(f"what is stored as {tag!r} is damaged.") from error


def _read_int(tree: Tree, _instances: Instances) -> int:
    return int(tree["value"])


def _read_float(tree: Tree, _instances: Instances) -> float:
    return float(tree["value"])


def _read_datetime(tree: Tree, _instances: Instances) -> datetime:
    return datetime.fromisoformat(tree["value"]).replace(fold=tree.get("fold", 0))


def _read_date(tree: Tree, _instances: Instances) -> date:
    return date.fromisoformat(tree["value"])


def _read_time(tree: Tree, _instances: Instances) -> time:
    return time.fromisoformat(tree["value"]).replace(fold=tree.get("fold", 0))


def _read_timedelta(tree: Tree, _instances: Instances) -> timedelta:
    days, seconds, microseconds = tree["value"]
    return timedelta(days, seconds, microseconds)


def _read_decimal(tree: Tree, _instances: Instances) -> Decimal:
    return Decimal(tree["value"])


def _read_uuid(tree: Tree, _instances: Instances) -> UUID:
    return UUID(tree["value"])


def _read_bytes(tree: Tree, _instances: Instances) -> bytes:
    return b64decode(tree["value"], validate=True)


def _read_tuple(tree: Tree, instances: Instances) -> tuple[Any, ...]:
    return tuple(_decode_items(tree["items"], instances))


def _read_set(tree: Tree, instances: Instances) -> set[Any]:
    return set(_decode_items(tree["items"], instances))


def _read_frozenset(tree: Tree, instances: Instances) -> frozenset[Any]:
    return frozenset(_decode_items(tree["items"], instances))


def _read_model(tree: Tree, instances: Instances) -> Any:
    reference = Reference(tree["model"], _decode(tree["pk"], instances), tree["using"])
    return instances(reference)


def _read_enum(tree: Tree, _instances: Instances) -> Any:
    return decode_enum(tree)


def _read_dataclass(tree: Tree, instances: Instances) -> Any:
    return decode_dataclass(tree, lambda part: _decode(part, instances))


def _read_named_tuple(tree: Tree, instances: Instances) -> Any:
    return decode_named_tuple(tree, lambda part: _decode(part, instances))


_READERS: dict[str, Callable[[Tree, Instances], Any]] = {
    "int": _read_int,
    "float": _read_float,
    "datetime": _read_datetime,
    "date": _read_date,
    "time": _read_time,
    "timedelta": _read_timedelta,
    "decimal": _read_decimal,
    "uuid": _read_uuid,
    "bytes": _read_bytes,
    "tuple": _read_tuple,
    "set": _read_set,
    "frozenset": _read_frozenset,
    "model": _read_model,
    "enum": _read_enum,
    "dataclass": _read_dataclass,
    "namedtuple": _read_named_tuple,
}
