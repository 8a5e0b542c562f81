"""Rows as the engine leaves them behind, made at once; and the addresses of pages."""

from __future__ import annotations

from datetime import timedelta
from html.parser import HTMLParser
from typing import Any
from uuid import UUID

from django.urls import reverse

from django_durable import clock
from django_durable.models import (
    Event,
    Execution,
    InputRequest,
    Log,
    Step,
    Wait,
    Worker,
)

LIST = "django_durable_execution_changelist"


def list_url(**query: Any) -> str:
    return reverse(f"admin:{LIST}", query=query)


def page_url(execution: Execution | UUID, **query: Any) -> str:
    id_ = execution.pk if isinstance(execution, Execution) else execution
    return reverse("admin:django_durable_execution_change", args=[id_], query=query)


def act_url(execution: Execution, name: str) -> str:
    return reverse("admin:django_durable_execution_act", args=[execution.pk, name])


def stored_url(execution: Execution, part: str, *of: Any) -> str:
    return reverse(
        "admin:django_durable_execution_stored", args=[execution.pk, part, *of]
    )


def make_execution(**values: Any) -> Execution:
    now = clock.now()
    is_open = values.get("status", "completed") in (
        "pending",
        "running",
        "waiting",
        "paused",
        "compensating",
    )
    ended = None if is_open else now
    values = {
        "workflow": "admin_rows",
        "status": "completed",
        "queue": "default",
        "home_queue": "default",
        "input": {"order": 7},
        "data": {"order": 7, "total": 12},
        "current_step": "ship",
        "created_at": now,
        "started_at": now - timedelta(seconds=5),
        "completed_at": ended,
        **values,
    }
    return Execution.rows.create(**values)


def make_step(execution: Execution, **values: Any) -> Step:
    now = clock.now()
    values = {
        "path": "ship",
        "kind": "step",
        "sequence": 0,
        "attempt": 1,
        "status": "completed",
        "output": {"parcel": "P-1"},
        "started_at": now - timedelta(seconds=1),
        "completed_at": now,
        **values,
    }
    return Step.objects.create(execution=execution, **values)


def make_wait(execution: Execution, **values: Any) -> Wait:
    values = {
        "path": "ask",
        "sequence": 0,
        "attempt": 1,
        "kind": "event",
        "name": "paid",
        "names": ["paid"],
        "ordinal": 0,
        "status": "open",
        "sentence": "the event paid",
        "created_at": clock.now(),
        **values,
    }
    return Wait.objects.create(execution=execution, **values)


def make_input(execution: Execution, wait: Wait, **values: Any) -> InputRequest:
    values = {
        "name": "manager",
        "path": "ask",
        "type": "approval",
        "status": "open",
        "created_at": clock.now(),
        **values,
    }
    return InputRequest.objects.create(execution=execution, wait=wait, **values)


def make_event(execution: Execution, **values: Any) -> Event:
    values = {"name": "paid", "payload": {"amount": 5}, **values}
    return Event.objects.create(execution=execution, created_at=clock.now(), **values)


def make_log(execution: Execution, message: str, **values: Any) -> Log:
    values = {
        "step": "ship",
        "sequence": 0,
        "attempt": 1,
        "level": "INFO",
        "logger": "shop",
        "created_at": clock.now(),
        **values,
    }
    return Log.objects.create(execution=execution, message=message, **values)


def make_worker(**values: Any) -> Worker:
    now = clock.now()
    values = {
        "hostname": "web-1",
        "pid": 42,
        "queues": {"default": 10},
        "started_at": now,
        "beat_at": now,
        "expires_at": now + timedelta(minutes=1),
        **values,
    }
    return Worker.objects.create(**values)


# --- Reading pages --------------------------------------------------------------------


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append((tag, dict(attrs)))


def elements(html: str) -> list[tuple[str, dict[str, str | None]]]:
    """Return the elements of a page with their attributes, as a browser reads them."""
    parser = _Elements()
    parser.feed(html)
    return parser.found


class _Texts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def text_of(html: str) -> str:
    """Return the text of a page, blanks made one."""
    parser = _Texts()
    parser.feed(html)
    return " ".join(" ".join(parser.parts).split())
