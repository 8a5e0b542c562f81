"""A stored tree as a person reads it who decides, not as one who looks for a mistake."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from django.apps import apps
from django.urls import NoReverseMatch, reverse
from django.utils import formats, timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import Truncator, capfirst
from django.utils.translation import gettext as _

from django_durable import codec
from django_durable.admin.display import highlighted, pretty
from django_durable.admin.moments import NOTHING
from django_durable.definition.durations import spelled
from django_durable.exceptions import NotStorable

MOST_ENTRIES = 30
MOST_COLUMNS = 6
MOST_TEXT = 2_000
_LONGEST_LABEL = 60
_LISTS = ("tuple", "set", "frozenset")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of what is known: a name, which may be empty, and a value as HTML."""

    label: str
    value: str


class Reader:
    """Reads trees for one user.

    References to model instances are named by their key, unless they are to be fetched:
    then up to ``fetches`` of them, each with a statement. They lead to the pages of the
    admin that the user may see.
    """

    def __init__(self, user: Any, *, fetches: int = 0) -> None:
        self._user = user
        self._fetches = fetches

    def entries(self, tree: Any) -> list[Entry]:
        """Return the lines of a tree: one per key of an object, else one without name."""
        if not _is_plain_object(tree):
            return [] if tree is None else [Entry("", self.value(tree))]
        shown = list(tree.items())[:MOST_ENTRIES]
        entries = [Entry(_label(key), self.value(value)) for key, value in shown]
        more = _more(tree)
        return [*entries, Entry("", more)] if more else entries

    def value(self, tree: Any) -> str:
        """Return a value as HTML."""
        match tree:
            case None | "":
                return NOTHING
            case bool():
                return _("Yes") if tree else _("No")
            case int() | float():
                return str(tree)
            case str():
                return _text(tree)
            case list():
                return self._list(tree)
            case {"$type": kind}:
                return self._typed(str(kind), tree)
            case _:
                return self._object(tree)

    def _typed(self, kind: str, tree: Mapping[str, Any]) -> str:
        if kind in _LISTS and isinstance(tree.get("items"), list):
            return self._list(tree["items"])
        if kind == "model":
            return self._instance(tree)
        try:
            found = codec.decode(tree)
        except NotStorable:
            return _code(tree)
        return _plain(found) or _code(tree)

    def _list(self, items: Sequence[Any]) -> str:
        if not items:
            return NOTHING
        if all(_is_plain_object(item) for item in items):
            return self._table(items)
        if any(isinstance(item, list) or _is_plain_object(item) for item in items):
            return _code(items)
        shown = [(self.value(item),) for item in items[:MOST_ENTRIES]]
        joined = format_html_join(", ", "{}", shown)
        return format_html("{}{}", joined, _more(items))

    def _table(self, rows: Sequence[Mapping[str, Any]]) -> str:
        """Return objects that are alike as a table; other ones as they are stored."""
        shown = rows[:MOST_ENTRIES]
        keys = list(dict.fromkeys(key for row in shown for key in row))
        is_flat = not any(
            isinstance(cell, list) or _is_plain_object(cell)
            for row in shown
            for cell in row.values()
        )
        if not (is_flat and 0 < len(keys) <= MOST_COLUMNS):
            return _code(rows)
        looks = {key: _look([row.get(key) for row in shown]) for key in keys}
        head = format_html_join(
            "",
            '<th scope="col"{}>{}</th>',
            ((looks[key], _label(key)) for key in keys),
        )
        cells = (
            format_html_join(
                "",
                "<td{}>{}</td>",
                ((looks[key], self.value(row.get(key))) for key in keys),
            )
            for row in shown
        )
        return format_html(
            '<table class="durable-small"><thead><tr>{}</tr></thead><tbody>{}</tbody>'
            "</table>{}",
            head,
            format_html_join("", "<tr>{}</tr>", ((row,) for row in cells)),
            _more(rows),
        )

    def _object(self, tree: Any) -> str:
        is_flat = all(
            not isinstance(value, list) and not _is_plain_object(value)
            for value in tree.values()
        )
        if not is_flat or not tree:
            return _code(tree)
        return format_html(
            '<dl class="durable-inner">{}</dl>',
            format_html_join(
                "",
                "<div><dt>{}</dt><dd>{}</dd></div>",
                ((entry.label, entry.value) for entry in self.entries(tree)),
            ),
        )

    def _instance(self, tree: Mapping[str, Any]) -> str:
        try:
            pk = codec.decode(tree["pk"])
            reference = codec.Reference(tree["model"], pk, tree["using"])
            model: Any = apps.get_model(reference.model)
        except (KeyError, LookupError, ValueError):
            return _code(tree)
        return self._linked(model, reference)

    def _linked(self, model: Any, reference: codec.Reference) -> str:
        text = f"{model._meta.verbose_name} {reference.pk}"
        if self._fetches > 0:
            self._fetches -= 1
            try:
                text = str(codec.fetch_instance(reference))
            except NotStorable:
                return format_html("{} ({})", text, _("which is gone"))
        url = self._url(model, reference.pk)
        return format_html('<a href="{}">{}</a>', url, text) if url else _text(text)

    def _url(self, model: Any, pk: Any) -> str:
        label, name = model._meta.app_label, model._meta.model_name
        if not self._user.has_perm(f"{label}.view_{name}"):
            return ""
        try:
            return reverse(f"admin:{label}_{name}_change", args=[pk])
        except NoReverseMatch:
            return ""


