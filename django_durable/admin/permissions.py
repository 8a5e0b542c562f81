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

    def allow(self, right: str) -> bool:
        """Say whether ``right``, the name of a field, is given."""
        return bool(getattr(self, right))


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
