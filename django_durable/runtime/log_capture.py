"""What a running step logs and prints, on its way into the database.

Nothing is taken away: what the project's handlers and the console got before, they get
still, and no more. So there is no handler at the root logger, where its mere presence
would change what ``logging`` does in a project that configures nothing, and where it
would miss the loggers that do not propagate. ``Logger.callHandlers`` and
``Logger.isEnabledFor`` are wrapped instead, once per process; outside a step, both cost
the look at a context variable.
"""

from __future__ import annotations

import itertools
import logging
import sys
import threading
from collections import deque
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cache
from typing import Any, Protocol

from django_durable import clock
from django_durable.codec.errors import storable
from django_durable.conf import LogSettings
from django_durable.exceptions import StepTimeout
from django_durable.store.logs import LogLine, LogSource

_ENGINE = "django_durable"
_STDOUT = "stdout"
_LONGEST_NAME = 200
_LONGEST_LEVEL = 20
_CUT = "… [cut here]"
_LEVELS = logging.getLevelNamesMapping()


class Stores(Protocol):
    """What keeps the lines of a buffer: a ``LogWriter``."""

    def watch(self, lines: StepLines) -> None:
        """Store the lines of ``lines`` before long, until it is closed and empty."""

    def store(self, lines: StepLines) -> None:
        """Store what ``lines`` holds now; does not raise what the database says."""


