"""What is wrong with a value of the ``DURABLE`` setting, judged without reading any."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

DEFAULT_INSTANCE = "default"
DEFAULT_DATABASE = "default"
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
FINAL_STATUSES = (
    "completed",
    "failed",
    "cancelled",
    "compensated",
    "compensation_failed",
)

MIN_KEY_LENGTH = 32
"""Characters that a key of the webhook has at least."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault of the setting: where it is, what is wrong, what would be right."""

    key: str
    message: str
    hint: str


# A rule takes the key, as a reader would write it, and the value, and yields problems.

Rule: TypeAlias = Callable[[str, object], Iterator[Problem]]


def find_problems(
    value: object, *, databases: Collection[str] | None = None
) -> list[Problem]:
    """Return what is wrong with ``value`` as the ``DURABLE`` setting.

    ``databases`` are the aliases of ``settings.DATABASES``, where those are to be
    checked as well.
    """
    if not isinstance(value, Mapping):
        return list(_mapping("DURABLE", value))
    found: list[Problem] = []
    for name, instance in value.items():
        found.extend(_instance(f"DURABLE[{quoted(name)}]", name, instance))
    return [*found, *_database_problems(value, databases)]


def _instance(key: str, name: object, value: object) -> Iterator[Problem]:
    if not isinstance(name, str) or not name:
        yield _wrong_type(key, name, "a name as the key of an instance")
    elif name in INSTANCE_RULES:
        yield Problem(
            key,
            f"{key} is a setting of an instance, not an instance.",
            f'Write DURABLE = {{"{DEFAULT_INSTANCE}": {{{quoted(name)}: …}}}}.',
        )
    else:
        yield from _members(INSTANCE_RULES)(key, value)


def _database_problems(
    value: Mapping[str, Any], databases: Collection[str] | None
) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for name, instance in value.items():
        given = instance if isinstance(instance, Mapping) else {}
        alias = given.get("DATABASE", DEFAULT_DATABASE)
        key = f'DURABLE[{quoted(name)}]["DATABASE"]'
        if not isinstance(alias, str) or name in INSTANCE_RULES:
            continue
        if databases is not None and alias not in databases:
            yield Problem(
                key,
                f"{key} names {quoted(alias)}, which is not in DATABASES.",
                _suggest(alias, databases),
            )
        if alias in owners:
            yield Problem(
                key,
                f"{key} is {quoted(alias)}, which instance {quoted(owners[alias])} "
                "has already: the two would take each other's executions.",
                "Give each instance a database alias of its own.",
            )
        owners.setdefault(alias, name)


def _members(rules: Mapping[str, Rule]) -> Rule:
    """Return the rule of a dict that has these keys, each with a rule of its own."""

    def rule(key: str, value: object) -> Iterator[Problem]:
        if not isinstance(value, Mapping):
            yield from _mapping(key, value)
            return
        for name, member in value.items():
            path = f"{key}[{quoted(name)}]"
            if name in rules:
                yield from rules[name](path, member)
            else:
                message = f"{path} is not a setting."
                yield Problem(path, message, _suggest(name, rules))

    return rule


def _each(member: Rule, *, noun: str) -> Rule:
    """Return the rule of a dict from names that the user chooses."""

    def rule(key: str, value: object) -> Iterator[Problem]:
        if not isinstance(value, Mapping):
            yield from _mapping(key, value)
            return
        if not value:
            yield Problem(key, f"{key} is empty.", f"Name at least one {noun}.")
        for name, entry in value.items():
            path = f"{key}[{quoted(name)}]"
            if not isinstance(name, str) or not name:
                yield _wrong_type(path, name, f"the name of a {noun} as the key")
            else:
                yield from member(path, entry)

    return rule


def _checked(accepts: Callable[[object], bool], wanted: str) -> Rule:
    """Return the rule of a plain value that ``accepts`` is true of."""

    def rule(key: str, value: object) -> Iterator[Problem]:
        if not accepts(value):
            yield _wrong_type(key, value, wanted)

    return rule


