"""``@step`` and ``@decision``: methods that are nodes, and stay plain methods."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MethodType
from typing import Any, overload

from django_durable.definition.retry import Retry, as_retry
from django_durable.exceptions import DefinitionError
from django_durable.types import LONGEST, StepKind

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Goto:
    """What a decision returns to jump: the node's name, and what to merge first."""

    target: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Compensation:
    """The method that undoes a step; without ``retry`` the workflow's policy holds."""

    function: Function
    retry: Retry | None


class Step:
    """A method of a workflow that the engine runs, and remembers when it is done.

    On an instance it is the plain method: ``ProcessOrder().validate(data={})`` runs
    the body, without any engine.
    """

    def __init__(
        self,
        function: Function,
        *,
        kind: StepKind = StepKind.STEP,
        retry: Retry | int | None = None,
        timeout: timedelta | None = None,
        atomic: bool = False,
        queue: str | None = None,
        name: str | None = None,
        targets: Iterable[str] = (),
    ) -> None:
        self.function = function
        self.kind = kind
        self.retry = as_retry(retry)
        self.timeout = timeout
        self.atomic = atomic
        self.queue = queue
        self.name = name
        self.targets = tuple(targets)
        self.__doc__ = function.__doc__
        self.__wrapped__ = function
        self.compensation: Compensation | None = None
        _refuse_impossible(self)

    @overload
    def __get__(self, instance: None, owner: type) -> Step: ...
    @overload
    def __get__(self, instance: object, owner: type) -> MethodType: ...
    def __get__(self, instance: object | None, owner: type) -> Step | MethodType:
        """Return the plain method when asked on an instance."""
        return self if instance is None else MethodType(self.function, instance)

    @overload
    def compensate(self, function: Function, /) -> Function: ...
    @overload
    def compensate(
        self, *, retry: Retry | int | None = None
    ) -> Callable[[Function], Function]: ...
    def compensate(
        self, function: Function | None = None, *, retry: Retry | int | None = None
    ) -> Function | Callable[[Function], Function]:
        """Name the method that undoes this step: ``@charge.compensate``.

        It sees the data at the time of the failure with the output of this step laid
        over it, and ``error``.
        """

        def decorate(function: Function) -> Function:
            self.compensation = Compensation(function, as_retry(retry))
            _refuse_parameters(f"compensation {function.__qualname__}", function)
            return function

        return decorate if function is None else decorate(function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the body as the plain function it is: ``Order.validate(order, …)``."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.function.__qualname__}>"


def _refuse_impossible(step: Step) -> None:
    """Raise ``DefinitionError`` for options that contradict each other or the body."""
    where = f"{step.kind} {step.function.__qualname__}"
    if step.atomic and inspect.iscoroutinefunction(step.function):
        raise DefinitionError(
            f"durable.E010: {where} is `async def` and atomic. A transaction cannot span "
            "awaits: write it with `def`, or leave atomic=True away."
        )
    if step.timeout is not None and (
        not isinstance(step.timeout, timedelta)
        or not timedelta(0) < step.timeout <= LONGEST
    ):
        raise DefinitionError(
            f"durable.E011: {where} has timeout={step.timeout!r}. Give a positive "
            "timedelta of at most 100 years, such as seconds(30)."
        )
    _refuse_parameters(where, step.function)


def _refuse_parameters(where: str, function: Function) -> None:
    """Raise ``DefinitionError`` for parameters that cannot be given by name."""
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        if parameter.kind not in (
            parameter.POSITIONAL_OR_KEYWORD,
            parameter.KEYWORD_ONLY,
        ):
            raise DefinitionError(
                f"durable.E012: {where} takes {parameter}. A step gets its parameters by "
                "name: name the keys it needs, or take `data`."
            )


@overload
def step(function: Function, /) -> Step: ...
@overload
def step(
    *,
    retry: Retry | int | None = None,
    timeout: timedelta | None = None,
    atomic: bool = False,
    queue: str | None = None,
    name: str | None = None,
) -> Callable[[Function], Step]: ...
def step(
    function: Function | None = None, /, **options: Any
) -> Step | Callable[[Function], Step]:
    """Make a method a step: ``@step`` or ``@step(retry=, timeout=, atomic=, …)``.

    ``timeout`` is for one attempt. ``atomic=True`` runs the body, stores its result
    and moves on in one database transaction. ``queue`` is where this step runs.
    """
    if function is not None:
        return Step(function)
    return lambda function: Step(function, **options)


def decision(
    *,
    targets: Iterable[str],
    retry: Retry | int | None = None,
    timeout: timedelta | None = None,
    queue: str | None = None,
    name: str | None = None,
) -> Callable[[Function], Step]:
    """Make a method a step that may return ``Goto`` to one of ``targets``.

    A target is the name of a node of the same block or of one around it.
    """
    if isinstance(targets, str):
        raise DefinitionError(
            f"durable.E013: decision(targets={targets!r}): give a list of names, such as "
            f"[{targets!r}]."
        )

    def decorate(function: Function) -> Step:
        return Step(
            function,
            kind=StepKind.DECISION,
            retry=retry,
            timeout=timeout,
            queue=queue,
            name=name,
            targets=targets,
        )

    return decorate
