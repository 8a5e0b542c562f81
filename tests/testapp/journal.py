"""What steps leave behind in a file: a line for each time a body ran, in order.

The file is shared by all worker processes and survives them; ``JOURNAL`` names it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class Line(NamedTuple):
    execution_id: str
    step: str
    attempt: str
    pid: str


def note(ctx) -> None:
    """Append that a body begins; one write, so that lines of two processes do not mix."""
    line = f"{ctx.execution_id} {ctx.step} {ctx.attempt} {os.getpid()}\n"
    journal = os.open(os.environ["JOURNAL"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(journal, line.encode())
    finally:
        os.close(journal)


def read(environment: Mapping[str, str]) -> list[Line]:
    """Return what has been noted so far, oldest first."""
    path = Path(environment["JOURNAL"])
    lines = path.read_text().splitlines() if path.exists() else []
    return [Line(*line.split()) for line in lines]
