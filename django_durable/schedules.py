"""``schedule``, which is both the decorator of a workflow and the function.

With a workflow before the cron expression it stores a schedule, and so loads the models;
without one it decorates a class, and loads none.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, overload

from django_durable.definition import schedules as definition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django_durable.api.references import WorkflowRef
    from django_durable.definition.workflow import Workflow
    from django_durable.models import Schedule

W = TypeVar("W", bound="type[Workflow]")


@overload
def schedule(
    cron: str,
    *,
    timezone: str = ...,
    name: str | None = ...,
    input: Mapping[str, Any] | None = ...,
    queue: str | None = ...,
    overlap: str = ...,
    catch_up: str = ...,
    jitter: timedelta | None = ...,
    enabled: bool = ...,
    durable: str = ...,
) -> Callable[[W], W]: ...
@overload
def schedule(
    workflow: WorkflowRef,
    cron: str,
    *,
    name: str | None = ...,
    input: Mapping[str, Any] | None = ...,
    timezone: str = ...,
    queue: str | None = ...,
    enabled: bool = ...,
    overlap: str = ...,
    catch_up: str = ...,
    jitter: timedelta | None = ...,
    durable: str = ...,
) -> Schedule: ...
def schedule(*args: Any, **options: Any) -> Any:
    """Start executions when a cron expression says.

    ``@schedule("0 9 * * MON-FRI")`` decorates a workflow class, and may be stacked;
    ``schedule(workflow, "0 9 * * MON-FRI")`` stores a ``Schedule`` and returns it.
    """
    if len(args) > 1 or "workflow" in options or (args and "cron" in options):
        from django_durable.api import schedules

        return schedules.schedule(*args, **options)
    return definition.schedule(*args, **options)
