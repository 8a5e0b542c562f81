"""Durable, resumable workflows for Django, in the database the project already has.

What users write comes from here. Importing a name imports no model, so it is safe in
any settings and any ``workflows.py``; the functions that touch the database (``start``,
``cancel`` …) are loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django_durable.api import *
    from django_durable.data import append, assign, increment, update
    from django_durable.definition.blocks import (
        Branch,
        Case,
        Default,
        Each,
        Lane,
        Loop,
        Parallel,
    )
    from django_durable.definition.durations import days, hours, minutes, seconds, weeks
    from django_durable.definition.retry import Retry
    from django_durable.definition.steps import Goto, decision, step
    from django_durable.definition.waits import (
        CallWorkflow,
        Sleep,
        WaitForApproval,
        WaitForChoice,
        WaitForEvent,
        WaitForForm,
        WaitForText,
    )
    from django_durable.definition.workflow import Workflow
    from django_durable.engine.joining import Result
    from django_durable.exceptions import (
        Cancel,
        Cancelled,
        ChildFailed,
        DefinitionError,
        DurableError,
        ExecutionClosed,
        ExecutionFailed,
        ExecutionNotFound,
        Fail,
        InputNotFound,
        InstanceGone,
        InvalidInput,
        InvalidSchedule,
        InvalidStepReturn,
        NothingToSkip,
        NotInStep,
        NotStorable,
        RetryAfter,
        ScheduleNotFound,
        Snooze,
        StepTimeout,
        UnknownInstance,
        UnknownWorkflow,
        WaitTimeout,
    )
    from django_durable.moments import end_of_day, next_business_day, next_weekday
    from django_durable.runtime.child_calls import call_workflow, start_workflow
    from django_durable.runtime.context import StepContext, get_context
    from django_durable.runtime.durable_calls import (
        checkpoint,
        sleep,
        sleep_until,
        wait_for_all,
        wait_for_any,
        wait_for_event,
    )
    from django_durable.runtime.input_calls import (
        wait_for_approval,
        wait_for_choice,
        wait_for_form,
        wait_for_input,
        wait_for_text,
    )
    from django_durable.schedules import schedule
    from django_durable.types import ExecutionStatus

_OPERATIONS = (
    "start",
    "start_many",
    "get_execution",
    "list_executions",
    "list_children",
    "wait_for_result",
    "cancel",
    "retry",
    "pause",
    "resume",
    "run_now",
    "send_event",
    "provide_input",
    "list_pending_inputs",
    "list_schedules",
    "get_schedule",
    "update_schedule",
    "delete_schedule",
    "enable_schedule",
    "disable_schedule",
    "trigger_schedule",
    "cleanup",
)

_HOMES = {
    "data": "append assign increment update",
    "definition.blocks": "Branch Case Default Each Lane Loop Parallel",
    "definition.durations": "days hours minutes seconds weeks",
    "definition.retry": "Retry",
    "definition.steps": "Goto decision step",
    "definition.waits": (
        "CallWorkflow Sleep WaitForApproval WaitForChoice WaitForEvent "
        "WaitForForm WaitForText"
    ),
    "definition.workflow": "Workflow",
    "engine.joining": "Result",
    "exceptions": (
        "Cancel Cancelled ChildFailed DefinitionError DurableError "
        "ExecutionClosed ExecutionFailed ExecutionNotFound Fail InputNotFound "
        "InstanceGone InvalidInput InvalidSchedule InvalidStepReturn NothingToSkip "
        "NotInStep NotStorable RetryAfter ScheduleNotFound Snooze StepTimeout "
        "UnknownInstance UnknownWorkflow WaitTimeout"
    ),
    "moments": "end_of_day next_business_day next_weekday",
    "runtime.context": "StepContext get_context",
    "runtime.child_calls": "call_workflow start_workflow",
    "runtime.durable_calls": (
        "checkpoint sleep sleep_until wait_for_all wait_for_any wait_for_event"
    ),
    "runtime.input_calls": (
        "wait_for_approval wait_for_choice wait_for_form wait_for_input wait_for_text"
    ),
    "schedules": "schedule",
    "types": "ExecutionStatus",
    "api": " ".join([*_OPERATIONS, *(f"a{name}" for name in _OPERATIONS), "aschedule"]),
}

_MODULE_OF = {
    name: f"{__name__}.{module}"
    for module, names in _HOMES.items()
    for name in names.split()
}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
