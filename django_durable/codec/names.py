"""Names that users give: to events, inputs and checkpoints, and keys they choose."""

from __future__ import annotations

from django_durable.codec.refusals import Refused, check_text

MAX_NAME = 500
MAX_KEY = 255


def check_name(name: object, what: str = "name", *, limit: int = MAX_NAME) -> str:
    """Return ``name`` if every database can store it as a name of ``limit`` characters.

    Raises ``TypeError`` or ``ValueError``, which call it ``what``.
    """
    if not isinstance(name, str):
        raise TypeError(f"{what}={name!r}: give a text.")
    if not 0 < len(name) <= limit:
        shown = name if len(name) <= 60 else f"{name[:60]}…"
        raise ValueError(f"{what}={shown!r}: give 1 to {limit} characters.")
    try:
        check_text(name)
    except Refused as refused:
        raise ValueError(f"{what}={name!r}: {refused.reason}") from None
    return name