class StepLines:
    """The lines that one run of a body has written and that are not stored yet.

    Threads and tasks of the step may write at once. All they share are operations that
    are atomic in themselves: a lock could be held by a thread that a timeout interrupts.
    """

    def __init__(
        self, source: LogSource, settings: LogSettings, writer: Stores
    ) -> None:
        self.level = _LEVELS[settings.level]
        self.captures_stdout = settings.capture_stdout and self.level <= logging.INFO
        self.is_closed = False
        self._source = source
        self._settings = settings
        self._writer = writer
        self._is_watched = False
        self._lines: deque[LogLine] = deque()
        self._numbers = itertools.count(1)
        # What was printed without a newline yet, by thread.
        self._printed: dict[int, str] = {}

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to store now."""
        return not self._lines

    def capture(self) -> None:
        """Collect what is logged and printed in this context from now on."""
        if self._settings.max_entries:
            _current.set(self)
            if self.captures_stdout:
                _capture_stdout()

    def take(self) -> list[LogLine]:
        """Return the lines that are not stored yet, which the caller is to store."""
        taken = []
        while self._lines:
            taken.append(self._lines.popleft())
        return taken

    def unwatched(self) -> None:
        """Note that the writer forgets these lines; one that comes later tells it."""
        self._is_watched = False
        if self._lines:
            self._watch()

    def add_record(self, record: logging.LogRecord) -> None:
        """Add a record of ``logging``."""
        if not self._has_room():
            return
        at = datetime.fromtimestamp(record.created, UTC)
        text = _text(record, self._settings.max_length)
        self._add(record.levelname, record.name, text, at)

    def add_printed(self, text: str) -> None:
        """Add what was printed; a line is added when it is complete."""
        thread = threading.get_ident()
        *lines, rest = (self._printed.pop(thread, "") + text).split("\n")
        for line in lines:
            self._add_printed_line(line)
        if rest:
            # One character more than is kept, so that it is seen to be cut.
            self._printed[thread] = rest[: self._settings.max_length + 1]

    def _add_printed_line(self, line: str) -> None:
        if line and self._has_room():
            text = _cut(line, self._settings.max_length)
            self._add("INFO", _STDOUT, text, clock.now())

    def _has_room(self) -> bool:
        """Count a line; say whether it is one of those that are kept."""
        return next(self._numbers) <= self._settings.max_entries

    def _add(self, level: str, logger: str, text: str, at: datetime) -> None:
        line = LogLine(
            source=self._source,
            level=storable(level)[:_LONGEST_LEVEL],
            logger=storable(logger)[:_LONGEST_NAME],
            message=storable(text),
            created_at=clock.frozen_instant() or at,
        )
        self._lines.append(line)
        if not self._is_watched:
            self._watch()

    def _watch(self) -> None:
        self._is_watched = True
        self._writer.watch(self)

    def flush(self) -> None:
        """Store what was written so far."""
        if self._lines:
            self._writer.store(self)

    def close(self) -> None:
        """Store what is left, and how many lines were dropped.

        A thread that the step has left behind may still write.
        """
        while self._printed:
            self._add_printed_line(self._printed.popitem()[1])
        count, most = next(self._numbers) - 1, self._settings.max_entries
        if most and count > most:
            text = f"{count - most:,} lines dropped: LOGS allows a step {most:,}."
            self._add("WARNING", _ENGINE, text, clock.now())
        self.is_closed = True
        self.flush()


_current: ContextVar[StepLines | None] = ContextVar("durable_lines", default=None)


def _text(record: logging.LogRecord, max_length: int) -> str:
    """Return the message of a record and its traceback, whatever they are made of."""
    try:
        text = record.getMessage()
        if record.exc_info and record.exc_info[0]:
            text += "\n" + _FORMATTER.formatException(record.exc_info)
        if record.stack_info:
            text += "\n" + record.stack_info
        return _cut(text, max_length)
    except StepTimeout:
        raise
    except Exception as error:
        where = f"{record.pathname}:{record.lineno}"
        return f"(a message that raised {type(error).__name__}, logged at {where})"


_FORMATTER = logging.Formatter()


def _cut(text: str, max_length: int) -> str:
    return text if len(text) <= max_length else text[:max_length] + _CUT


# --- logging --------------------------------------------------------------------------

_is_enabled_for = logging.Logger.isEnabledFor
_call_handlers = logging.Logger.callHandlers


@cache
def install() -> None:
    """Let steps get their lines, from now on in this process."""
    logging.Logger.isEnabledFor = _is_enabled_here  # type: ignore[method-assign, assignment]
    logging.Logger.callHandlers = _call_handlers_here  # type: ignore[method-assign, assignment]


def _is_enabled_here(logger: logging.Logger, level: int) -> bool:
    return _is_enabled_for(logger, level) or _is_wanted(logger, level)


def _call_handlers_here(logger: logging.Logger, record: logging.LogRecord) -> None:
    lines = _current.get()
    if lines is None or _is_engine(logger):
        _call_handlers(logger, record)
        return
    if record.levelno >= lines.level:
        lines.add_record(record)
    if _is_enabled_for(logger, record.levelno):
        # What handlers log and print themselves is not of the step.
        token = _current.set(None)
        try:
            _call_handlers(logger, record)
        finally:
            _current.reset(token)


def _is_wanted(logger: logging.Logger, level: int) -> bool:
    """Say whether a step keeps a record that the project's handlers do not get.

    That is so when nothing but the level of the root logger, which is WARNING until
    somebody sets it, holds the record back.
    """
    lines = _current.get()
    if lines is None or level < lines.level or _is_engine(logger):
        return False
    if logger.disabled or logger.manager.disable >= level:
        return False
    while logger.parent is not None:
        if logger.level:
            return logger.level <= level
        logger = logger.parent
    return True


def _is_engine(logger: logging.Logger) -> bool:
    return logger.name == _ENGINE or logger.name.startswith(f"{_ENGINE}.")


# --- print ----------------------------------------------------------------------------


class _CapturedStdout:
    """Standard output as it was, which tells the step that prints."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, text: str) -> Any:
        written = self.stream.write(text)
        lines = _current.get()
        if lines is not None and lines.captures_stdout:
            lines.add_printed(text)
        return written

    def writelines(self, texts: Any) -> None:
        for text in texts:
            self.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _capture_stdout() -> None:
    """Stand before standard output, whoever has replaced it meanwhile."""
    if sys.stdout is not None and not isinstance(sys.stdout, _CapturedStdout):
        sys.stdout = _CapturedStdout(sys.stdout)


def release_stdout() -> None:
    """Put standard output back as it was."""
    if isinstance(sys.stdout, _CapturedStdout):
        sys.stdout = sys.stdout.stream
