"""``doctor``, ``check`` and ``cleanup``: is all well, and what may go."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import django_durable
from django_durable import clock
from django_durable.conf import FINAL_STATUSES, get_settings
from django_durable.console.answers import Answer, Block, UsageError
from django_durable.console.objects import finding_object
from django_durable.console.tables import Table
from django_durable.console.words import NOTHING, count, moment, parse_age
from django_durable.store import health
from django_durable.store.health import Finding
from django_durable.store.health.code import Stranded, stranded

SECOND_LOOK = 1.5
"""Seconds between the doctor's two looks: longer than workers take to mend things."""

_MOST_SHOWN = 100


def doctor(given: dict[str, Any]) -> Answer:
    """Check what is stored against the promises of the engine."""
    using, limit = get_settings(given["durable"]).database, given["limit"]
    found: Sequence[Finding] = health.examine(using=using, limit=limit)
    if found and given["second_look"]:
        # What was in motion, such as a worker that has just died, is mended by then.
        time.sleep(given["second_look"])
        found = health.confirmed(found, health.examine(using=using, limit=limit))
    blocks: list[Block] = [line for one in found for line in _described(one)]
    return Answer(
        blocks=blocks or [f"All is well: {count(len(health.RULES), 'rule')} checked."],
        objects=[finding_object(one) for one in found],
        fault=f"{count(len(found), 'finding')}." if found else "",
    )


def _described(finding: Finding) -> list[Block]:
    ids = [f"    {id_}" for id_ in finding.ids]
    more = ["    … and more"] if finding.has_more else []
    return [
        f"{finding.rule} ({finding.about})",
        f"  {finding.message}",
        f"  To do: {finding.remedy}",
        *ids,
        *more,
        "",
    ]


def check(given: dict[str, Any]) -> Answer:
    """List the open executions that the present code cannot continue."""
    found = list(
        stranded(
            using=get_settings(given["durable"]).database,
            on_progress=lambda seen: given["progress"](
                f"{count(seen, 'open execution')} looked at"
            ),
        )
    )
    if not found:
        said = "The present code can continue every open execution."
        return Answer(blocks=[said], objects=[])
    blocks: list[Block] = [_stranded(found[:_MOST_SHOWN])]
    if len(found) > _MOST_SHOWN:
        blocks.append(
            f"… and {len(found) - _MOST_SHOWN:,} more; --format json has all."
        )
    return Answer(
        blocks=blocks,
        objects=[_stranded_object(one) for one in found],
        fault=(
            f"The present code cannot continue {count(len(found), 'open execution')}. "
            "Deployed as it is, these rest until workers have the code again."
        ),
    )


def _stranded(found: Sequence[Stranded]) -> Table:
    return Table(
        ("ID", "WORKFLOW", "STATUS", "STEP", "WHY"),
        [
            (
                str(one.execution_id),
                one.workflow,
                one.status,
                one.position or NOTHING,
                one.reason,
            )
            for one in found
        ],
        whole=(0, 2),
    )


def _stranded_object(one: Stranded) -> dict[str, Any]:
    return {
        "id": str(one.execution_id),
        "lane": str(one.id) if one.id != one.execution_id else None,
        "workflow": one.workflow,
        "status": one.status,
        "current_step": one.position,
        "reason": one.reason,
    }


def cleanup(given: dict[str, Any]) -> Answer:
    """Delete old ended executions, with all that belongs to them."""
    age, statuses = parse_age(given["older_than"]), _statuses(given["status"])
    delete: Any = getattr(django_durable, "cleanup", None)
    if delete is None:
        raise UsageError("This release has no cleanup.")
    number = delete(
        age,
        statuses=statuses,
        dry_run=given["dry_run"],
        on_progress=lambda gone: given["progress"](count(gone, "execution")),
        durable=given["durable"],
    )
    what = f"{count(number, 'execution')} ({', '.join(statuses)}), ended before"
    verb = "Would delete" if given["dry_run"] else "Deleted"
    before = clock.now() - age
    return Answer(
        blocks=[f"{verb} {what} {moment(before)}."],
        objects=[
            {
                "deleted": 0 if given["dry_run"] else number,
                "found": number,
                "dry_run": given["dry_run"],
                "statuses": statuses,
                "older_than_seconds": age.total_seconds(),
            }
        ],
    )


def _statuses(given: list[str] | None) -> list[str]:
    if not given:
        return list(FINAL_STATUSES)
    wanted = [one.strip() for part in given for one in part.split(",") if one.strip()]
    if unknown := [one for one in wanted if one not in FINAL_STATUSES]:
        raise UsageError(
            f"{unknown[0]!r} is not how an execution ends. Give one of: "
            f"{', '.join(FINAL_STATUSES)}."
        )
    return wanted
