"""The style of drawings, for a file that stands for itself."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from django.utils.safestring import SafeString, mark_safe

from django_durable.drawing.markup import element

_SHEET = (
    Path(__file__).resolve().parent.parent / "static" / "django_durable" / "drawing.css"
)
_RULES = "/* Rules */"
_COMMENT = re.compile(r"/\*.*?\*/\s*", re.DOTALL)
_VARIABLE = re.compile(r"(--durable-[a-z-]+): (?:var\(--[a-z-]+, )?(.+?)\)?;")
_USED = re.compile(r"var\((--durable-[a-z-]+)\)")


def style_element() -> SafeString:
    """Return the sheet as a style element, in the light colours.

    Viewers of SVG files know no variables, so they are replaced by what they stand for.
    """
    return element("style", mark_safe(_resolved()))  # noqa: S308


def page(width: str, height: str) -> SafeString:
    """Return a ground to draw on, for a viewer may have any colour behind the file."""
    return element("rect", class_="drawn-page", width=width, height=height)


@cache
def _resolved() -> str:
    variables, _, rules = _SHEET.read_text().partition(_RULES)
    # The first block holds the light colours, each with what it is without an admin.
    values = dict(_VARIABLE.findall(variables.partition("}")[0]))
    rules = _USED.sub(lambda found: values[found[1]], rules)
    return _COMMENT.sub("", rules).strip()
