"""Ready-made nodes: waiting that is visible in the graph and runs nothing twice.

Each is a value; ``runtime/ready_steps.py`` runs it as a step whose body is one durable
call, so a wait node follows the same path through the engine as any other step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from django_durable.exceptions import DefinitionError
from django_durable.types import LONGEST, MISSING, InputType, Missing

if TYPE_CHECKING:
    from django_durable.definition.workflow import Workflow

FromData = Callable[..., Any]
OnTimeout = Literal["resume", "fail"]


class WaitNode:
    """What every ready-made node is."""

    kind: ClassVar[str]


@dataclass(frozen=True, slots=True)
class Sleep(WaitNode):
    """Wait for a delay, or ``until`` an aware datetime or a function of the data."""

    kind: ClassVar[str] = "sleep"
    delay: timedelta | None = None
    until: datetime | FromData | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse a sleep that says neither or both."""
        if (self.delay is None) == (self.until is None):
            raise DefinitionError(
                "durable.E014: Sleep takes either a delay, such as Sleep(days(3)), or "
                "Sleep(until=lambda data: data['trial_end'])."
            )
        _refuse_unless(
            self.delay is None
            or (isinstance(self.delay, timedelta) and self.delay <= LONGEST),
            f"Sleep({self.delay!r})",
            "Give a timedelta of at most 100 years, such as days(3).",
        )


def _check_timeout(node: WaitNode, timeout: object) -> None:
    is_delay = isinstance(timeout, timedelta) and timedelta(0) < timeout <= LONGEST
    is_moment = isinstance(timeout, datetime) and timeout.tzinfo is not None
    _refuse_unless(
        timeout is None or is_delay or is_moment,
        f"{type(node).__name__}(timeout={timeout!r})",
        "Give a positive timedelta of at most 100 years, such as days(3).",
    )


def _refuse_unless(is_right: bool, what: str, remedy: str) -> None:
    if not is_right:
        raise DefinitionError(f"durable.E022: {what} cannot be. {remedy}")


@dataclass(frozen=True, slots=True)
class WaitForEvent(WaitNode):
    """Wait for the event ``event``; its payload lands in the data under the node."""

    kind: ClassVar[str] = "event"
    event: str
    timeout: timedelta | None = field(default=None, kw_only=True)
    timeout_value: Any = field(default=MISSING, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse what is no event or no time."""
        _refuse_unless(
            isinstance(self.event, str) and self.event != "",
            f"WaitForEvent({self.event!r})",
            "Give the name of an event.",
        )
        _check_timeout(self, self.timeout)


@dataclass(frozen=True, slots=True)
class CallWorkflow(WaitNode):
    """Run another workflow and wait for it; its result lands in the data under the node.

    ``input`` is a mapping, or a function of the data that returns one.
    """

    kind: ClassVar[str] = "child"
    workflow: type[Workflow] | str
    input: Mapping[str, Any] | FromData | None = field(default=None, kw_only=True)
    timeout: timedelta | None = field(default=None, kw_only=True)
    timeout_value: Any = field(default=MISSING, kw_only=True)
    queue: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse what is no time."""
        _check_timeout(self, self.timeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitForInput(WaitNode):
    """Wait until a person answers; the answer lands in the data under the node.

    ``prompt`` may name keys of the data in braces. Anyone who is ``user``, in
    ``group`` or has ``permission`` may answer.
    """

    kind: ClassVar[str] = "input"
    prompt: str = ""
    choices: Sequence[Any] | None = None
    fields: Sequence[Mapping[str, Any]] | None = None
    form: type | None = None
    metadata: Mapping[str, Any] | FromData | None = None
    user: Any = None
    group: str | None = None
    permission: str | None = None
    timeout: timedelta | None = None
    timeout_value: Any | Missing = MISSING
    on_timeout: OnTimeout = "resume"
    type: InputType = InputType.TEXT

    def __post_init__(self) -> None:
        """Refuse what is no time, and what cannot follow it."""
        _check_timeout(self, self.timeout)
        _refuse_unless(
            self.on_timeout in get_args(OnTimeout),
            f"{type(self).__name__}(on_timeout={self.on_timeout!r})",
            "Give 'resume' or 'fail'.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitForApproval(WaitForInput):
    """Wait for ``"approved"`` or ``"rejected"``."""

    type: InputType = InputType.APPROVAL


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitForChoice(WaitForInput):
    """Wait for one of ``choices``."""

    type: InputType = InputType.CHOICE


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitForText(WaitForInput):
    """Wait for a text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitForForm(WaitForInput):
    """Wait for a filled form: ``fields`` or a Django ``form`` class."""

    type: InputType = InputType.FORM
