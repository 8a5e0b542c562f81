"""An exception as text that can be stored, whatever its class does."""

from __future__ import annotations

import traceback
from types import TracebackType

from django_durable.exceptions import DurableError

MAX_MESSAGE = 2_000
MAX_TRACEBACK = 20_000

_PACKAGE = __name__.partition(".")[0]


def describe_exception(error: BaseException) -> dict[str, str]:
    """Return ``{"type", "message", "traceback"}``. Never raises.

    The message is cut to its first 2,000 characters, the traceback, causes included,
    to its last 20,000. The frames through which the engine called user code are left
    out; an error of the engine's own, whose message says all, has no traceback then.
    """
    described = {
        "type": storable(type(error).__name__),
        "message": storable(_message(error))[:MAX_MESSAGE],
    }
    if text := storable(_traceback(error))[-MAX_TRACEBACK:]:
        described["traceback"] = text
    return described


def _message(error: BaseException) -> str:
    try:
        # str() may return an instance of a subclass: make it an exact str.
        return str.__str__(str(error))
    except Exception:
        return "(the exception has no message: its __str__ failed)"


def _traceback(error: BaseException) -> str:
    try:
        frames = _below_the_engine(error.__traceback__)
        if frames is None and isinstance(error, DurableError) and not error.__cause__:
            return ""
        frames = frames or error.__traceback__
        return "".join(traceback.format_exception(type(error), error, frames))
    except Exception:
        return "(the traceback could not be written)"


def _below_the_engine(frames: TracebackType | None) -> TracebackType | None:
    while frames is not None and _is_engine(frames):
        frames = frames.tb_next
    return frames


def _is_engine(frame: TracebackType) -> bool:
    module = frame.tb_frame.f_globals.get("__name__")
    return isinstance(module, str) and module.partition(".")[0] == _PACKAGE


def storable(text: str) -> str:
    """Write what no database stores as an escape: NUL and halves of surrogate pairs."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
