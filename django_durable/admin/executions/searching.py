"""What is typed into the search box of executions -> a condition.

Words stand for themselves, or are ``key:value``; ``"…"`` holds a value with blanks. A
word without key is looked for as id, key, tag, workflow and in the text of errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from django.db.models import Q

from django_durable import clock
from django_durable.console.answers import UsageError
from django_durable.console.words import parse_since
from django_durable.models.execution import ExecutionQuerySet

Condition: TypeAlias = Callable[[ExecutionQuerySet, str], ExecutionQuerySet]

_WORD = re.compile(r'(?:(?P<key>[a-z_]+):)?(?:"(?P<quoted>[^"]*)"?|(?P<plain>\S+))')
_HEXADECIMAL = set("0123456789abcdef")
_FEWEST_DIGITS = 8
_NUL = "\x00"


def search(rows: ExecutionQuerySet, text: str) -> ExecutionQuerySet:
    """Narrow ``rows`` to those that match every word of ``text``."""
    for found in _WORD.finditer(text.replace(_NUL, "")):
        key, value = found["key"], found["quoted"] or found["plain"] or ""
        if key in _CONDITIONS:
            rows = _CONDITIONS[key](rows, value)
        else:
            rows = _any(rows, f"{key}:{value}" if key else value)
    return rows


def _any(rows: ExecutionQuerySet, word: str) -> ExecutionQuerySet:
    found = Q(idempotency_key=word) | Q(workflow=word) | _error(word)
    found |= rows.has_tag(word)
    if len(word) >= _FEWEST_DIGITS and (bounds := _bounds(word)):
        found |= Q(pk__range=bounds)
    return rows.filter(found)


def _bounds(word: str) -> tuple[str, str] | None:
    """Return the first and the last id that begins so; ``None`` if none can."""
    digits = word.replace("-", "").lower()
    if not digits or len(digits) > 32 or set(digits) - _HEXADECIMAL:
        return None
    return digits.ljust(32, "0"), digits.ljust(32, "f")


def _error(text: str) -> Q:
    return Q(error__message__icontains=text) | Q(error__type__icontains=text)


def _id(rows: ExecutionQuerySet, value: str) -> ExecutionQuerySet:
    bounds = _bounds(value)
    return rows.filter(pk__range=bounds) if bounds else rows.none()


def _status(rows: ExecutionQuerySet, value: str) -> ExecutionQuerySet:
    if value == "open":
        return rows.open()
    return rows.with_status(value.split(","))


def _since(rows: ExecutionQuerySet, value: str) -> ExecutionQuerySet:
    try:
        return rows.created_since(parse_since(value, clock.now()))
    except UsageError:
        return rows.none()


def _until(rows: ExecutionQuerySet, value: str) -> ExecutionQuerySet:
    try:
        return rows.filter(created_at__lt=parse_since(value, clock.now()))
    except UsageError:
        return rows.none()


_CONDITIONS: Mapping[str, Condition] = {
    "id": _id,
    "status": _status,
    "workflow": lambda rows, value: rows.filter(workflow=value),
    "queue": lambda rows, value: rows.filter(queue=value),
    "tag": lambda rows, value: rows.tagged(value),
    "key": lambda rows, value: rows.filter(idempotency_key__startswith=value),
    "error": lambda rows, value: rows.filter(_error(value), error__isnull=False),
    "step": lambda rows, value: rows.filter(current_step__startswith=value),
    "waiting": lambda rows, value: rows.filter(waiting_for__icontains=value),
    "since": _since,
    "until": _until,
}

KEYS = tuple(_CONDITIONS)
