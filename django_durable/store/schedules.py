"""Schedules: stored and changed, by functions and by the code."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet

from django_durable import clock, codec, cron
from django_durable.engine import scheduling
from django_durable.exceptions import InvalidSchedule, ScheduleNotFound
from django_durable.models import Schedule
from django_durable.models.fields import Encoded
from django_durable.models.schedule import GONE_FROM_CODE, ScheduleQuerySet
from django_durable.types import Tree

_TIMING = {"cron", "timezone"}


def create(
    name: str, *, columns: Mapping[str, Any], is_enabled: bool, using: str
) -> Schedule:
    """Insert a schedule; ``columns`` has its ``input`` encoded.

    Raises ``InvalidSchedule`` when there is one of that name.
    """
    new = Schedule(
        name=name, enabled=is_enabled, created_at=clock.db_now(), **encoded(columns)
    )
    try:
        # One transaction, so that nobody sees a schedule without its next fire time.
        with transaction.atomic(using=using):
            new.save(using=using, force_insert=True)
            row = lock(name, using=using)
            update(row, using, **_next(row))
    except IntegrityError:
        if not _named(name, using).exists():
            raise
        raise InvalidSchedule(
            f"There is a schedule called {name!r} already. Change it with "
            "update_schedule(), or give this one another name.",
            option="name",
        ) from None
    return get(name, using=using)


def get(name: str, *, using: str) -> Schedule:
    """Return the schedule of that name, or raise ``ScheduleNotFound``."""
    row = _named(name, using).first()
    if row is None:
        raise _not_found(name)
    return row


def matching(
    *,
    enabled: bool | None = None,
    workflow: str | None = None,
    queue: str | None = None,
    using: str,
) -> QuerySet[Schedule]:
    """Return the schedules that match all that is given, by name."""
    equal = {"enabled": enabled, "workflow": workflow, "queue": queue}
    wanted = {key: value for key, value in equal.items() if value is not None}
    return rows(using).filter(**wanted).order_by("name")


def change(
    name: str,
    columns: Mapping[str, Any],
    *,
    enabled: bool | None = None,
    using: str,
) -> Schedule:
    """Change columns of a schedule; its next fire time follows its cron and time zone.

    One that is enabled fires from now on: what it missed before is not due.
    """
    with transaction.atomic(using=using):
        row = lock(name, using=using)
        changes = _changes(row, columns)
        if enabled is not None:
            changes |= _enabling(row) if enabled else _disabling(row, "")
        update(row, using, **changes)
    return get(name, using=using)


def _changes(row: Schedule, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return what to write, and let the next fire time follow its cron and zone."""
    changes = encoded(columns)
    for key in _TIMING & columns.keys():
        setattr(row, key, columns[key])
    return changes | _next(row) if _TIMING & columns.keys() else changes


def _enabling(row: Schedule) -> dict[str, Any]:
    changes = {"enabled": True, "failure_count": 0, "disabled_reason": ""}
    return changes if row.enabled else {**changes, **_next(row)}


def _disabling(row: Schedule, reason: str) -> dict[str, Any]:
    return {"enabled": False, "disabled_reason": reason} if row.enabled else {}


def delete(name: str, *, using: str) -> None:
    """Delete a schedule; what it started stays."""
    count, _ = _named(name, using).delete()
    if not count:
        raise _not_found(name)


# --- code -----------------------------------------------------------------------------


def register(
    name: str, code: Mapping[str, Any], *, is_enabled: bool, using: str
) -> None:
    """Store what the code says of a schedule, and keep what a person has changed.

    ``code`` are its columns, encoded as JSON. Raises ``InvalidSchedule`` when somebody
    else has a schedule of that name.
    """
    columns = _from_code(code)
    row = _named(name, using).first()
    if row is None:
        try:
            columns["code"] = dict(code)
            create(name, columns=columns, is_enabled=is_enabled, using=using)
        except InvalidSchedule:
            # Another process was faster; it may have had other code.
            row = get(name, using=using)
        else:
            return
    if row.code is None:
        raise InvalidSchedule(
            f"The schedule {name!r} of the code has the name of one that was made by "
            "schedule(). Rename one of the two."
        )
    if row.code != dict(code) or row.disabled_reason == GONE_FROM_CODE:
        _register_anew(name, code, using)


