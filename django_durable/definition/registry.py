"""Workflow name -> workflow class, filled as classes are defined.

The classes live in ``workflows.py`` of the installed apps, which are imported at
start-up. This is the only module-level state of the package that changes.
"""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

from django_durable.exceptions import DefinitionError, UnknownWorkflow

if TYPE_CHECKING:
    from django_durable.definition.workflow import Workflow

_workflows: dict[str, weakref.ref[type[Workflow]]] = {}
_kept: dict[str, type[Workflow]] = {}


def register(workflow: type[Workflow]) -> None:
    """Make ``workflow`` known by its name.

    A module that is imported again replaces its own classes. A class made inside a
    function is known for as long as something refers to it.
    """
    name = workflow.definition.workflow
    known = _find(name)
    if known and not _is_same_code(known, workflow):
        if "<locals>" in known.__qualname__:
            del known
            gc.collect()
            known = _find(name)
        if known:
            raise DefinitionError(
                f"durable.E001: two workflows are called {name!r}: "
                f"{known.__module__}.{known.__qualname__} and "
                f"{workflow.__module__}.{workflow.__qualname__}. "
                'Give one of them another name: class …(Workflow, name="…").'
            )
    _workflows[name] = weakref.ref(workflow)
    _kept.pop(name, None)
    if "<locals>" not in workflow.__qualname__:
        _kept[name] = workflow


def find(name: str) -> type[Workflow] | None:
    """Return the workflow of that name, or ``None`` when this code has none."""
    return _find(name)


def get(name: str) -> type[Workflow]:
    """Return the workflow of that name; ``UnknownWorkflow`` says which there are."""
    workflow = _find(name)
    if workflow is None:
        known = ", ".join(sorted(names())) or "none"
        raise UnknownWorkflow(
            f"No workflow is called {name!r}; known are: {known}. Workflows are read from "
            "workflows.py of every app in INSTALLED_APPS."
        )
    return workflow


def names() -> list[str]:
    """Return the names of all registered workflows, sorted."""
    return sorted(name for name in list(_workflows) if _find(name))


def _find(name: str) -> type[Workflow] | None:
    reference = _workflows.get(name)
    return reference() if reference else None


def _is_same_code(known: type, workflow: type) -> bool:
    return (known.__module__, known.__qualname__) == (
        workflow.__module__,
        workflow.__qualname__,
    )
