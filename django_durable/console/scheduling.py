"""``schedules`` and ``trigger``."""

from __future__ import annotations

from typing import Any

import django_durable
from django_durable.console.answers import Answer, Block, UsageError
from django_durable.console.objects import execution_object, stored
from django_durable.console.operating import parse_json
from django_durable.console.tables import Table
from django_durable.console.words import NOTHING, iso, moment
from django_durable.models import Execution

_COLUMNS = ("workflow", "cron", "timezone", "queue", "overlap", "catch_up")


def list_schedules(given: dict[str, Any]) -> Answer:
    """List the schedules."""
    found = _function("list_schedules")(limit=given["limit"], durable=given["durable"])
    table = Table(
        ("NAME", "WORKFLOW", "CRON", "TIMEZONE", "ENABLED", "NEXT", "LAST ERROR"),
        [
            (
                one.name,
                one.workflow,
                one.cron,
                str(one.timezone),
                "yes" if one.enabled else "no",
                moment(one.next_fire_at) if one.enabled else NOTHING,
                one.last_error or NOTHING,
            )
            for one in found
        ],
        whole=(0, 2, 4, 5),
    )
    blocks: list[Block] = [table] if found else ["No schedules."]
    return Answer(blocks=blocks, objects=[_object(one) for one in found])


def trigger(given: dict[str, Any]) -> Answer:
    """Start what a schedule starts, now; its times stay as they are."""
    text = given["input"]
    options = {} if text is None else {"input": parse_json(text, "--input")}
    started = _function("trigger_schedule")(
        given["name"], durable=given["durable"], **options
    )
    if isinstance(started, Execution):
        said = f"Started {started.workflow}: {started.pk}"
        return Answer(blocks=[said], objects=[execution_object(started)])
    return Answer(
        blocks=[f"{given['name']} was triggered."], objects=[{"name": given["name"]}]
    )


def _function(name: str) -> Any:
    found = getattr(django_durable, name, None)
    if found is None:
        raise UsageError("This release has no schedules.")
    return found


def _object(schedule: Any) -> dict[str, Any]:
    return {
        "name": schedule.name,
        **{name: getattr(schedule, name) for name in _COLUMNS},
        "input": stored(schedule.input),
        "enabled": schedule.enabled,
        "next_fire_at": iso(schedule.next_fire_at),
        "last_fire_at": iso(schedule.last_fire_at),
        "failure_count": schedule.failure_count,
        "last_error": schedule.last_error or None,
    }
