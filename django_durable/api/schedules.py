"""Schedules: made, changed and triggered by functions, and registered from the code."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django_durable import codec, cron
from django_durable.api.references import WorkflowRef, name_of, workflow_of
from django_durable.api.starting import new_execution
from django_durable.conf import Settings, get_settings
from django_durable.definition.schedules import (
    ScheduleSpec,
    check_option,
    code_schedules,
)
from django_durable.exceptions import (
    DurableError,
    InvalidInput,
    InvalidSchedule,
    UnknownWorkflow,
)
from django_durable.models import Execution, Schedule
from django_durable.store import firing, schedules
from django_durable.store.executions import NewExecution
from django_durable.types import CatchUp, Overlap, Tree

logger = logging.getLogger("django_durable.schedules")

_CHANGEABLE = (
    "cron",
    "timezone",
    "input",
    "queue",
    "enabled",
    "overlap",
    "catch_up",
    "jitter",
)


def schedule(
    workflow: WorkflowRef,
    cron: str,
    *,
    name: str | None = None,
    input: Mapping[str, Any] | None = None,  # noqa: A002
    timezone: str = "UTC",
    queue: str | None = None,
    enabled: bool = True,
    overlap: str = Overlap.ALLOW,
    catch_up: str = CatchUp.ONE,
    jitter: timedelta | None = None,
    durable: str = "default",
) -> Schedule:
    """Start executions of ``workflow`` whenever ``cron`` says, until it is disabled.

    ``name`` is the workflow's unless told. Raises ``InvalidSchedule``, also when the
    name is taken or the workflow is unknown or refuses the input.
    """
    try:
        found = workflow_of(workflow).definition.workflow
        spec = ScheduleSpec(
            workflow=found,
            cron=cron,
            name=found if name is None else name,
            timezone=timezone,
            input=input,
            queue=queue,
            enabled=enabled,
            overlap=overlap,
            catch_up=catch_up,
            jitter=jitter,
            durable=durable,
        )
    except (UnknownWorkflow, ValueError) as error:
        raise InvalidSchedule(str(error)) from None
    return _create(spec, get_settings(durable))


def _create(spec: ScheduleSpec, settings: Settings) -> Schedule:
    return schedules.create(
        spec.name,
        columns=_columns(spec, settings),
        is_enabled=spec.enabled,
        using=settings.database,
    )


def list_schedules(
    enabled: bool | None = None,
    workflow: WorkflowRef | None = None,
    queue: str | None = None,
    limit: int = 100,
    *,
    durable: str = "default",
) -> list[Schedule]:
    """Return schedules by name; ``queue`` is the one that a schedule names itself."""
    found = schedules.matching(
        enabled=enabled,
        workflow=name_of(workflow),
        queue=queue,
        using=get_settings(durable).database,
    )
    return list(found[:limit])


def get_schedule(name: str, *, durable: str = "default") -> Schedule:
    """Return the schedule of that name; ``ScheduleNotFound`` when there is none."""
    return schedules.get(name, using=get_settings(durable).database)


def update_schedule(name: str, *, durable: str = "default", **changes: Any) -> Schedule:
    """Change a schedule, one that is written in the code too: what is changed stays.

    ``changes``: ``cron``, ``timezone``, ``input``, ``queue``, ``enabled``, ``overlap``,
    ``catch_up``, ``jitter``. The next fire time follows a new cron or time zone. Raises
    ``ScheduleNotFound`` and ``InvalidSchedule``; nothing is changed then.
    """
    if unknown := sorted(changes.keys() - set(_CHANGEABLE)):
        raise TypeError(
            f"update_schedule() cannot change {', '.join(unknown)}; it takes "
            f"{', '.join(_CHANGEABLE)}."
        )
    settings = get_settings(durable)
    row = schedules.get(name, using=settings.database)
    columns = _checked_changes(row, changes, settings)
    enabled = columns.pop("enabled", None)
    return schedules.change(name, columns, enabled=enabled, using=settings.database)


def delete_schedule(name: str, *, durable: str = "default") -> None:
    """Delete a schedule. One that is written in the code is registered again."""
    schedules.delete(name, using=get_settings(durable).database)


def enable_schedule(name: str, *, durable: str = "default") -> Schedule:
    """Let a schedule fire from now on; what it missed while disabled is not made up."""
    return update_schedule(name, enabled=True, durable=durable)


def disable_schedule(name: str, *, durable: str = "default") -> Schedule:
    """Let a schedule fire no more, until it is enabled."""
    return update_schedule(name, enabled=False, durable=durable)


def trigger_schedule(
    name: str,
    input: Mapping[str, Any] | None = None,  # noqa: A002
    *,
    durable: str = "default",
) -> Execution:
    """Start an execution of a schedule now, a disabled one too; its times stay.

    ``input`` replaces the schedule's. Raises ``ScheduleNotFound`` and what ``start``
    raises.
    """
    settings = get_settings(durable)
    row = schedules.get(name, using=settings.database)
    given = row.input if input is None else input
    new = execution_of(row, settings, input=given)
    return firing.start_now(name, new, using=settings.database)


def execution_of(
    row: Schedule,
    settings: Settings,
    *,
    input: Mapping[str, Any] | None = None,  # noqa: A002
) -> NewExecution:
    """Return what a schedule starts; raises what ``start`` raises."""
    return new_execution(
        workflow_of(row.workflow),
        row.input if input is None else input,
        max_bytes=settings.max_payload_bytes,
        queue=row.queue,
        tags=[f"schedule:{row.name}"],
    )


# --- code -----------------------------------------------------------------------------


def register_code_schedules(durable: str, *, retires: bool = False) -> None:
    """Store the schedules that the code has for an instance, each by its name.

    What a person changed stays. One that is wrong is logged, and does not hold up the
    others. With ``retires`` those that the code has no more are disabled.
    """
    settings = get_settings(durable)
    specs = code_schedules(durable)
    for spec in specs:
        try:
            schedules.register(
                spec.name,
                _as_code(_columns(spec, settings)),
                is_enabled=spec.enabled,
                using=settings.database,
            )
        except (DurableError, ValueError) as error:
            logger.warning("The schedule %s was not registered: %s", spec.name, error)
    if retires:
        kept = {spec.name for spec in specs}
        for name in schedules.retire_code(kept, using=settings.database):
            logger.warning("The schedule %s is disabled: the code has none.", name)


def _as_code(columns: Mapping[str, Any]) -> Tree:
    jitter = columns["jitter"]
    return {**columns, "jitter": None if jitter is None else jitter.total_seconds()}


# --- values ---------------------------------------------------------------------------


def _columns(spec: ScheduleSpec, settings: Settings) -> dict[str, Any]:
    """Return what is stored of a schedule, its input encoded."""
    _refuse_timing(spec.cron, spec.timezone)
    return {
        "workflow": spec.workflow,
        "cron": spec.cron.strip(),
        "timezone": spec.timezone,
        "input": _input_tree(spec.workflow, spec.input, settings),
        "queue": spec.queue,
        "overlap": str(spec.overlap),
        "catch_up": str(spec.catch_up),
        "jitter": spec.jitter,
    }


def _checked_changes(
    row: Schedule, changes: Mapping[str, Any], settings: Settings
) -> dict[str, Any]:
    """Return the columns of ``changes``; raises ``InvalidSchedule``."""
    for option, value in changes.items():
        try:
            check_option(option, value)
        except ValueError as error:
            raise InvalidSchedule(
                f"The schedule {row.name!r} has {error}", option=option
            ) from None
    columns = dict(changes)
    if changes.keys() & {"cron", "timezone"} or changes.get("enabled"):
        _refuse_timing(
            changes.get("cron", row.cron), changes.get("timezone", row.timezone)
        )
    if "input" in changes:
        columns["input"] = _input_tree(row.workflow, changes["input"], settings)
    for option in changes.keys() & {"cron", "overlap", "catch_up"}:
        columns[option] = str(changes[option]).strip()
    return columns


def _refuse_timing(expression: str, timezone: str) -> None:
    if problem := cron.validate(expression):
        raise InvalidSchedule(problem, option="cron")
    if problem := cron.validate_timezone(timezone):
        raise InvalidSchedule(problem, option="timezone")


def _input_tree(
    workflow: str,
    input: Mapping[str, Any] | None,  # noqa: A002
    settings: Settings,
) -> Tree:
    """Return the input, encoded as it was given, if the workflow takes it."""
    tree: Tree = codec.encode(dict(input or {}), name="input")
    try:
        new_execution(
            workflow_of(workflow), input, max_bytes=settings.max_payload_bytes
        )
    except InvalidInput as error:
        raise InvalidSchedule(
            f"{workflow} refuses the input: {error}", option="input"
        ) from error
    return tree
