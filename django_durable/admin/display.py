"""Values of users as HTML. All of them are hostile until they are escaped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from django_durable.admin import moments
from django_durable.admin.instances import Place
from django_durable.admin.sentences import Name, Ref, Sentence, Since, Until

MOST_JSON = 16_000
"""Characters of a payload that a page shows at once."""

# A string may have been cut off before its end.
_TOKEN = re.compile(r'("(?:[^"\\]|\\.)*(?:"|\\?\Z))(\s*:)?|[^"]+', re.DOTALL)


def said(sentence: Sentence, place: Place) -> SafeString:
    """Return a sentence with its names set apart and its times ticking."""
    return format_html_join("", "{}", ((_part(part, place),) for part in sentence))


def _part(part: Any, place: Place) -> str:
    match part:
        case Name(text):
            return format_html("<strong>{}</strong>", text)
        case Since(at):
            return moments.since(at)
        case Until(at):
            return moments.until(at)
        case Ref(id=id_, text=text):
            return execution_link(id_, text, place=place)
        case _:
            return str(part)


def short(id_: UUID) -> str:
    """Return the beginning of an id, which is when it was made, to the millisecond."""
    return str(id_)[:13]


def execution_link(id_: UUID, text: str = "", *, place: Place) -> SafeString:
    """Return a link to the page of an execution; without text it shows the id."""
    return format_html(
        '<a href="{}" title="{}"{}>{}</a>',
        place.url("execution_change", id_),
        id_,
        "" if text else format_html(' class="{}"', "durable-id"),
        text or short(id_),
    )


@dataclass(frozen=True, slots=True)
class Shown:
    """A payload as text: ``html`` is all of it, or its beginning if it ``is_cut``."""

    html: SafeString
    is_cut: bool


def pretty(tree: Any) -> str:
    """Return a stored tree as indented JSON, keys sorted."""
    text = json.dumps(tree, indent=2, sort_keys=True, ensure_ascii=False, default=str)
    # Half a surrogate pair is written as JSON escapes it.
    return text.encode("utf-8", "backslashreplace").decode()


def shown(tree: Any) -> Shown:
    """Return a stored tree as a page shows it, cut at a line if one ends near."""
    text = pretty(tree)
    cut = text
    if len(text) > MOST_JSON:
        end = text.rfind("\n", MOST_JSON // 2, MOST_JSON)
        cut = text[: MOST_JSON if end < 0 else end]
    return Shown(html=highlighted(cut), is_cut=len(cut) < len(text))


def highlighted(text: str) -> SafeString:
    """Return JSON with its keys and strings set apart."""
    return format_html_join("", "{}", ((piece,) for piece in _pieces(text)))


def _pieces(text: str) -> Iterator[str]:
    for found in _TOKEN.finditer(text):
        string, colon = found[1], found[2]
        if string is None:
            yield found[0]
        elif colon is None:
            yield format_html('<span class="durable-string">{}</span>', string)
        else:
            yield format_html('<span class="durable-key">{}</span>{}', string, colon)


# --- Tracebacks -----------------------------------------------------------------------

_FRAME = re.compile(r'\s*File "(?P<file>[^"]*)", line (?P<line>\d+)')


@dataclass(frozen=True, slots=True)
class TraceLine:
    """A line of a traceback; ``kind`` is ``frame``, ``failing``, ``error`` or empty."""

    text: str
    kind: str = ""


def trace_lines(traceback: str) -> list[TraceLine]:
    """Return the lines of a traceback, those of the frame that failed marked.

    That is the last one: its place, and the source that Python wrote under it.
    """
    lines = traceback.rstrip("\n").split("\n")
    frames = [number for number, line in enumerate(lines) if _FRAME.match(line)]
    last = frames[-1] if frames else len(lines)
    end = last + 1
    while end < len(lines) and lines[end].startswith("    "):
        end += 1
    return [
        TraceLine(line, _kind(number, line, last, end))
        for number, line in enumerate(lines)
    ]


def _kind(number: int, line: str, last: int, end: int) -> str:
    if last <= number < end:
        return "failing"
    if _FRAME.match(line):
        return "frame"
    return "error" if line and not line.startswith((" ", "Traceback ")) else ""


def failing_source(traceback: str) -> str:
    """Return the line of source that failed, without its indentation."""
    failing = [one.text for one in trace_lines(traceback) if one.kind == "failing"]
    return failing[1].strip() if len(failing) > 1 else ""
