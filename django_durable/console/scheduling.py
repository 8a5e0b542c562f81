"""``schedules``, ``trigger``, ``enable-schedule`` and ``disable-schedule``."""

from __future__ import annotations

from typing import Any

from django_durable import api
from django_durable.console.answers import Answer, Block
from django_durable.console.objects import execution_object, stored
from django_durable.console.operating import parse_json
from django_durable.console.tables import Table
from django_durable.console.words import NOTHING, iso, moment
from django_durable.models import Schedule

_COLUMNS = ("workflow", "cron", "timezone", "queue", "overlap", "catch_up")


def list_schedules(given: dict[str, Any]) -> Answer:
    """List the schedules."""
    limit: int = given["limit"]
    found = api.list_schedules(limit=limit + 1, durable=given["durable"])
    shown = found[:limit]
    table = Table(
        ("NAME", "WORKFLOW", "CRON", "TIMEZONE", "ENABLED", "NEXT", "LAST", "NOTE"),
        [
            (
                one.name,
                one.workflow,
                one.cron,
                one.timezone,
                "yes" if one.enabled else "no",
                moment(one.next_fire_at) if one.enabled else NOTHING,
                moment(one.last_fire_at),
                " ".join(filter(None, (one.disabled_reason, one.last_error)))
                or NOTHING,
            )
            for one in shown
        ],
        whole=(0, 2, 4, 5, 6),
    )
    blocks: list[Block] = [table] if shown else ["No schedules."]
    if len(found) > limit:
        blocks.append(f"… and more: raise --limit, which is {limit}.")
    return Answer(blocks=blocks, objects=[_object(one) for one in shown])


def trigger(given: dict[str, Any]) -> Answer:
    """Start what a schedule starts, now; its times stay as they are."""
    text = given["input"]
    started = api.trigger_schedule(
        given["name"],
        None if text is None else parse_json(text, "--input"),
        durable=given["durable"],
    )
    said = f"Started {started.workflow}: {started.pk}"
    return Answer(blocks=[said], objects=[execution_object(started)])


def enable(given: dict[str, Any]) -> Answer:
    """Let a schedule fire, from now on."""
    row = api.enable_schedule(given["name"], durable=given["durable"])
    said = f"{row.name} is enabled; it fires next at {moment(row.next_fire_at)}."
    return Answer(blocks=[said], objects=[_object(row)])


def disable(given: dict[str, Any]) -> Answer:
    """Let a schedule fire no more."""
    row = api.disable_schedule(given["name"], durable=given["durable"])
    return Answer(blocks=[f"{row.name} is disabled."], objects=[_object(row)])


def _object(schedule: Schedule) -> dict[str, Any]:
    jitter = schedule.jitter
    return {
        "name": schedule.name,
        **{name: getattr(schedule, name) for name in _COLUMNS},
        "jitter": None if jitter is None else jitter.total_seconds(),
        "input": stored(schedule.input),
        "enabled": schedule.enabled,
        "next_fire_at": iso(schedule.next_fire_at),
        "last_fire_at": iso(schedule.last_fire_at),
        "last_execution": (
            str(schedule.last_execution) if schedule.last_execution else None
        ),
        "failure_count": schedule.failure_count,
        "last_error": schedule.last_error or None,
        "disabled_reason": schedule.disabled_reason or None,
    }