def _is_plain_object(tree: Any) -> bool:
    return isinstance(tree, dict) and "$type" not in tree


def _look(cells: Iterable[Any]) -> SafeString | str:
    """Return the attribute of cells that hold nothing but numbers."""
    is_number = all(
        isinstance(cell, int | float) and not isinstance(cell, bool)
        if not isinstance(cell, dict)
        else cell.get("$type") in ("decimal", "int", "float")
        for cell in cells
    )
    return mark_safe(' class="durable-number"') if is_number else ""


def _label(key: str) -> str:
    # A key of the user's that the codec has escaped.
    key = key[1:] if key.startswith("$$") else key
    return Truncator(capfirst(key.replace("_", " "))).chars(_LONGEST_LABEL)


def _text(text: str) -> SafeString:
    cut = Truncator(text).chars(MOST_TEXT)
    if (
        cut == text
        and text.startswith(("https://", "http://"))
        and not _has_space(text)
    ):
        return format_html('<a href="{0}" rel="noopener noreferrer">{0}</a>', text)
    return format_html("{}", cut)


def _has_space(text: str) -> bool:
    return len(text.split()) > 1


def _plain(value: Any) -> str:
    """Return a value that JSON does not have; empty for what is no plain value."""
    match value:
        case datetime():
            local = timezone.localtime(value) if timezone.is_aware(value) else value
            return formats.date_format(local, "DATETIME_FORMAT")
        case date():
            return formats.date_format(value, "DATE_FORMAT")
        case time():
            return formats.time_format(value, "TIME_FORMAT")
        case timedelta():
            return spelled(value)
        case Enum():
            return str(getattr(value, "label", None) or value.name)
        case int() | float() | Decimal() | UUID():
            return str(value)
        case bytes():
            return _("%(count)d bytes") % {"count": len(value)}
        case _:
            return ""


def _code(tree: Any) -> SafeString:
    text = Truncator(pretty(tree)).chars(MOST_TEXT)
    return format_html(
        '<pre class="durable-source"><code>{}</code></pre>', highlighted(text)
    )


def _more(items: Sized) -> SafeString | str:
    left = len(items) - MOST_ENTRIES
    if left <= 0:
        return ""
    return format_html(
        ' <span class="durable-quiet">{}</span>',
        _("and %(count)d more") % {"count": left},
    )


def briefly(tree: Any, *, most: int = 4, longest: int = 60) -> Iterator[Entry]:
    """Yield the first lines of a tree that are short texts and numbers, for a list."""
    given = tree.items() if _is_plain_object(tree) else ()
    found = 0
    for key, value in given:
        text = _in_short(value)
        if text and found < most:
            found += 1
            yield Entry(_label(key), Truncator(text).chars(longest))


def _in_short(value: Any) -> str:
    """Return a value as one line of text; empty for what has more in it."""
    match value:
        case bool():
            return _("Yes") if value else _("No")
        case int() | float() | str():
            return " ".join(str(value).split())
        case {"$type": str(), "value": str() | list()}:
            try:
                return _plain(codec.decode(value))
            except NotStorable:
                return ""
        case _:
            return ""