def _is_int(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_seconds(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value) and value > 0


def _is_age(value: object) -> bool:
    return value is None or (isinstance(value, timedelta) and value > timedelta())


def _or_none(rule: Rule) -> Rule:
    """Return the rule of what may also be ``None``, which is off."""

    def or_none(key: str, value: object) -> Iterator[Problem]:
        if value is not None:
            yield from rule(key, value)

    return or_none


def _is_base_url(value: object) -> bool:
    if not isinstance(value, str):
        return False
    return not value or bool(re.fullmatch(r"https?://[^/?#\s]+(/[^?#\s]*)?", value))


# Of a key of the webhook nothing is shown, nor of what may be one.


def _webhook(key: str, value: object) -> Iterator[Problem]:
    if not isinstance(value, Mapping):
        yield Problem(key, f"{key} is no dict.", 'Give {"keys": [...]}, or None.')
        return
    yield from _members({"keys": _keys, "tolerance": _seconds})(key, value)
    if "keys" not in value:
        yield Problem(key, f'{key} has no "keys".', _KEYS_WANTED)


def _keys(key: str, value: object) -> Iterator[Problem]:
    if not isinstance(value, list | tuple) or not value:
        yield Problem(key, f"{key} is not a list of keys.", _KEYS_WANTED)
        return
    for number, one in enumerate(value):
        path = f"{key}[{number}]"
        if not isinstance(one, str):
            yield Problem(path, f"{path} is no text.", _KEYS_WANTED)
        elif len(one) < MIN_KEY_LENGTH:
            told = f"{path} has {len(one)} characters, which is too short."
            yield Problem(path, told, _KEYS_WANTED)


_KEYS_WANTED = (
    f"Give a list of random texts of at least {MIN_KEY_LENGTH} characters, such as "
    "secrets.token_hex(32) makes."
)


def _level(key: str, value: object) -> Iterator[Problem]:
    if value not in LOG_LEVELS:
        hint = _suggest(value, LOG_LEVELS)
        yield Problem(key, f"{key} is {value!r}, which is not a log level.", hint)


def _wrong_type(key: str, value: object, wanted: str) -> Problem:
    return Problem(key, f"{key} is {_shown(value)}.", f"Give {wanted}.")


def _suggest(name: object, known: Collection[str]) -> str:
    """Return "Did you mean …?", or all the names where none is near."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    near = difflib.get_close_matches(str(name).casefold(), by_folded, n=1)
    if near:
        return f"Did you mean {quoted(by_folded[near[0]])}?"
    return f"Known are: {', '.join(map(quoted, known))}."


def quoted(name: object) -> str:
    """Return a key as the page on settings writes it, in double quotes."""
    return f'"{name}"' if isinstance(name, str) else repr(name)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


_flag = _checked(lambda value: isinstance(value, bool), "True or False")
_seconds = _checked(_is_seconds, "a number of seconds greater than 0")
_positive = _checked(lambda value: _is_int(value, 1), "a whole number from 1")
_count = _checked(lambda value: _is_int(value, 0), "a whole number from 0")
_age = _checked(_is_age, "a timedelta greater than 0, such as days(30), or None")
_lifetime = _checked(
    lambda value: value is not None and _is_age(value),
    "a timedelta greater than 0, such as days(7)",
)
_base_url = _checked(
    _is_base_url, 'where the site is found, such as "https://shop.example.com", or ""'
)
_mapping = _checked(lambda value: isinstance(value, Mapping), "a dict")
_name = _checked(lambda value: isinstance(value, str) and value != "", "a name")

INSTANCE_RULES: Mapping[str, Rule] = {
    "DATABASE": _name,
    "QUEUES": _each(_members({"concurrency": _positive}), noun="queue"),
    "QUEUE_ENABLED": _flag,
    "POLL_INTERVAL": _seconds,
    "LEASE": _seconds,
    "MAX_LOST_ATTEMPTS": _count,
    "MAX_PAYLOAD_BYTES": _positive,
    "SCHEDULER_INTERVAL": _seconds,
    "RETENTION": _members(dict.fromkeys(FINAL_STATUSES, _age)),
    "LOGS": _members(
        {
            "level": _level,
            "capture_stdout": _flag,
            "max_entries": _count,
            "max_length": _positive,
        }
    ),
    "ANSWER_LINKS": _or_none(_members({"max_age": _lifetime, "base_url": _base_url})),
    "WEBHOOK": _or_none(_webhook),
}
