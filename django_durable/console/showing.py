"""``show``: one execution, with everything that belongs to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django_durable import api, clock
from django_durable.conf import get_settings
from django_durable.console.answers import Answer, Block
from django_durable.console.identifying import identify
from django_durable.console.objects import (
    event_object,
    execution_object,
    input_object,
    lane_object,
    log_object,
    step_object,
    stored,
    wait_object,
)
from django_durable.console.tables import Table
from django_durable.console.trees import Family, tree
from django_durable.console.words import NOTHING, duration, moment, relative
from django_durable.models import Event, Execution, InputRequest, Log, Wait
from django_durable.store import queries
from django_durable.types import ExecutionStatus, WaitStatus

_ENDINGS: Mapping[str, str] = {
    ExecutionStatus.FAILED: "has failed",
    ExecutionStatus.CANCELLED: "was cancelled",
    ExecutionStatus.COMPENSATED: "has failed and was undone",
    ExecutionStatus.COMPENSATION_FAILED: "has failed and could not be undone",
}

_MOST = 1000
"""Rows of each kind that are shown."""

_LONGEST = 2000
"""Characters of a payload that are shown to a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrait:
    """An execution and what belongs to it, up to ``_MOST`` rows of each kind."""

    row: Execution
    family: Family
    waits: list[Wait] = field(default_factory=list)
    inputs: list[InputRequest] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    logs: list[Log] | None = None


def show(given: dict[str, Any]) -> Answer:
    """Show one execution."""
    using = get_settings(given["durable"]).database
    id_ = identify(given["id"], using=using)
    row = api.get_execution(id_, durable=given["durable"])
    found = _portrait(row, using, has_logs=given["logs"])
    return Answer(blocks=list(_blocks(found)), objects=[_object(found)])


def _portrait(row: Execution, using: str, *, has_logs: bool) -> Portrait:
    id_: UUID = row.pk
    logs = queries.logs_of(id_, using=using)[:_MOST] if has_logs else None
    waits = queries.waits_of(id_, using=using).filter(status=WaitStatus.OPEN)
    return Portrait(
        row=row,
        family=Family(
            steps=list(queries.steps_of(id_, using=using)[:_MOST]),
            lanes=list(
                queries.lanes_of(id_, using=using).defer("input", "data")[:_MOST]
            ),
            children=list(
                queries.executions(using=using, parent=id_)
                .defer("input", "data")
                .order_by("id")[:_MOST]
            ),
        ),
        waits=list(waits[:_MOST]),
        inputs=list(queries.inputs_of(id_, using=using)[:_MOST]),
        events=list(queries.events_of(id_, using=using)[:_MOST]),
        logs=None if logs is None else list(logs),
    )


def _object(found: Portrait) -> dict[str, Any]:
    row, family = found.row, found.family
    logs = (
        {} if found.logs is None else {"logs": [log_object(one) for one in found.logs]}
    )
    return {
        **execution_object(row),
        "input": stored(row.input),
        "data": stored(row.data),
        "result": stored(row.result),
        "steps": [step_object(step) for step in family.steps],
        "lanes": [lane_object(lane) for lane in family.lanes],
        "children": [execution_object(child) for child in family.children],
        "waits": [wait_object(wait) for wait in found.waits],
        "inputs": [input_object(request) for request in found.inputs],
        "events": [event_object(event) for event in found.events],
        **logs,
    }


def _blocks(found: Portrait) -> Iterator[Block]:
    yield sentence(found.row)
    yield ""
    yield from _facts(found.row)
    lines = tree(found.row, found.family)
    if lines:
        yield ""
        yield Table(
            ("STEP", "STATUS", "ATTEMPT", "STARTED", "TOOK", "NOTE"),
            lines,
            numbers=(2, 4),
            whole=(0, 1, 3),
        )
    if max(len(found.family.steps), len(found.family.lanes)) >= _MOST:
        yield f"Only the first {_MOST:,} steps and members are shown."
    yield from _asked(found)
    yield from _sent(found)
    yield from _written(found)


