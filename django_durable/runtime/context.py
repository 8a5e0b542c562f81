"""``StepContext``: what a running step knows, and how its calls are answered."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from functools import cached_property
from typing import Any, Protocol
from uuid import UUID

from django_durable.engine.waiting import Answer, ChildRequest, WaitKey, WaitRequest
from django_durable.exceptions import Cancelled, DefinitionError, NotInStep
from django_durable.runtime.watchdog import Attempt
from django_durable.types import JSON, WaitKind


class Suspend(BaseException):
    """Unwinds a step body that waits. ``except Exception`` lets it pass."""

    def __init__(self, request: WaitRequest) -> None:
        super().__init__(request.sentence)
        self.request = request


class Memory(Protocol):
    """What a running step reads and writes besides its answers.

    A protocol, so that importing the durable calls imports no model.
    """

    def remember(self, key: WaitKey, value: JSON) -> None:
        """Store the result of a ``checkpoint``."""

    def request_child(
        self,
        workflow: Any,
        given: Any,
        queue: str | None,
        *,
        is_awaited: bool,
    ) -> ChildRequest:
        """Return the request for a child, its input validated as ``start`` does."""

    def start_child(self, key: WaitKey, request: ChildRequest) -> str:
        """Start a child that nobody waits for, once; return its id."""

    def report(self, report: dict[str, Any]) -> bool:
        """Store progress; ``False`` when the lease is lost or the execution cancelled."""

    def input(self) -> Any:
        """Return the input of the execution."""


class StepContext:
    """The handle of a running step: parameter ``ctx``, or ``get_context()`` below it.

    ``attempt`` counts from 1. ``idempotency_key`` is the same for every attempt of this
    step of this execution: hand it to the outside world. ``iteration`` is the number
    of the round in a ``Loop``, ``index`` that of the item in an ``Each``, from 0.
    """

    def __init__(
        self,
        *,
        execution_id: UUID,
        workflow: str,
        step: str,
        sequence: int,
        attempt: int,
        answers: dict[WaitKey, Answer],
        memory: Memory,
        running: Attempt,
        max_payload_bytes: int,
        is_atomic: bool = False,
        is_undo: bool = False,
        index: int | None = None,
        iteration: int | None = None,
    ) -> None:
        self.execution_id = execution_id
        self.workflow = workflow
        self.step = step
        self.attempt = attempt
        self.sequence = sequence
        self.max_payload_bytes = max_payload_bytes
        self.is_atomic = is_atomic
        self._is_undo = is_undo
        self.index = index
        self.iteration = iteration
        self.suspension: Suspend | None = None
        self._memory = memory
        self._answers = answers
        self._asked: dict[tuple[WaitKind, str], int] = {}
        self._running = running

    def __repr__(self) -> str:
        return (
            f"<StepContext {self.step} of {self.execution_id}, attempt {self.attempt}>"
        )

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this step of this execution."""
        # A compensation has the path of its step, and in a lane maybe its number too.
        undo = ":undo" if self._is_undo else ""
        return f"{self.execution_id}:{self.step}:{self.sequence}{undo}"

    @cached_property
    def input(self) -> Any:
        """The input of the execution."""
        return self._memory.input()

    def heartbeat(self, details: Any = None) -> None:
        """Say that the step is alive: its timeout counts from now; store ``details``.

        Raises ``Cancelled`` when the execution was cancelled, or taken over, meanwhile.
        """
        self._report({"details": details})

    def set_progress(self, done: float, total: float, message: str = "") -> None:
        """Show how far the step is; counts as a heartbeat."""
        self._report({"done": done, "total": total, "message": message})

    def _report(self, report: dict[str, Any]) -> None:
        self._running.prolong()
        if not self._memory.report(report):
            raise Cancelled(
                f"Execution {self.execution_id} was cancelled or taken over."
            )

    def next_key(self, kind: WaitKind, name: str) -> WaitKey:
        """Return the key of a durable call that the body makes now."""
        ordinal = self._asked.get((kind, name), 0)
        self._asked[kind, name] = ordinal + 1
        return WaitKey(kind, name, ordinal)

    def answer(self, key: WaitKey) -> Answer | None:
        """Return what is stored for ``key``."""
        return self._answers.get(key)

    def remember(self, answer: Answer) -> None:
        """Store the answer of a ``checkpoint``.

        An atomic step stores none: should it run again, its first run was rolled back.
        """
        if not self.is_atomic:
            self._memory.remember(answer.key, answer.value)
        self.keep(answer)

    def keep(self, answer: Answer) -> Answer:
        """Keep an answer that is stored already."""
        self._answers[answer.key] = answer
        return answer

    @property
    def memory(self) -> Memory:
        """What the durable calls read and write besides the answers."""
        return self._memory

    def suspend(self, request: WaitRequest) -> Suspend:
        """Return what the body must raise to wait for ``request``."""
        if self.is_atomic:
            raise DefinitionError(
                f"{self.step} is atomic and waits ({request.sentence}). A transaction "
                "cannot stay open for that: wait in a step of its own."
            )
        self.suspension = Suspend(request)
        return self.suspension


_current: ContextVar[StepContext | None] = ContextVar("durable_step", default=None)


def get_context() -> StepContext:
    """Return the context of the step that runs; ``NotInStep`` outside one."""
    context = _current.get()
    if context is None:
        raise NotInStep(
            "No step of a workflow runs here. Durable calls and get_context() work in "
            "the body of a step, and in what it calls."
        )
    return context


def surroundings_of(context: StepContext, enter: Callable[[], None]) -> Context:
    """Return where the body of a step runs: there, ``context`` is the current one.

    It is a copy of the thread's context, so that a time zone or a language that user
    code activates ends with it. ``enter`` is called inside.
    """
    surroundings = copy_context()
    surroundings.run(_current.set, context)
    surroundings.run(enter)
    return surroundings
