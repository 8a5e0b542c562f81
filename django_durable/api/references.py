"""What callers may name an execution and a workflow by."""

from __future__ import annotations

from typing import TypeAlias
from uuid import UUID

from django_durable.definition import registry
from django_durable.definition.workflow import Workflow
from django_durable.exceptions import ExecutionNotFound, UnknownWorkflow
from django_durable.models import Execution

ExecutionRef: TypeAlias = "Execution | UUID | str"
WorkflowRef: TypeAlias = "type[Workflow] | str"


def id_of(execution: ExecutionRef) -> UUID:
    """Return the id of an execution, however it was given."""
    if isinstance(execution, Execution):
        return execution.pk
    if isinstance(execution, UUID):
        return execution
    try:
        return UUID(str(execution))
    except ValueError:
        raise ExecutionNotFound(
            f"{execution!r} is no id of an execution. Give an Execution or its id (a UUID)."
        ) from None


def workflow_of(workflow: WorkflowRef) -> type[Workflow]:
    """Return the registered workflow that ``workflow`` names."""
    if isinstance(workflow, str):
        return registry.get(workflow)
    if not (isinstance(workflow, type) and issubclass(workflow, Workflow)):
        raise UnknownWorkflow(
            f"{workflow!r} is no workflow. Give the class, or the name it is registered by."
        )
    if registry.find(workflow.definition.workflow) is not workflow:
        raise UnknownWorkflow(
            f"{workflow.__qualname__} is abstract, or was replaced by another class of "
            "its name, so no worker could find it."
        )
    return workflow


def name_of(workflow: WorkflowRef | None) -> str | None:
    """Return the name by which executions of ``workflow`` are stored."""
    if workflow is None or isinstance(workflow, str):
        return workflow
    return workflow.definition.workflow
