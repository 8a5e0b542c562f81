"""Value -> JSON tree. The path of an error is put together only when there is one."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from base64 import b64encode
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db.models import Model, QuerySet
from django.utils.datastructures import MultiValueDict
from django.utils.functional import LazyObject, Promise

from django_durable.codec.classes import (
    Encoder,
    encode_dataclass,
    encode_enum,
    encode_named_tuple,
)
from django_durable.codec.instances import Reference, content_of, reference_to
from django_durable.codec.refusals import (
    MAX_DEPTH,
    TOO_DEEP,
    Refused,
    check_text,
    key_part,
    plain_key,
    unknown_type,
)
from django_durable.exceptions import NotStorable
from django_durable.types import JSON

MAX_DIGITS = 4000
_MAX_INT = 10**MAX_DIGITS

# A key that a stored tree uses itself, or that looks like an escaped one.
_RESERVED = re.compile(r"\$+type", re.ASCII)


def encode(value: Any, *, name: str = "data") -> Any:
    """Return the JSON tree of a value: new containers, nothing shared with the caller.

    ``name`` is what errors call the whole value. Raises ``NotStorable``, whose ``path``
    says where (``data['items'][3]``).
    """
    try:
        return _encode(value, 0)
    except Refused as refused:
        raise refused.as_error(name) from refused.__cause__
    except RecursionError:
        raise NotStorable(name, TOO_DEEP) from None


def _encode(value: Any, depth: int) -> JSON:
    return _encoder_for(type(value))(value, depth)


def _as_it_is(value: Any, _depth: int) -> JSON:
    return value  # type: ignore[no-any-return]


def _encode_str(value: str, _depth: int) -> JSON:
    if "\0" in value or not value.isascii():
        check_text(value)
    return value


def _encode_int(value: int, _depth: int) -> JSON:
    # MySQL turns what has more than 64 bits into a float.
    if -0x8000000000000000 <= value <= 0x7FFFFFFFFFFFFFFF:
        return value
    if -_MAX_INT < value < _MAX_INT:
        return {"$type": "int", "value": str(value)}
    raise Refused(
        f"it is an int of more than {MAX_DIGITS:,} digits. Store it as bytes."
    )


def _encode_float(value: float, _depth: int) -> JSON:
    if not math.isfinite(value):
        raise Refused(
            "NaN and Infinity are no JSON numbers. Store None or a str instead."
        )
    text = repr(value)
    # PostgreSQL stores the digits of a number: 1e+16 comes back as an int, -0.0 as 0.0.
    if "e" in text or text == "-0.0":
        return {"$type": "float", "value": text}
    return value


def _encode_dict(value: dict[Any, Any], depth: int) -> JSON:
    if depth >= MAX_DEPTH:
        raise Refused(TOO_DEEP)
    tree: dict[str, JSON] = {}
    key: Any = None
    try:
        for key, item in dict.items(value):
            name = key if type(key) is str else plain_key(key)
            if "\0" in name or not name.isascii():
                check_text(name, f"its key {key_part(name)[1:-1]}", is_about_key=True)
            if name[:1] == "$" and _RESERVED.fullmatch(name):
                name = f"${name}"
            encoder = _EXACT.get(type(item)) or _encoder_for(type(item))
            tree[name] = encoder(item, depth + 1)
    except Refused as refused:
        refused.found_in(value, key_part(key))
        raise
    if len(tree) != len(value):
        raise Refused("two of its keys are the same text.")
    return tree


def _encode_list(value: Iterable[Any], depth: int) -> JSON:
    if depth >= MAX_DEPTH:
        raise Refused(TOO_DEEP)
    tree: list[JSON] = []
    try:
        for item in value:
            encoder = _EXACT.get(type(item)) or _encoder_for(type(item))
            tree.append(encoder(item, depth + 1))
    except Refused as refused:
        refused.found_in(value, f"[{len(tree)}]")
        raise
    return tree


def _encode_tuple(value: tuple[Any, ...], depth: int) -> JSON:
    return {"$type": "tuple", "items": _encode_list(value, depth + 1)}


def _encode_set(value: set[Any] | frozenset[Any], depth: int) -> JSON:
    if depth >= MAX_DEPTH:
        raise Refused(TOO_DEEP)
    try:
        items = [_encode(item, depth + 2) for item in value]
    except Refused as refused:
        refused.found_in(value, "[*]")
        raise
    # In a fixed order, so that equal sets make equal trees.
    items.sort(key=json.dumps)
    kind = "frozenset" if isinstance(value, frozenset) else "set"
    return {"$type": kind, "items": items}


def _encode_datetime(value: datetime, _depth: int) -> JSON:
    tree: dict[str, JSON] = {"$type": "datetime", "value": datetime.isoformat(value)}
    return {**tree, "fold": 1} if value.fold else tree


def _encode_date(value: date, _depth: int) -> JSON:
    return {"$type": "date", "value": date.isoformat(value)}


def _encode_time(value: time, _depth: int) -> JSON:
    if value.tzinfo is not None and value.utcoffset() is None:
        raise Refused(
            "a time of day in a named time zone has no offset without its date. "
            "Store the time without its zone, and the name of the zone."
        )
    tree: dict[str, JSON] = {"$type": "time", "value": time.isoformat(value)}
    return {**tree, "fold": 1} if value.fold else tree


def _encode_timedelta(value: timedelta, _depth: int) -> JSON:
    parts: list[JSON] = [value.days, value.seconds, value.microseconds]
    return {"$type": "timedelta", "value": parts}


def _encode_decimal(value: Decimal, _depth: int) -> JSON:
    if not Decimal.is_finite(value):
        raise Refused("NaN and Infinity are no numbers. Store None or a str instead.")
    return {"$type": "decimal", "value": Decimal.__str__(value)}


def _encode_uuid(value: UUID, _depth: int) -> JSON:
    return {"$type": "uuid", "value": UUID.__str__(value)}


def _encode_bytes(value: bytes, _depth: int) -> JSON:
    return {"$type": "bytes", "value": b64encode(value).decode()}


def _encode_model(value: Model, depth: int) -> JSON:
    return _encode_reference(reference_to(value), depth)


def _encode_reference(value: Reference, depth: int) -> JSON:
    return {
        "$type": "model",
        "model": value.model,
        "pk": _encode(value.pk, depth),
        "using": value.using,
    }


def _encode_lazy(value: LazyObject[Any], depth: int) -> JSON:
    return _encode(content_of(value), depth)


def _encode_promise(value: Promise, depth: int) -> JSON:
    if not hasattr(type(value), "isidentifier"):
        raise Refused("only lazy text can be stored. Store the value it stands for.")
    return _encode_str(str(value), depth)


def _encode_record(value: Any, depth: int) -> JSON:
    if depth >= MAX_DEPTH:
        raise Refused(TOO_DEEP)
    if isinstance(value, tuple):
        return encode_named_tuple(value, _encode, depth + 2)
    return encode_dataclass(value, _encode, depth + 2)


def _encode_scalar_subclass(value: Any, depth: int) -> JSON:
    """Store the plain value of a ``SafeString`` and the like, if nothing is lost."""
    if getattr(value, "__dict__", None):
        raise Refused(
            f"the attributes that {type(value).__name__} adds to its value would be "
            "lost. Store the plain value, or make its class a dataclass."
        )
    if isinstance(value, str):
        return _encode_str(str.__str__(value), depth)
    if isinstance(value, int):
        return _encode_int(int.__pos__(value), depth)
    return _encode_float(float.__pos__(value), depth)


def _refuse(value: Any, _depth: int) -> JSON:
    raise unknown_type(value)


_EXACT: dict[type, Encoder] = {
    str: _encode_str,
    int: _encode_int,
    bool: _as_it_is,
    type(None): _as_it_is,
    float: _encode_float,
    dict: _encode_dict,
    list: _encode_list,
    tuple: _encode_tuple,
    datetime: _encode_datetime,
    date: _encode_date,
    time: _encode_time,
    timedelta: _encode_timedelta,
    Decimal: _encode_decimal,
    UUID: _encode_uuid,
    bytes: _encode_bytes,
    set: _encode_set,
    frozenset: _encode_set,
    Reference: _encode_reference,
}

# In this order: an IntEnum is an Enum before it is an int, a datetime is a date.
_BY_BASE: tuple[tuple[type, Encoder], ...] = (
    (Promise, _encode_promise),
    (LazyObject, _encode_lazy),
    (Model, _encode_model),
    (QuerySet, _encode_list),
    (MultiValueDict, _refuse),
    (str, _encode_scalar_subclass),
    (int, _encode_scalar_subclass),
    (float, _encode_scalar_subclass),
    *((base, _EXACT[base]) for base in (datetime, date, time, timedelta, Decimal)),
    *((base, _EXACT[base]) for base in (UUID, bytes, dict, list, tuple)),
    *((base, _EXACT[base]) for base in (set, frozenset)),
)


def _find_encoder(kind: type) -> Encoder:
    """Return how values of a type are encoded. Looks at the type, never at a value."""
    if kind in _EXACT:
        return _EXACT[kind]
    if issubclass(kind, Enum):
        return encode_enum
    is_named_tuple = issubclass(kind, tuple) and hasattr(kind, "_fields")
    if is_named_tuple or dataclasses.is_dataclass(kind):
        return _encode_record
    return next(
        (encoder for base, encoder in _BY_BASE if issubclass(kind, base)), _refuse
    )


_encoder_for: Callable[[type], Encoder] = lru_cache(maxsize=1024)(_find_encoder)
