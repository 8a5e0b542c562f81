"""What the durable calls of one running step read and write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ParamSpec, TypeVar

from django_durable.api.references import WorkflowRef, workflow_of
from django_durable.api.starting import new_execution
from django_durable.engine.waiting import ChildRequest, WaitKey
from django_durable.ids import new_id
from django_durable.runtime.asynchronous import outside_event_loop
from django_durable.runtime.persisting import persist
from django_durable.store import progress, waits
from django_durable.store.leases import Lease
from django_durable.store.queries import input_of
from django_durable.types import JSON

P = ParamSpec("P")
T = TypeVar("T")


class StepMemory:
    """The store, as far as one attempt of one step may use it."""

    def __init__(
        self,
        lease: Lease,
        *,
        path: str,
        sequence: int,
        attempt: int,
        max_bytes: int,
    ) -> None:
        self._lease = lease
        self._max_bytes = max_bytes
        self._path = path
        self._sequence = sequence
        self._attempt = attempt

    def remember(self, key: WaitKey, value: JSON) -> None:
        """Store the result of a ``checkpoint``."""
        self._persist(
            waits.remember,
            self._lease,
            key,
            value,
            id=new_id(),
            path=self._path,
            sequence=self._sequence,
            attempt=self._attempt,
        )

    def request_child(
        self,
        workflow: WorkflowRef,
        given: Mapping[str, Any] | None,
        queue: str | None,
        *,
        is_awaited: bool,
    ) -> ChildRequest:
        """Return the request for a child, its input validated as ``start`` does."""
        # The form of the workflow may ask the database.
        new = outside_event_loop(
            new_execution, workflow_of(workflow), given, max_bytes=self._max_bytes
        )
        return ChildRequest(
            workflow=new.workflow,
            input=new.input,
            position=new.position,
            queue=queue or new.queue,
            timeout=new.timeout,
            is_awaited=is_awaited,
        )

    def start_child(self, key: WaitKey, request: ChildRequest) -> str:
        """Start a child that nobody waits for, once; return its id."""
        return self._persist(
            waits.start_unawaited,
            self._lease,
            key,
            request,
            id=new_id(),
            path=self._path,
            sequence=self._sequence,
            attempt=self._attempt,
        )

    def report(self, report: dict[str, Any]) -> bool:
        """Store progress; ``False`` when the lease is lost or the execution cancelled."""
        return self._persist(
            progress.report, self._lease, {"step": self._path, **report}
        )

    def input(self) -> Any:
        """Return the input of the execution."""
        return self._persist(input_of, self._lease)

    def _persist(
        self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        call = partial(function, *args, **kwargs)
        return outside_event_loop(persist, call, using=self._lease.using)
