"""Why a value cannot be stored, and where it stands.

``Refused`` travels upwards through the containers, each of which adds its part of the
path: so paths cost nothing as long as nothing is refused. It never leaves the codec.
The texts name types only: the ``repr`` of a stranger's object is not called.
"""

from __future__ import annotations

import io
from collections.abc import Coroutine, Iterator, Mapping, Set
from functools import partial
from types import (
    BuiltinFunctionType,
    FunctionType,
    MethodType,
    MethodWrapperType,
    ModuleType,
)

from django.core.files.base import File
from django.db.models.manager import BaseManager
from django.utils.datastructures import MultiValueDict

from django_durable.exceptions import NotStorable

# MySQL takes 100 levels of JSON; what stands at the bottom may have some of its own.
MAX_DEPTH = 96
TOO_DEEP = f"it is nested more than {MAX_DEPTH} levels of JSON deep. Make it flatter."
CYCLE = "it contains itself, so it has no end. Store the parts it is made of."

_LONGEST_KEY = 60
_SHOWN_LEVELS = 6


class Refused(Exception):
    """A value that cannot be stored or read, on its way up to ``encode``/``decode``.

    ``is_about_key``: the path ends at the container whose key is refused.
    """

    def __init__(
        self,
        reason: str,
        *,
        error: type[NotStorable] = NotStorable,
        is_about_key: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.error = error
        self._is_about_key = is_about_key
        self._trail: list[tuple[str, int]] = []

    def found_in(self, container: object, part: str) -> None:
        """Note that it was found at ``part`` (such as ``[3]``) of ``container``."""
        if self._is_about_key:
            self._is_about_key = False
        else:
            self._trail.append((part, id(container)))

    def as_error(self, name: str) -> NotStorable:
        """Return the public error; ``name`` is what the whole value is called."""
        trail = self._trail[::-1]
        if self.reason != TOO_DEEP:
            return self.error(name + "".join(part for part, _ in trail), self.reason)
        seen: set[int] = set()
        for level, (_, container) in enumerate(trail):
            if container in seen:
                return self.error(name + _parts(trail[:level]), CYCLE)
            seen.add(container)
        return self.error(name + _parts(trail[:_SHOWN_LEVELS]) + "…", TOO_DEEP)


def _parts(trail: list[tuple[str, int]]) -> str:
    return "".join(part for part, _ in trail)


def key_part(key: object) -> str:
    """Return the part of a path that stands for a key of a mapping."""
    text = repr(str.__str__(key)) if issubclass(type(key), str) else type(key).__name__
    return f"[{text if len(text) <= _LONGEST_KEY else text[:_LONGEST_KEY] + '…'}]"


def check_text(text: str, what: str = "it", *, is_about_key: bool = False) -> None:
    """Refuse what PostgreSQL cannot keep in ``jsonb`` or UTF-8 cannot write."""
    if "\0" in text:
        raise Refused(
            f"{what} contains \\u0000, which databases cannot keep in text. "
            "Remove it, or store bytes.",
            is_about_key=is_about_key,
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refused(
            f"{what} contains half a surrogate pair, which is no character. "
            "Remove it, or store bytes.",
            is_about_key=is_about_key,
        ) from None


def plain_key(key: object) -> str:
    """Return the key as an exact ``str``; only strings are keys in JSON."""
    if issubclass(type(key), str):
        return str.__str__(key)
    remedy = f"Use {str(key)!r}." if type(key) in (int, float, bool) else "Use a str."
    raise Refused(
        f"it has {_article(key)} as a key, and keys are str. {remedy}",
        is_about_key=True,
    )


_REASONS: tuple[tuple[tuple[type, ...], str], ...] = (
    (
        (
            FunctionType,
            BuiltinFunctionType,
            MethodType,
            MethodWrapperType,
            partial,
        ),
        "a function cannot be stored. Store its name or the values it needs.",
    ),
    ((type,), "a class cannot be stored. Store its name."),
    ((ModuleType,), "a module cannot be stored. Store its name."),
    (
        (io.IOBase, File),
        "an open file cannot be stored. Store its name or its content.",
    ),
    ((Coroutine,), "a coroutine cannot be stored. Await it, and store its result."),
    (
        (BaseManager,),
        "a manager cannot be stored. Store its .all(), or the primary keys you need.",
    ),
    (
        (MultiValueDict,),
        "a MultiValueDict cannot be stored. Store its .dict(), or dict(….lists()).",
    ),
    ((bytearray, memoryview), "only bytes are kept of buffers. Store bytes(…) of it."),
    ((BaseException,), "an exception cannot be stored. Store str(…) of it."),
)


def unknown_type(value: object) -> Refused:
    """Return the refusal of a value whose type the codec does not know."""
    kind = type(value)
    for types, reason in _REASONS:
        if issubclass(kind, types):
            return Refused(reason)
    if issubclass(kind, Iterator | Set | range):
        remedy = "Store list(…) of it."
    elif issubclass(kind, Mapping):
        remedy = "Store dict(…) of it."
    else:
        remedy = "Store the plain values it holds, or make its class a dataclass."
    return Refused(f"{_article(value)} cannot be stored. {remedy}")


def _article(value: object) -> str:
    name = type(value).__name__
    return f"{'an' if name[:1] in 'aeiouAEIO' else 'a'} {name}"
