"""Who did what through the admin: entries in the history of executions."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib.admin.models import CHANGE, LogEntry
from django.http import HttpRequest

from django_durable.models import Execution


def note(
    request: HttpRequest, rows: Sequence[Execution], text: str, *, flag: int = CHANGE
) -> None:
    """Write into the history of executions what the user of a request did to them."""
    if not rows:
        return
    LogEntry.objects.log_actions(
        user_id=request.user.pk,  # type: ignore[arg-type]
        queryset=rows,
        action_flag=flag,
        change_message=text,
    )
