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
_VARIABLE = re.compile(r"(--durable-[a-z-]+):\s*([^;]+);")
_USED = re.compile(r"var\((--durable-[a-z-]+)\)")
_FALLBACK = re.compile(r"var\(--[a-z-]+,\s*([^()]*(?:\([^()]*\))?[^()]*)\)")


def style_element() -> SafeString:
    """Return the sheet as a style element, in the light colours.

    Viewers of SVG files know no variables, so they are replaced by what they stand for.
    """
    return element("style", mark_safe(_resolved()))  # noqa: S308


@cache
def _resolved() -> str:
    sheet = re.sub(r"/\*.*?\*/", "", _SHEET.read_text(), flags=re.DOTALL)
    light, _, rest = sheet.partition("}")
    values = {
        name: _FALLBACK.sub(r"\1", value) for name, value in _VARIABLE.findall(light)
    }
    rules = rest.partition("@media")[0] if "/*end*/" in rest else _without_dark(rest)
    return _USED.sub(lambda found: values[found[1]], rules).strip()


def _without_dark(rules: str) -> str:
    """Return the rules without those that replace colours."""
    kept = re.sub(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", "", rules)
    return re.sub(r"[^{}]*data-theme[^{}]*\{[^{}]*\}", "", kept)
