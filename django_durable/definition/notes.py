"""What a drawing says about a node under its name: what it waits for, what limits it."""

from __future__ import annotations

from datetime import datetime, timedelta

from django_durable.definition.durations import spelled
from django_durable.definition.nodes import (
    BranchNode,
    CaseNode,
    EachNode,
    LaneNode,
    LoopNode,
    ParallelNode,
    Place,
    StepNode,
)
from django_durable.definition.waits import (
    CallWorkflow,
    Sleep,
    WaitForEvent,
    WaitForInput,
    WaitNode,
)


def note_on(place: Place) -> str:
    """Return the note on a node; empty where its name says all."""
    match place:
        case StepNode(wait=WaitNode() as wait):
            return _waiting(wait)
        case StepNode(undo=undo):
            return "undone on failure" if undo else ""
        case ParallelNode(on_error=on_error):
            return on_error
        case EachNode(max_concurrency=limit):
            return f"at most {limit} at once" if limit else ""
        case LoopNode(max_iterations=limit):
            return f"at most {limit} rounds"
        case BranchNode() | CaseNode() | LaneNode():
            return ""


def _waiting(wait: WaitNode) -> str:
    match wait:
        case Sleep(delay=timedelta() as delay):
            return f"sleep {spelled(delay)}"
        case Sleep(until=datetime() as until):
            return f"sleep until {until:%Y-%m-%d %H:%M %Z}"
        case WaitForEvent(event=event, timeout=timeout):
            return f"event {event}{_at_most(timeout)}"
        case CallWorkflow(workflow=workflow, timeout=timeout):
            if not isinstance(workflow, str):
                workflow = workflow.definition.workflow
            return f"workflow {workflow}{_at_most(timeout)}"
        case WaitForInput(type=type_, timeout=timeout):
            who = wait.user or wait.group or wait.permission
            by = f" by {who}" if who else ""
            return f"{type_.replace('_', ' ')}{by}{_at_most(timeout)}"
        case _:
            return wait.kind


def _at_most(timeout: timedelta | None) -> str:
    return f", at most {spelled(timeout)}" if timeout else ""
