"""What an application calls. The web process stops here: it loads no worker code.

Every function takes part in the caller's transaction: what is started, sent or
cancelled in a transaction that is rolled back never happened. An execution is given as
an ``Execution`` or its id; ``durable`` names the instance (``settings.DURABLE``).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async

from django_durable.api.operating import (
    cancel,
    list_pending_inputs,
    pause,
    provide_input,
    resume,
    retry,
    run_now,
    send_event,
)
from django_durable.api.reading import (
    await_for_result,
    get_execution,
    list_children,
    list_executions,
    wait_for_result,
)
from django_durable.api.retaining import cleanup
from django_durable.api.schedules import (
    delete_schedule,
    disable_schedule,
    enable_schedule,
    get_schedule,
    list_schedules,
    schedule,
    trigger_schedule,
    update_schedule,
)
from django_durable.api.starting import start, start_many

P = ParamSpec("P")
T = TypeVar("T")


def _twin(function: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Return ``function`` for asynchronous callers."""
    return sync_to_async(function, thread_sensitive=True)


astart = _twin(start)
astart_many = _twin(start_many)
aget_execution = _twin(get_execution)
alist_executions = _twin(list_executions)
alist_children = _twin(list_children)
acancel = _twin(cancel)
aretry = _twin(retry)
apause = _twin(pause)
aresume = _twin(resume)
arun_now = _twin(run_now)
asend_event = _twin(send_event)
aprovide_input = _twin(provide_input)
alist_pending_inputs = _twin(list_pending_inputs)
acleanup = _twin(cleanup)
aschedule = _twin(schedule)
alist_schedules = _twin(list_schedules)
aget_schedule = _twin(get_schedule)
aupdate_schedule = _twin(update_schedule)
adelete_schedule = _twin(delete_schedule)
aenable_schedule = _twin(enable_schedule)
adisable_schedule = _twin(disable_schedule)
atrigger_schedule = _twin(trigger_schedule)

__all__ = [
    "acancel",
    "acleanup",
    "adelete_schedule",
    "adisable_schedule",
    "aenable_schedule",
    "aget_execution",
    "aget_schedule",
    "alist_children",
    "alist_executions",
    "alist_pending_inputs",
    "alist_schedules",
    "apause",
    "aprovide_input",
    "aresume",
    "aretry",
    "arun_now",
    "aschedule",
    "asend_event",
    "astart",
    "astart_many",
    "atrigger_schedule",
    "aupdate_schedule",
    "await_for_result",
    "cancel",
    "cleanup",
    "delete_schedule",
    "disable_schedule",
    "enable_schedule",
    "get_execution",
    "get_schedule",
    "list_children",
    "list_executions",
    "list_pending_inputs",
    "list_schedules",
    "pause",
    "provide_input",
    "resume",
    "retry",
    "run_now",
    "send_event",
    "start",
    "start_many",
    "trigger_schedule",
    "update_schedule",
    "wait_for_result",
]
