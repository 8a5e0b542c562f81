"""Blocks: nested classes whose bodies hold further nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Literal, get_args

from django_durable.exceptions import DefinitionError


class Block:
    """Root of all blocks.

    Methods of a block get an instance of it as ``self``. What the block itself does
    not define is looked up on the block or workflow around it, so that ``self.helper``
    reaches the workflow's methods from any depth.
    """

    is_kind: ClassVar[bool] = True
    """Whether the class is a sort of block (``Branch``) and not a block in a graph."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Refuse options that this sort of block does not have."""
        super().__init_subclass__()
        cls.is_kind = cls.__module__ == __name__
        if options:
            raise DefinitionError(
                f"durable.E015: {cls.__qualname__} has the unknown option "
                f"{', '.join(sorted(options))}. {cls._options()}"
            )

    @classmethod
    def _options(cls) -> str:
        return "It takes none."

    def __init__(self, outer: object | None = None) -> None:
        self._outer = outer

    def __getattr__(self, name: str) -> Any:
        """Look up on what stands around this block."""
        outer = self.__dict__.get("_outer")
        if outer is None:
            raise AttributeError(f"{type(self).__qualname__} has no attribute {name!r}")
        return getattr(outer, name)


class Branch(Block):
    """Exactly one of its cases runs: the first whose ``when`` holds ``on``'s answer.

    Without a match the ``Default`` runs; without a ``Default`` the block is skipped.
    """

    def on(self, data: dict[str, Any]) -> Any:
        """Return the value that chooses the case. Parameters work as in a step."""
        raise NotImplementedError


class Case(Block):
    """A way through a ``Branch``: ``class Invoice(Case, when="invoice")``."""

    when: ClassVar[tuple[Any, ...]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        """Take ``when``: one value, or a list or tuple of values."""
        if "when" in options:
            when = options.pop("when")
            cls.when = tuple(when) if isinstance(when, list | tuple) else (when,)
        super().__init_subclass__(**options)

    @classmethod
    def _options(cls) -> str:
        return "A case takes when=, a value or a list of values."


class Default(Block):
    """The way through a ``Branch`` when no case matches."""


OnError = Literal["fail_fast", "complete_all"]


class FanOut(Block):
    """Root of the blocks whose members run at the same time, on any worker."""

    on_error: ClassVar[OnError] = "fail_fast"
    join: ClassVar[Callable[..., Any] | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        """Take ``on_error``."""
        if "on_error" in options:
            cls.on_error = options.pop("on_error")
            if cls.on_error not in get_args(OnError):
                raise DefinitionError(
                    f"durable.E018: {cls.__qualname__} has on_error={cls.on_error!r}. "
                    'Use "fail_fast" or "complete_all".'
                )
        super().__init_subclass__(**options)

    @classmethod
    def _options(cls) -> str:
        return "It takes on_error=."


class Parallel(FanOut):
    """Its members run at the same time, each on a copy of the data.

    ``fail_fast``: the first failed member cancels the others and fails the block.
    ``complete_all``: all run to their end. ``join(self, data, results)`` is optional;
    without it each member's value is stored under the member's name.
    """


class Lane(Block):
    """A member of a ``Parallel`` with several nodes."""


class Each(FanOut):
    """Its body runs once per item, at most ``max_concurrency`` items at a time.

    Steps may ask for ``item`` and ``index``. ``join(self, data, results)`` gets a list
    in the order of the items; without it the values are stored under the block's name.
    """

    max_concurrency: ClassVar[int | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        """Take ``max_concurrency``."""
        if "max_concurrency" in options:
            cls.max_concurrency = options.pop("max_concurrency")
            _check_count(cls, "max_concurrency", cls.max_concurrency, none_is_fine=True)
        super().__init_subclass__(**options)

    @classmethod
    def _options(cls) -> str:
        return "It takes max_concurrency= and on_error=."

    def items(self, data: dict[str, Any]) -> Iterable[Any]:
        """Return what to run the body for. Parameters work as in a step."""
        raise NotImplementedError


class Loop(Block):
    """Its body runs as long as ``condition`` holds, at most ``max_iterations`` times."""

    max_iterations: ClassVar[int] = 1000

    def __init_subclass__(cls, **options: Any) -> None:
        """Take ``max_iterations``."""
        if "max_iterations" in options:
            cls.max_iterations = options.pop("max_iterations")
            _check_count(cls, "max_iterations", cls.max_iterations)
        super().__init_subclass__(**options)

    @classmethod
    def _options(cls) -> str:
        return "It takes max_iterations=."

    def condition(self, data: dict[str, Any]) -> bool:
        """Say, before each round, whether there is one. Parameters work as in a step."""
        raise NotImplementedError


def _check_count(
    block: type, option: str, value: object, *, none_is_fine: bool = False
) -> None:
    if none_is_fine and value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise DefinitionError(
            f"durable.E018: {block.__qualname__} has {option}={value!r}. Give a whole "
            "number from 1."
        )
