"""The ``DURABLE`` setting: its defaults, its rules, and its values as frozen objects.

``get_settings`` is what the rest of the package asks; ``rules`` judges what is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from types import MappingProxyType
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from django_durable.conf.rules import (
    DEFAULT_DATABASE,
    DEFAULT_INSTANCE,
    FINAL_STATUSES,
    LOG_LEVELS,
    Problem,
    find_problems,
    quoted,
)
from django_durable.exceptions import UnknownInstance

__all__ = [
    "DEFAULT_DATABASE",
    "DEFAULT_INSTANCE",
    "FINAL_STATUSES",
    "LOG_LEVELS",
    "AnswerLinkSettings",
    "LogSettings",
    "Problem",
    "QueueSettings",
    "Settings",
    "WebhookSettings",
    "find_problems",
    "get_instances",
    "get_settings",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """How much of one queue a worker process takes on at once."""

    concurrency: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """What is kept of the logs of a step; ``max_length`` counts characters."""

    level: str = "INFO"
    capture_stdout: bool = True
    max_entries: int = 1000
    max_length: int = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerLinkSettings:
    """How long signed links answer, and where they lead; ``""``: a path only."""

    max_age: timedelta = timedelta(days=7)
    base_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """Whoever signs with one of ``keys`` may send events from outside."""

    keys: tuple[str, ...] = field(repr=False)
    tolerance: float = 300.0


_DEFAULT_QUEUES = MappingProxyType({"default": QueueSettings()})
_DEFAULT_RETENTION: Mapping[str, timedelta | None] = MappingProxyType(
    dict.fromkeys(FINAL_STATUSES) | {"completed": timedelta(days=30)}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One instance. Durations are seconds; ``retention`` ``None`` means for ever."""

    alias: str
    database: str = DEFAULT_DATABASE
    queues: Mapping[str, QueueSettings] = field(default_factory=lambda: _DEFAULT_QUEUES)
    queue_enabled: bool = True
    poll_interval: float = 1.0
    lease: float = 30.0
    max_lost_attempts: int = 3
    max_payload_bytes: int = 4_000_000
    scheduler_interval: float = 1.0
    retention: Mapping[str, timedelta | None] = field(
        default_factory=lambda: _DEFAULT_RETENTION
    )
    logs: LogSettings = LogSettings()
    answer_links: AnswerLinkSettings | None = None
    webhook: WebhookSettings | None = None


def get_instances() -> tuple[str, ...]:
    """Return the names of all instances; ``"default"`` is always one of them."""
    return tuple(dict.fromkeys((DEFAULT_INSTANCE, *_configured())))


@cache
def get_settings(durable: str = DEFAULT_INSTANCE) -> Settings:
    """Return the settings of an instance.

    Raises ``UnknownInstance``, or ``ImproperlyConfigured`` with every problem in it.
    """
    configured = _configured()
    if problems := find_problems(configured):
        raise ImproperlyConfigured(
            "\n".join(f"{problem.message} {problem.hint}" for problem in problems)
        )
    if durable not in get_instances():
        known = ", ".join(map(quoted, get_instances()))
        raise UnknownInstance(
            f"settings.DURABLE has no instance {quoted(durable)}. It has: {known}."
        )
    return _build(durable, configured.get(durable, {}))


def _configured() -> Mapping[str, Any]:
    value: Mapping[str, Any] = getattr(settings, "DURABLE", {})
    return value


def _forget(*, setting: str, **_: object) -> None:
    if setting == "DURABLE":
        get_settings.cache_clear()


setting_changed.connect(_forget, dispatch_uid="django_durable.conf")


def _build(alias: str, given: Mapping[str, Any]) -> Settings:
    """Return the instance that ``given``, which has no problems, describes."""
    values = {key.lower(): value for key, value in given.items()}
    for key in ("poll_interval", "lease", "scheduler_interval"):
        if key in values:
            values[key] = float(values[key])
    if "queues" in values:
        values["queues"] = MappingProxyType(
            {name: QueueSettings(**queue) for name, queue in values["queues"].items()}
        )
    if "retention" in values:
        values["retention"] = MappingProxyType(
            {**_DEFAULT_RETENTION, **values["retention"]}
        )
    if "logs" in values:
        values["logs"] = LogSettings(**values["logs"])
    if values.get("answer_links") is not None:
        values["answer_links"] = AnswerLinkSettings(**values["answer_links"])
    if values.get("webhook") is not None:
        webhook = values["webhook"]
        values["webhook"] = WebhookSettings(**{**webhook, "keys": (*webhook["keys"],)})
    return Settings(alias=alias, **values)
