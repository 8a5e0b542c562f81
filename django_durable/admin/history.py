"""Who did what through the admin: entries in the history of the admin."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model, QuerySet
from django.http import HttpRequest


def note(
    request: HttpRequest, rows: Sequence[Model], text: str, *, flag: int = CHANGE
) -> None:
    """Write into the history of rows what the user of a request did to them."""
    if not rows:
        return
    LogEntry.objects.log_actions(
        user_id=request.user.pk,  # type: ignore[arg-type]
        queryset=rows,
        action_flag=flag,
        change_message=text,
    )


def entries_of(row: Model) -> QuerySet[LogEntry]:
    """Return who did what to a row, the latest first."""
    kind = ContentType.objects.get_for_model(row)
    entries = LogEntry.objects.filter(object_id=str(row.pk), content_type=kind)
    return entries.select_related("user").order_by("-action_time", "-pk")
