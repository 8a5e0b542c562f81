"""The plain values every layer speaks of. Standard library only."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"
"""A tree that ``json.dumps`` takes as it is; what ``codec.encode`` makes of a value."""

Tree: TypeAlias = dict[str, Any]
"""An encoded JSON object: the data of an execution, the output of a step."""

Moment: TypeAlias = datetime | timedelta
"""An instant, or a delay counted from the database's clock at the time of the write."""


class ExecutionStatus(enum.StrEnum):
    """Where in its life an execution is. ``docs/state-machine.md`` draws the moves."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    COMPENSATING = "compensating"
    COMPENSATED = "compensated"
    COMPENSATION_FAILED = "compensation_failed"


class StepStatus(enum.StrEnum):
    """How one attempt of a step ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    SNOOZED = "snoozed"
    CANCELLED = "cancelled"
    LOST = "lost"


class StepKind(enum.StrEnum):
    """What sort of node a step row tells of."""

    STEP = "step"
    DECISION = "decision"
    WAIT = "wait"
    BRANCH = "branch"
    PARALLEL = "parallel"
    EACH = "each"
    LOOP = "loop"
    COMPENSATION = "compensation"


class WaitKind(enum.StrEnum):
    """What a durable call waits for, or (``checkpoint``) remembers."""

    SLEEP = "sleep"
    EVENT = "event"
    ANY = "any"
    ALL = "all"
    INPUT = "input"
    CHECKPOINT = "checkpoint"
    CHILD = "child"
    STARTED = "started"
    LANES = "lanes"


class WaitStatus(enum.StrEnum):
    """Whether a wait still holds its execution, and if not, why."""

    OPEN = "open"
    SATISFIED = "satisfied"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"


class InputType(enum.StrEnum):
    """What a person is asked for."""

    APPROVAL = "approval"
    CHOICE = "choice"
    MULTI_CHOICE = "multi_choice"
    TEXT = "text"
    FORM = "form"


class Overlap(enum.StrEnum):
    """What a schedule does when its previous execution has not ended."""

    ALLOW = "allow"
    SKIP = "skip"
    CANCEL = "cancel"


class CatchUp(enum.StrEnum):
    """Which of the fire times that were missed a schedule makes up for."""

    NONE = "none"
    ONE = "one"
    ALL = "all"


LONGEST = timedelta(days=36525)
"""No delay is longer than a hundred years: what is due after it is no date any more."""

MAX_PRIORITY = 2**31 - 1
MAX_PATH = 500


class _Missing(enum.Enum):
    """The type of ``MISSING``, an absent argument where ``None`` is a value."""

    MISSING = "missing"

    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing.MISSING
Missing: TypeAlias = _Missing


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """An error as it is stored on executions and step rows.

    ``type`` is the class name of what user code raised, or one of the engine's own
    words (API: ``error["type"]``). ``step`` is the path of the node it belongs to.
    """

    type: str
    message: str
    step: str | None = None
    traceback: str | None = None
    details: Tree | None = None

    def as_json(self) -> Tree:
        """Return the public shape: absent parts are left out, ``step`` never is."""
        shape: Tree = {"type": self.type, "message": self.message, "step": self.step}
        if self.traceback is not None:
            shape["traceback"] = self.traceback
        if self.details is not None:
            shape["details"] = self.details
        return shape
