"""Django signals: what executions do, told after it was committed.

The sender is the workflow class, or ``None`` where this process does not know it. All
pass ``execution_id``, ``workflow`` (its name), ``execution`` (loaded when it is looked
at) and ``using`` (the database alias). What a receiver raises is logged, and harms
nothing. A process that dies just after a commit sends nothing, so what must happen
belongs into a step.
"""

from __future__ import annotations

from django.dispatch import Signal

execution_started = Signal()
"""A worker begins an execution for the first time."""

execution_completed = Signal()
"""Passes ``status``."""

execution_failed = Signal()
"""For good, and undone what was to be. Passes ``status`` and ``error``."""

execution_cancelled = Signal()
"""Passes ``status`` and ``error``, whose ``message`` is the reason."""

execution_waiting = Signal()
"""It waits for an event, a person, a moment, a child or the members of a block, and
holds no worker. Passes ``waiting_for``, a sentence."""

step_completed = Signal()
"""Passes ``step`` (path), ``kind``, ``attempt``, ``status``, ``error`` and ``lane``."""

step_failed = Signal()
"""One attempt has failed, timed out or was lost; passes what ``step_completed`` does."""

input_requested = Signal()
"""Passes ``name``, ``type``, ``prompt`` and ``input_id``."""

input_provided = Signal()
"""Passes ``name``, ``type``, ``prompt``, ``input_id`` and ``user`` (``None``: code)."""