def _register_anew(name: str, code: Mapping[str, Any], using: str) -> None:
    with transaction.atomic(using=using):
        row = lock(name, using=using)
        merged = scheduling.merge(_as_code(row), base=row.code or {}, code=code)
        # A person cannot change which workflow it starts.
        merged["workflow"] = code["workflow"]
        changes = _changes(row, _from_code(merged))
        if row.disabled_reason == GONE_FROM_CODE:
            changes |= _enabling(row)
        update(row, using, **{**changes, "code": dict(code)})


def retire_code(names: Collection[str], *, using: str) -> list[str]:
    """Disable the schedules of the code that it has no more; return their names."""
    known = rows(using).filter(enabled=True, code__isnull=False)
    found = list(known.exclude(name__in=names).values_list("name", flat=True))
    for name in found:
        with transaction.atomic(using=using):
            row = lock(name, using=using)
            update(row, using, **_disabling(row, GONE_FROM_CODE))
    return found


def _from_code(code: Mapping[str, Any]) -> dict[str, Any]:
    """Return columns of what the code says, or of a part of it."""
    columns = dict(code)
    if code.get("jitter") is not None:
        columns["jitter"] = timedelta(seconds=code["jitter"])
    return columns


def _as_code(row: Schedule) -> Tree:
    """Return what is stored as the code would say it."""
    return {
        "cron": row.cron,
        "timezone": row.timezone,
        "input": codec.encode(row.input, name="input"),
        "queue": row.queue,
        "overlap": row.overlap,
        "catch_up": row.catch_up,
        "jitter": row.jitter.total_seconds() if row.jitter is not None else None,
        "workflow": row.workflow,
    }


def changed_by_hand(row: Schedule) -> dict[str, tuple[Any, Any]]:
    """Return what differs from the code, by option: what is stored, what the code says.

    Both as JSON. Empty for a schedule that is not written in the code.
    """
    stored, code = _as_code(row), row.code or {}
    return {
        option: (stored[option], value)
        for option, value in code.items()
        if option in stored and stored[option] != value
    }


def from_code(row: Schedule, options: Collection[str]) -> dict[str, Any]:
    """Return options of a schedule with the values that the code gives them."""
    code = row.code or {}
    columns = _from_code({option: code[option] for option in options})
    if "input" in columns:
        columns["input"] = codec.decode(columns["input"])
    return columns


# --- rows -----------------------------------------------------------------------------


def rows(using: str) -> ScheduleQuerySet:
    """Return all schedules of a database."""
    return ScheduleQuerySet(Schedule, using=using)


def lock(name: str, *, using: str) -> Schedule:
    """Lock a schedule for the rest of the transaction; it has ``database_now``."""
    row = _named(name, using).with_now().select_for_update().first()
    if row is None:
        raise _not_found(name)
    return row


def update(row: Schedule, using: str, **changes: Any) -> None:
    """Write columns of a locked schedule."""
    rows(using).filter(pk=row.pk).update(revision=F("revision") + 1, **changes)


def encoded(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return columns whose ``input`` is a tree as the ORM takes them."""
    changes = dict(columns)
    if "input" in changes:
        changes["input"] = Encoded(changes["input"])
    return changes


def _named(name: str, using: str) -> ScheduleQuerySet:
    return rows(using).filter(name=name)


def _next(row: Schedule) -> dict[str, Any]:
    """Return the next fire time from the database's now, for a locked row."""
    return {"next_fire_at": cron.next_fire(row.cron, row.timezone, row.database_now)}


def _not_found(name: str) -> ScheduleNotFound:
    return ScheduleNotFound(f"There is no schedule called {name!r}.")