def sentence(row: Execution) -> str:
    """Return in one sentence how an execution stands."""
    name, at = f"{row.workflow} {row.pk}", row.current_step
    where = f" at {at}" if at else ""
    error = row.error or {}
    reason = f": {error.get('type')}: {error.get('message')}" if error else "."
    match row.status:
        case ExecutionStatus.COMPLETED:
            return f"{name} has completed, in {duration(row.duration)}."
        case ExecutionStatus.RUNNING:
            return f"{name} runs{where}, attempt {row.attempt}."
        case ExecutionStatus.WAITING:
            return f"{name} waits{where} for {row.waiting_for or 'its turn'}."
        case ExecutionStatus.PAUSED:
            return f"{name} is paused{where}."
        case ExecutionStatus.PENDING if row.waiting_for:
            return f"{name} waits{where} for {row.waiting_for}."
        case ExecutionStatus.PENDING:
            return f"{name} is ready{where}, for a worker of queue {row.queue}."
        case ExecutionStatus.COMPENSATING:
            return f"{name} is being undone{where}{reason}"
        case ending:
            how = _ENDINGS.get(ending, f"is {ending}")
            return f"{name} {how}{where}, after {duration(row.duration)}{reason}"


def _facts(row: Execution) -> Iterator[str]:
    facts = {
        "Queue": f"{row.queue}, priority {row.priority}",
        "Created": moment(row.created_at),
        "Scheduled": moment(row.scheduled_at),
        "Started": moment(row.started_at),
        "Due": moment(row.available_at),
        "Ended": moment(row.completed_at),
        "Parent": str(row.parent_id) if row.parent_id else NOTHING,
        "Tags": ", ".join(row.tags) or NOTHING,
        "Key": row.idempotency_key or NOTHING,
        "Input": _shortened(row.input),
        "Data": _shortened(row.data) if row.data != row.input else NOTHING,
    }
    for name, value in facts.items():
        if value != NOTHING:
            yield f"{name + ':':11}{value}"


def _json(value: Any) -> str:
    return json.dumps(stored(value), ensure_ascii=False)


def _shortened(value: Any) -> str:
    """Return a payload as JSON, or how it begins where it is too long for a person."""
    text = _json(value)
    if len(text) <= _LONGEST:
        return text
    more = len(text) - _LONGEST
    return f"{text[:_LONGEST]}… and {more:,} characters more; --format json has all."


def _asked(found: Portrait) -> Iterator[Block]:
    """Yield the open waits, and what people are and were asked."""
    now = clock.now()
    if found.waits:
        yield ""
        yield Table(
            ("OPEN WAIT", "FOR", "TIMEOUT", "AGE"),
            [
                (
                    wait.path,
                    wait.sentence or wait.name,
                    relative(wait.until, now),
                    duration(now - wait.created_at),
                )
                for wait in found.waits
            ],
        )
    if found.inputs:
        yield ""
        yield Table(
            ("INPUT", "TYPE", "STATUS", "BY", "ANSWER", "COMMENT", "PROMPT"),
            [
                (
                    request.name,
                    request.type,
                    request.status,
                    str(request.answered_by or NOTHING),
                    NOTHING if request.answer is None else _json(request.answer),
                    request.comment or NOTHING,
                    request.prompt or NOTHING,
                )
                for request in found.inputs
            ],
        )


def _sent(found: Portrait) -> Iterator[Block]:
    if not found.events:
        return
    yield ""
    yield Table(
        ("EVENT", "SENT", "TAKEN", "PAYLOAD"),
        [
            (
                event.name,
                moment(event.created_at),
                "yes" if event.taken_by_id else "no",
                _json(event.payload),
            )
            for event in found.events
        ],
        whole=(0, 1, 2),
    )


def _written(found: Portrait) -> Iterator[Block]:
    """Yield the lines of the logs, as long as they are."""
    if found.logs is None:
        return
    yield ""
    if not found.logs:
        yield "Its steps have written nothing."
    for line in found.logs:
        where = f"{line.step} #{line.attempt}"
        first, *others = line.message.splitlines() or [""]
        yield f"{moment(line.created_at)}  {line.level:8}{where}  {first}"
        yield from (f"    {other}" for other in others)
    if len(found.logs) >= _MOST:
        yield f"Only the first {_MOST:,} lines are shown."
