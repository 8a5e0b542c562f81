"""Delete what has ended long ago."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import timedelta

from django_durable.conf import FINAL_STATUSES, get_settings
from django_durable.store import retention

_LONGEST_REST = 1.0


def cleanup(
    older_than: timedelta,
    statuses: str | Iterable[str] | None = None,
    dry_run: bool = False,
    *,
    on_progress: Callable[[int], object] | None = None,
    durable: str = "default",
) -> int:
    """Delete executions that ended ``older_than`` ago, with all that belongs to them.

    A child goes with its topmost parent, and only when the whole family has ended.
    ``statuses``: one final status or several, of the topmost one; without, all of them.
    With ``dry_run`` nothing is deleted. ``on_progress`` is told the count so far.
    Returns the count of executions, children included. Workers may run meanwhile: it is
    many short transactions with pauses, so do not call it inside one. Raises
    ``ValueError`` for a status that is not final.
    """
    wanted = _checked(FINAL_STATUSES if statuses is None else statuses)
    using, total = get_settings(durable).database, 0
    for status in wanted:
        began = time.monotonic()
        for count in retention.sweep(
            status, older_than, using=using, deletes=not dry_run
        ):
            total += count
            if on_progress is not None:
                on_progress(total)
            began = _rest(began)
    return total


def _checked(statuses: str | Iterable[str]) -> list[str]:
    wanted = [statuses] if isinstance(statuses, str) else list(statuses)
    if wrong := [status for status in wanted if status not in FINAL_STATUSES]:
        raise ValueError(
            f"{wrong[0]!r} is not a status of what has ended. Those are: "
            f"{', '.join(FINAL_STATUSES)}."
        )
    return [str(status) for status in wanted]


def _rest(began: float) -> float:
    """Leave the database to others for as long as the last batch took."""
    time.sleep(min(time.monotonic() - began, _LONGEST_REST))
    return time.monotonic()
