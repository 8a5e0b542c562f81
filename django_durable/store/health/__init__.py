"""Whether what is stored keeps the engine's promises: every rule that SQL can check.

Reads only. Each rule looks at open rows, or at the newest ones, and names a few ids; it
never loads a table. Rules are checked one after the other, each in a statement of its
own, so what changes meanwhile may look broken for a moment: look twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django_durable.store.health import (
    code,
    executions,
    lanes,
    orphans,
    schedules,
    waits,
    workers,
)
from django_durable.store.health.finding import Finding, Patient

RULES: Sequence[Callable[[Patient], list[Finding]]] = (
    executions.without_a_reason,
    executions.with_two_reasons,
    executions.leased_in_another_status,
    executions.without_their_timer,
    workers.lost_leases,
    workers.unserved_queues,
    lanes.without_an_open_parent,
    lanes.counted_wrongly,
    waits.of_ended_executions,
    waits.inputs_of_closed_waits,
    waits.for_ended_children,
    waits.with_an_event_at_hand,
    orphans.rows_without_an_execution,
    code.not_deployed,
    schedules.failing,
    schedules.overdue,
)


def examine(*, using: str, limit: int = 20) -> list[Finding]:
    """Return what is wrong on a database; each finding names up to ``limit`` ids."""
    patient = Patient(using=using, limit=limit)
    return [finding for rule in RULES for finding in rule(patient)]


def confirmed(first: Sequence[Finding], second: Sequence[Finding]) -> list[Finding]:
    """Return what both examinations found, with the ids that were in both.

    Where a finding names only some of its ids, the second look may name others.
    """
    before = {(one.rule, one.about, one.message): one for one in first}
    found: list[Finding] = []
    for finding in second:
        earlier = before.get((finding.rule, finding.about, finding.message))
        if earlier is None:
            continue
        if earlier.has_more or set(earlier.ids) & set(finding.ids):
            found.append(finding)
    return found


__all__ = ["Finding", "confirmed", "examine"]
