"""``Workflow``: the class a user derives from. Its body is the graph."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django_durable.definition import registry
from django_durable.definition.charts import Chart, chart_of
from django_durable.definition.compiling import Compiler, first_line, snake_case
from django_durable.definition.graph import Graph
from django_durable.definition.retry import as_retry
from django_durable.definition.schedules import ScheduleSpec
from django_durable.exceptions import DefinitionError
from django_durable.types import LONGEST, MAX_PRIORITY

_MAX_NAME = 200

_DEFAULTS: dict[str, Any] = {
    "timeout": None,
    "queue": "default",
    "priority": 0,
    "retry": None,
    "max_steps": 10_000,
    "input_form": None,
}


class Workflow:
    """A workflow: the order of its body is the order of execution.

    Class keywords: ``name`` (snake_case of the class), ``timeout`` (none; the longest
    life of one execution, waits included), ``queue`` (``"default"``), ``priority``
    (0; larger first), ``retry`` (one attempt; default of its steps), ``max_steps``
    (10,000 step runs), ``input_form`` (a Django form that ``start`` validates with),
    ``abstract`` (a base, not registered).
    """

    definition: ClassVar[Graph]
    schedule_specs: ClassVar[tuple[ScheduleSpec, ...]] = ()
    _options: ClassVar[dict[str, Any]] = _DEFAULTS

    def __init_subclass__(
        cls, *, name: str | None = None, abstract: bool = False, **options: Any
    ) -> None:
        """Compile the body, and make the workflow known."""
        super().__init_subclass__()
        unknown = sorted(options.keys() - _DEFAULTS.keys())
        if unknown:
            known = ", ".join(["name", *_DEFAULTS, "abstract"])
            raise DefinitionError(
                f"durable.E002: {cls.__qualname__} has the unknown option "
                f"{', '.join(unknown)}. Options of a workflow are: {known}."
            )
        cls._options = {**cls._options, **options}
        cls.schedule_specs = ()
        _check_options(cls, cls._options)
        cls.definition = _compile(cls, _name_of(cls, name))
        if not abstract:
            registry.register(cls)

    @classmethod
    def graph(cls) -> Chart:
        """Return the nodes and edges of this workflow; ``.to_mermaid()`` draws them."""
        return chart_of(cls.definition)


def _name_of(cls: type[Workflow], name: str | None) -> str:
    """Return the name of a workflow, or raise ``DefinitionError`` for what is none."""
    name = snake_case(cls.__name__) if name is None else name
    if not (
        isinstance(name, str) and 0 < len(name) <= _MAX_NAME and name.isprintable()
    ):
        raise DefinitionError(
            f"durable.E003: {cls.__qualname__} has name={name!r}. Give a printable text of "
            f"at most {_MAX_NAME} characters."
        )
    return name


def _compile(cls: type[Workflow], name: str) -> Graph:
    options = dict(cls._options)
    compiler = Compiler(cls, as_retry(options.pop("retry")))
    graph = Graph(
        workflow=name, nodes=compiler.nodes(cls), doc=first_line(cls), **options
    )
    compiler.check_targets(graph)
    compiler.check_lengths(graph)
    if compiler.problems:
        raise DefinitionError("\n".join(map(str, compiler.problems)))
    return graph


def _check_options(cls: type[Workflow], options: dict[str, Any]) -> None:
    """Raise ``DefinitionError`` for an option of the wrong type."""
    timeout, form = options["timeout"], options["input_form"]
    faults = {
        "timeout": timeout is not None
        and not (isinstance(timeout, timedelta) and timedelta(0) < timeout <= LONGEST),
        "queue": not (isinstance(options["queue"], str) and options["queue"]),
        "priority": not isinstance(options["priority"], int)
        or abs(options["priority"]) > MAX_PRIORITY,
        "max_steps": not (
            isinstance(options["max_steps"], int) and options["max_steps"] > 0
        ),
        "input_form": form is not None and not _is_form_class(form),
    }
    remedies = {
        "timeout": "a positive timedelta of at most 100 years, such as hours(2)",
        "queue": "the name of a queue",
        "priority": "a whole number; larger runs first",
        "max_steps": "a positive whole number",
        "input_form": "a class derived from django.forms.Form or ModelForm",
    }
    for option, is_wrong in faults.items():
        if is_wrong:
            raise DefinitionError(
                f"durable.E003: {cls.__qualname__} has {option}={options[option]!r}. "
                f"Give {remedies[option]}."
            )
    try:
        as_retry(options["retry"])
    except ValueError as error:
        raise DefinitionError(f"durable.E003: {cls.__qualname__}: {error}") from None


def _is_form_class(form: object) -> bool:
    """Say whether this is a Django form class; Django is not imported here."""
    bases = form.__mro__ if isinstance(form, type) else ()
    names = [f"{base.__module__}.{base.__qualname__}" for base in bases]
    return "django.forms.forms.BaseForm" in names
