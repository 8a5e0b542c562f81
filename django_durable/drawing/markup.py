"""SVG as text: elements whose attributes and texts are always escaped.

There are no style attributes, no inline styles and no scripts, so that a page under a
strict content security policy shows it; ``static/django_durable/drawing.css`` does the
rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

Attribute = str | float | None

# What XML cannot hold, even as an entity; one of these would break the whole document.
_UNPRINTABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def element(
    name: str, *inside: str | Iterable[str], **attributes: Attribute
) -> SafeString:
    """Return an element. What is inside is escaped, unless it is markup already.

    ``class_`` is the attribute ``class``, and ``stroke_width`` is ``stroke-width``.
    Attributes that are ``None`` or empty are left out.
    """
    parts = [
        f' {key.rstrip("_").replace("_", "-")}="{text(_value(value))}"'
        for key, value in attributes.items()
        if value is not None and value != ""
    ]
    opened = name + "".join(parts)
    content = joined(inside)
    if not content:
        return mark_safe(f"<{opened}/>")  # noqa: S308
    return mark_safe(f"<{opened}>{content}</{name}>")  # noqa: S308


def joined(inside: Iterable[str | Iterable[str]]) -> SafeString:
    """Return markup one after the other, with plain strings escaped."""
    return mark_safe(  # noqa: S308
        "".join(text(one) if isinstance(one, str) else joined(one) for one in inside)
    )


def text(value: str) -> SafeString:
    """Return ``value`` as markup: itself if it is markup, escaped if not."""
    if isinstance(value, SafeString):
        return value
    return escape(_UNPRINTABLE.sub("\ufffd", value))


def classes(*names: str) -> str:
    """Return the value of a ``class``, each name with a prefix of its own.

    The style sheets of pages around a drawing know none of these names.
    """
    return " ".join(f"drawn-{name}" for name in names if name)


def number(value: float) -> str:
    """Return a coordinate, to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0").replace("-0", "0", value == 0)


def _value(value: str | float) -> str:
    return value if isinstance(value, str) else number(value)
