"""What ``runworkers`` was asked to do, validated."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django_durable.conf import DEFAULT_INSTANCE, Settings, get_settings

DEFAULT_GRACE = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How one worker process works, or several that are alike.

    ``concurrency`` replaces that of each queue. ``grace`` is how many seconds a step may
    go on after the process was told to stop. ``parent`` is the id of the process without
    which this one does not go on.
    """

    settings: Settings
    queues: tuple[str, ...]
    concurrency: int | None = None
    processes: int = 1
    until_idle: bool = False
    scheduler: bool = True
    grace: float = DEFAULT_GRACE
    reload: bool = False
    parent: int | None = None

    def __post_init__(self) -> None:
        """Refuse numbers and combinations that make no sense."""
        if not self.settings.queue_enabled:
            raise ValueError(
                f'DURABLE["{self.settings.alias}"]["QUEUE_ENABLED"] is False: its '
                "executions are not to be run from here. Set it to True to start workers."
            )
        if self.concurrency is not None and self.concurrency < 1:
            raise ValueError("--concurrency: give a whole number from 1.")
        if self.processes < 1:
            raise ValueError("--processes: give a whole number from 1.")
        if not 0 <= self.grace < float("inf"):
            raise ValueError("--grace: give a number of seconds from 0.")
        if self.reload and (self.processes > 1 or self.until_idle):
            raise ValueError(
                "--reload runs one process until Ctrl-C: leave --processes and "
                "--until-idle out."
            )

    @property
    def using(self) -> str:
        """The database alias of the instance."""
        return self.settings.database

    @property
    def limits(self) -> Mapping[str, int]:
        """How many executions of each queue a process runs at once."""
        configured = self.settings.queues
        return {
            queue: self.concurrency or configured[queue].concurrency
            for queue in self.queues
        }

    def arguments(self) -> list[str]:
        """Return the arguments of ``runworkers`` for one process of these."""
        named = {
            "--durable": self.settings.alias,
            "--queues": ",".join(self.queues),
            "--concurrency": self.concurrency,
            "--grace": self.grace,
        }
        flags = {"--until-idle": self.until_idle, "--no-scheduler": not self.scheduler}
        return [
            *(f"{key}={value}" for key, value in named.items() if value is not None),
            *(flag for flag, is_set in flags.items() if is_set),
        ]


def make_options(
    *,
    durable: str = DEFAULT_INSTANCE,
    queues: str | Sequence[str] | None = None,
    concurrency: int | None = None,
    processes: int = 1,
    until_idle: bool = False,
    scheduler: bool = True,
    grace: float = DEFAULT_GRACE,
    reload: bool = False,
    parent: int | None = None,
) -> Options:
    """Return the options; ``queues`` are separated by commas, ``None`` means all.

    Raises ``ValueError`` saying what would be right, or ``UnknownInstance``.
    """
    settings = get_settings(durable)
    return Options(
        settings=settings,
        queues=_queues(settings, queues),
        concurrency=concurrency,
        processes=processes,
        until_idle=until_idle,
        scheduler=scheduler,
        grace=grace,
        reload=reload,
        parent=parent,
    )


def _queues(settings: Settings, asked: str | Sequence[str] | None) -> tuple[str, ...]:
    names = tuple(settings.queues) if asked is None else _names(asked)
    if unknown := [name for name in names if name not in settings.queues]:
        raise ValueError(_unknown_queue(unknown[0], settings))
    return names


def _names(asked: str | Sequence[str]) -> tuple[str, ...]:
    parts = asked.split(",") if isinstance(asked, str) else asked
    names = dict.fromkeys(part.strip() for part in parts if part.strip())
    if not names:
        raise ValueError("--queues: name at least one queue.")
    return tuple(names)


def _unknown_queue(name: str, settings: Settings) -> str:
    near = difflib.get_close_matches(name, settings.queues, n=1)
    hint = f'Did you mean "{near[0]}"?' if near else "Add it there to serve it."
    known = ", ".join(f'"{queue}"' for queue in settings.queues)
    return (
        f'--queues: "{name}" is not in DURABLE["{settings.alias}"]["QUEUES"], which has: '
        f"{known}. {hint}"
    )
