"""Who may do what, asked once per request and the same everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

APP = "django_durable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What a user may do with executions. Acting on one needs to see it too."""

    view: bool = False
    see_payloads: bool = False
    operate: bool = False
    start: bool = False
    delete: bool = False


def rights_of(user: Any) -> Rights:
    """Return what ``user`` may do, by the permissions of ``Execution``."""
    if not user.has_perm(f"{APP}.view_execution"):
        return Rights()
    return Rights(
        view=True,
        see_payloads=user.has_perm(f"{APP}.view_payload"),
        operate=user.has_perm(f"{APP}.operate_execution"),
        start=user.has_perm(f"{APP}.start_execution"),
        delete=user.has_perm(f"{APP}.delete_execution"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRights:
    """What a user may do with schedules. Changing one needs to see it too.

    Whoever may ``change`` one may also let it start executions.
    """

    view: bool = False
    see_payloads: bool = False
    add: bool = False
    change: bool = False
    delete: bool = False


def schedule_rights_of(user: Any) -> ScheduleRights:
    """Return what ``user`` may do, by the permissions of ``Schedule``."""
    if not user.has_perm(f"{APP}.view_schedule"):
        return ScheduleRights()
    return ScheduleRights(
        view=True,
        see_payloads=user.has_perm(f"{APP}.view_payload"),
        add=user.has_perm(f"{APP}.add_schedule"),
        change=user.has_perm(f"{APP}.change_schedule"),
        delete=user.has_perm(f"{APP}.delete_schedule"),
    )


def may_view_workers(user: Any) -> bool:
    """Say whether ``user`` may see the processes that do the work."""
    return bool(user.has_perm(f"{APP}.view_worker"))
