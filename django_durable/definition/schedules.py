"""``@schedule``: when executions of a workflow are started. Nothing is stored here.

What the cron expression and the time zone mean is judged by ``manage.py check``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from django_durable.definition import registry
from django_durable.exceptions import DefinitionError
from django_durable.types import CatchUp, Overlap

if TYPE_CHECKING:
    from django_durable.definition.workflow import Workflow

W = TypeVar("W", bound="type[Workflow]")

MAX_NAME = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSpec:
    """A schedule as it is asked for. ``durable`` is the instance that has it.

    ``queue``: ``None`` is the workflow's own. ``jitter`` is the longest delay that is
    drawn for each start.
    """

    workflow: str
    cron: str
    name: str
    timezone: str = "UTC"
    input: Mapping[str, Any] | None = None
    queue: str | None = None
    enabled: bool = True
    overlap: str = Overlap.ALLOW
    catch_up: str = CatchUp.ONE
    jitter: timedelta | None = None
    durable: str = "default"

    def __post_init__(self) -> None:
        """Refuse values of the wrong type; raises ``ValueError``."""
        for field in fields(self):
            check_option(field.name, getattr(self, field.name))


def schedule(cron: str, *, name: str | None = None, **options: Any) -> Callable[[W], W]:
    """Start executions of the decorated workflow when ``cron`` says; may be stacked.

    ``name`` is the workflow's unless told, and unique; ``options`` are the fields of
    ``ScheduleSpec``, but ``overlap`` is ``"skip"``. A subclass does not inherit it.
    """
    options.setdefault("overlap", Overlap.SKIP)

    def decorate(workflow: W) -> W:
        found = getattr(getattr(workflow, "definition", None), "workflow", None)
        if found is None or registry.find(found) is not workflow:
            raise DefinitionError(
                f"durable.E020: {workflow!r} cannot have a schedule. Put @schedule on a "
                "Workflow class that is not abstract."
            )
        try:
            for option in options:
                _refuse_unknown(option)
            spec = ScheduleSpec(
                workflow=found,
                cron=cron,
                name=found if name is None else name,
                **options,
            )
        except ValueError as error:
            raise DefinitionError(
                f"durable.E020: {workflow.__qualname__} has a @schedule with {error}"
            ) from None
        _add(workflow, spec)
        return workflow

    return decorate


def _add(workflow: type[Workflow], spec: ScheduleSpec) -> None:
    if spec.name in {other.name for other in workflow.schedule_specs}:
        raise DefinitionError(
            f"durable.E021: {workflow.__qualname__} has two schedules called "
            f'{spec.name!r}. Give each a name of its own: @schedule(…, name="…").'
        )
    # The lowest decorator comes first; they are kept as they are read.
    workflow.schedule_specs = (spec, *workflow.schedule_specs)


def code_schedules(durable: str | None = None) -> list[ScheduleSpec]:
    """Return the schedules of all registered workflows, or those of one instance."""
    return [
        spec
        for name in registry.names()
        for spec in registry.get(name).schedule_specs
        if durable in (None, spec.durable)
    ]


def _refuse_unknown(option: str) -> None:
    known = _RULES.keys() - {"workflow"}
    if option not in known:
        raise ValueError(
            f"the unknown option {option}. Options are: {', '.join(sorted(known))}."
        )


def check_option(name: str, value: object) -> None:
    """Raise ``ValueError``, in words, when an option of a schedule cannot be this."""
    accepts, remedy = _RULES[name]
    if not accepts(value):
        raise ValueError(f"{name}={value!r}. Give {remedy}.")


def _is_text(value: object, longest: int) -> bool:
    return isinstance(value, str) and 0 < len(value.strip()) <= longest


def _is_jitter(value: object) -> bool:
    return value is None or (isinstance(value, timedelta) and value >= timedelta(0))


_Rule = tuple[Callable[[object], bool], str]

_RULES: Mapping[str, _Rule] = {
    "workflow": (lambda value: _is_text(value, MAX_NAME), "the name of a workflow"),
    "name": (
        lambda value: _is_text(value, MAX_NAME),
        f"a name of 1 to {MAX_NAME} characters",
    ),
    "cron": (
        lambda value: _is_text(value, MAX_NAME),
        'an expression of five fields, such as "0 9 * * MON-FRI"',
    ),
    "timezone": (
        lambda value: _is_text(value, 100),
        'the name of a time zone, such as "Europe/Berlin"',
    ),
    "input": (
        lambda value: value is None or isinstance(value, Mapping),
        "a mapping, which becomes the data of the first step",
    ),
    "queue": (
        lambda value: value is None or _is_text(value, 100),
        "the name of a queue, or None for that of the workflow",
    ),
    "enabled": (lambda value: isinstance(value, bool), "True or False"),
    "overlap": (
        lambda value: value in list(Overlap),
        f"one of {', '.join(repr(one.value) for one in Overlap)}",
    ),
    "catch_up": (
        lambda value: value in list(CatchUp),
        f"one of {', '.join(repr(one.value) for one in CatchUp)}",
    ),
    "jitter": (
        _is_jitter,
        "a timedelta that is not negative, such as minutes(5), or None",
    ),
    "durable": (lambda value: _is_text(value, 100), "the name of an instance"),
}
