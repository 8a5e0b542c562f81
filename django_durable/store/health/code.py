"""Open executions that stand in code which this process does not have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import UUID

from django_durable.definition import registry
from django_durable.engine.deployed import missing_code
from django_durable.models import Execution
from django_durable.store.health.finding import Finding, Patient

_CHUNK = 2000
_MOST = 100_000
"""Open rows that the doctor looks at, at the most; ``stranded`` looks at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranded:
    """An open execution, or a lane of it, that the present code cannot continue."""

    id: UUID
    execution_id: UUID
    workflow: str
    status: str
    position: str
    reason: str


_COLUMNS = (
    "pk",
    "parent_id",
    "is_lane",
    "workflow",
    "status",
    "current_step",
    "scope",
    # Whether it has done anything.
    "sequence",
    "calls",
)


def stranded(
    *,
    using: str,
    most: int | None = None,
    on_progress: Callable[[int], None] = lambda count: None,
) -> Iterator[Stranded]:
    """Yield what the present code cannot continue, in order of id.

    Looks at every open execution, or at the first ``most``; ``on_progress`` is told
    from time to time how many have been looked at.
    """
    rows = Execution.rows.using(using).open().order_by("pk").values_list(*_COLUMNS)
    found = rows[:most] if most else rows
    for count, row in enumerate(found.iterator(chunk_size=_CHUNK), 1):
        id_, parent_id, is_lane, workflow, status, position, scope, *done = row
        if count % _CHUNK == 0:
            on_progress(count)
        reason = _missing(workflow, position, scope, status, has_begun=any(done))
        if reason is not None:
            yield Stranded(
                id=id_,
                execution_id=parent_id if is_lane else id_,
                workflow=workflow,
                status=status,
                position=position,
                reason=reason,
            )


def _missing(
    workflow: str, position: str, scope: str, status: str, *, has_begun: bool
) -> str | None:
    known = registry.find(workflow)
    graph = known.definition if known else None
    return missing_code(
        graph,
        position=position or None,
        scope=scope,
        status=status,
        has_begun=has_begun,
    )


def not_deployed(patient: Patient) -> list[Finding]:
    """Executions that rest until code for them is deployed."""
    found: dict[str, list[UUID]] = {}
    for one in stranded(using=patient.using, most=_MOST):
        ids = found.setdefault(f"{one.workflow}: {one.reason}", [])
        if len(ids) <= patient.limit:
            ids.append(one.id)
    return [
        finding
        for reason, ids in found.items()
        for finding in patient.finding(
            "code_not_deployed",
            ids,
            f"This process's code cannot continue it: {reason}.",
            "It rests and goes on by itself once workers have the code. Deploy the code "
            "again until these have ended, or cancel them.",
        )
    ]
