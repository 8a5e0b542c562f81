"""``status``, ``list`` and ``pending``: many rows at a glance."""

from __future__ import annotations

from typing import Any

from django_durable import api, clock
from django_durable.conf import get_settings
from django_durable.console.answers import Answer, Block, UsageError
from django_durable.console.objects import (
    execution_object,
    input_object,
    overview_object,
)
from django_durable.console.tables import Table
from django_durable.console.words import (
    NOTHING,
    count,
    duration,
    moment,
    parse_since,
    relative,
)
from django_durable.models import Execution
from django_durable.store import answering, queries
from django_durable.store.overview import Overview, overview
from django_durable.types import ExecutionStatus


def status(given: dict[str, Any]) -> Answer:
    """Show queues, workers, due schedules, and the failures of the last hour."""
    found = overview(using=get_settings(given["durable"]).database)
    return Answer(
        blocks=_status_blocks(found, given["durable"]), objects=[overview_object(found)]
    )


def _status_blocks(found: Overview, durable: str) -> list[Block]:
    # A queue that is configured is shown also when nothing is in it.
    counts = {queue.name: queue for queue in found.queues}
    queues = Table(
        ("QUEUE", "CLAIMABLE", "RUNNING", "WAITING", "OLDEST"),
        [
            (
                name,
                f"{queue.claimable:,}" if queue else "0",
                f"{queue.running:,}" if queue else "0",
                f"{queue.waiting:,}" if queue else "0",
                duration(found.at - queue.oldest)
                if queue and queue.oldest
                else NOTHING,
            )
            for name in sorted({*counts, *get_settings(durable).queues})
            for queue in [counts.get(name)]
        ],
        numbers=(1, 2, 3, 4),
    )
    blocks: list[Block] = [queues, "", *_worker_blocks(found)]
    blocks.append(f"Schedules due: {found.schedules_due:,}")
    blocks.append(f"Failed in the last hour: {found.failures:,}")
    return blocks


def _worker_blocks(found: Overview) -> list[Block]:
    if not found.workers:
        return ["No worker is alive. Start one: manage.py runworkers", ""]
    table = Table(
        ("WORKER", "QUEUES", "RUNNING", "UP", "HEARTBEAT"),
        [
            (
                str(worker),
                ", ".join(f"{name} {size}" for name, size in worker.queues.items()),
                f"{found.running.get(worker.pk, 0):,}",
                duration(found.at - worker.started_at),
                f"{duration(found.at - worker.beat_at)} ago",
            )
            for worker in found.workers
        ],
        numbers=(2, 3, 4),
    )
    return [table, ""]


def list_executions(given: dict[str, Any]) -> Answer:
    """List executions, newest first."""
    since = given["since"]
    found = queries.executions(
        using=get_settings(given["durable"]).database,
        workflow=given["workflow"],
        status=_statuses(given["status"]),
        queue=given["queue"],
        tag=given["tag"],
        since=parse_since(since, clock.now()) if since else None,
    )
    rows = list(found.defer("input", "data")[: given["limit"] + 1])
    shown = rows[: given["limit"]]
    blocks: list[Block] = [_executions(shown)] if shown else ["No executions."]
    if len(rows) > len(shown):
        blocks.append(f"… and more: raise --limit, which is {given['limit']}.")
    return Answer(blocks=blocks, objects=[execution_object(row) for row in shown])


def _statuses(given: list[str] | None) -> list[str] | None:
    """Return the statuses that were asked for, separated by commas or repeated."""
    if not given:
        return None
    wanted = [one.strip() for part in given for one in part.split(",") if one.strip()]
    known = [status.value for status in ExecutionStatus]
    if unknown := [one for one in wanted if one not in known]:
        raise UsageError(f"{unknown[0]!r} is no status. Known are: {', '.join(known)}.")
    return wanted


def _executions(rows: list[Execution]) -> Table:
    return Table(
        ("ID", "WORKFLOW", "STATUS", "QUEUE", "CREATED", "TOOK", "STEP"),
        [
            (
                str(row.pk),
                row.workflow,
                row.status,
                row.queue,
                moment(row.created_at),
                duration(row.duration),
                row.current_step or NOTHING,
            )
            for row in rows
        ],
        numbers=(5,),
        whole=(0, 2, 4),
    )


def pending(given: dict[str, Any]) -> Answer:
    """List what people are asked, soonest timeout first."""
    limit, now = given["limit"], clock.now()
    found = api.list_pending_inputs(limit=limit + 1, durable=given["durable"])
    shown = found[:limit]
    table = Table(
        ("EXECUTION", "NAME", "TYPE", "FOR", "TIMEOUT", "AGE", "PROMPT"),
        [
            (
                str(request.execution_id),
                request.name,
                request.type,
                answering.who_may_answer(request).removeprefix("it is for "),
                relative(request.until, now),
                duration(now - request.created_at),
                request.prompt or NOTHING,
            )
            for request in shown
        ],
        whole=(0, 1, 2, 4, 5),
    )
    blocks: list[Block] = [table] if shown else ["Nobody is asked for anything."]
    if len(found) > limit:
        blocks.append(f"{count(limit, 'input')} are shown, and there are more.")
    return Answer(blocks=blocks, objects=[input_object(request) for request in shown])
