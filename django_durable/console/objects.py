"""Rows as JSON objects. The keys are a promise to those who read them."""

from __future__ import annotations

from typing import Any

from django_durable import codec
from django_durable.console.answers import Object
from django_durable.console.words import iso
from django_durable.models import Event, Execution, InputRequest, Log, Step, Wait
from django_durable.store.health import Finding
from django_durable.store.overview import Overview


def stored(value: Any) -> Any:
    """Return a value of the user as the tree that is stored for it."""
    return codec.encode(value, name="value")


def execution_object(row: Execution) -> Object:
    """Return an execution without its payloads."""
    duration = row.duration
    return {
        "id": str(row.pk),
        "workflow": row.workflow,
        "status": row.status,
        "queue": row.queue,
        "priority": row.priority,
        "current_step": row.current_step,
        "waiting_for": row.waiting_for,
        "error": row.error,
        "progress": row.progress,
        "tags": row.tags,
        "idempotency_key": row.idempotency_key,
        "parent": str(row.parent_id) if row.parent_id else None,
        "scheduled_at": iso(row.scheduled_at),
        "created_at": iso(row.created_at),
        "started_at": iso(row.started_at),
        "completed_at": iso(row.completed_at),
        "available_at": iso(row.available_at),
        "duration": None if duration is None else duration.total_seconds(),
    }


def lane_object(row: Execution) -> Object:
    """Return a member of a block."""
    return {**execution_object(row), "path": row.scope, "part_of": str(row.awaited_by)}


def step_object(step: Step) -> Object:
    """Return one attempt of a step."""
    return {
        "path": step.path,
        "kind": step.kind,
        "sequence": step.sequence,
        "attempt": step.attempt,
        "status": step.status,
        "lane": str(step.lane) if step.lane else None,
        "started_at": iso(step.started_at),
        "completed_at": iso(step.completed_at),
        "duration": step.duration.total_seconds(),
        "output": stored(step.output),
        "error": step.error,
    }


def log_object(line: Log) -> Object:
    """Return one line that a step has written."""
    return {
        "created_at": iso(line.created_at),
        "level": line.level,
        "logger": line.logger,
        "message": line.message,
        "step": line.step,
        "attempt": line.attempt,
        "lane": str(line.lane) if line.lane else None,
    }


def wait_object(wait: Wait) -> Object:
    """Return a wait."""
    return {
        "path": wait.path,
        "kind": wait.kind,
        "name": wait.name,
        "names": wait.names,
        "waits_for": wait.sentence,
        "lane": str(wait.lane) if wait.lane else None,
        "child": str(wait.child) if wait.child else None,
        "until": iso(wait.until),
        "created_at": iso(wait.created_at),
    }


def input_object(request: InputRequest) -> Object:
    """Return what a person is or was asked."""
    return {
        "id": str(request.pk),
        "execution": str(request.execution_id),
        "name": request.name,
        "path": request.path,
        "type": request.type,
        "prompt": request.prompt,
        "choices": request.choices,
        "fields": request.fields,
        "user": request.username,
        "group": request.group,
        "permission": request.permission,
        "status": request.status,
        "answer": stored(request.answer),
        "comment": request.comment,
        "answered_by": str(request.answered_by) if request.answered_by else None,
        "until": iso(request.until),
        "created_at": iso(request.created_at),
        "closed_at": iso(request.closed_at),
    }


def event_object(event: Event) -> Object:
    """Return an event."""
    return {
        "name": event.name,
        "payload": stored(event.payload),
        "event_id": event.event_id,
        "is_taken": event.taken_by_id is not None,
        "created_at": iso(event.created_at),
    }


def finding_object(finding: Finding) -> Object:
    """Return what the doctor found."""
    return {
        "rule": finding.rule,
        "message": finding.message,
        "remedy": finding.remedy,
        "about": finding.about,
        "ids": list(finding.ids),
        "has_more": finding.has_more,
    }


def overview_object(overview: Overview) -> Object:
    """Return how things stand; ``oldest`` is since when the first due row is due."""
    return {
        "at": iso(overview.at),
        "queues": [
            {
                "name": queue.name,
                "claimable": queue.claimable,
                "running": queue.running,
                "waiting": queue.waiting,
                "oldest": iso(queue.oldest),
            }
            for queue in overview.queues
        ],
        "workers": [
            {
                "id": str(worker.pk),
                "name": str(worker),
                "queues": worker.queues,
                "running": overview.running.get(worker.pk, 0),
                "started_at": iso(worker.started_at),
                "beat_at": iso(worker.beat_at),
            }
            for worker in overview.workers
        ],
        "schedules_due": overview.schedules_due,
        "failures_last_hour": overview.failures,
    }
