"""Workers: the one page there is about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _

from django_durable.admin import live
from django_durable.admin.base import DurableAdmin
from django_durable.admin.instances import instance_of
from django_durable.admin.overview.alarms import alarms
from django_durable.admin.permissions import APP, may_view_workers
from django_durable.conf import Settings, get_instances
from django_durable.models import Execution, Step, Worker
from django_durable.store import losses
from django_durable.store.overview import Overview, overview

TEMPLATE = "admin/django_durable/worker/page.html"
REGION = "admin/django_durable/worker/page_region.html"

DAY = timedelta(days=1)
MOST_WORKERS = 200
MOST_SHOWN = 5
"""Executions that are shown of each worker."""


class WorkerAdmin(DurableAdmin):
    """All workers on one page, those of the past day that are dead included."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let those in who may see workers."""
        return may_view_workers(request.user)

    def get_urls(self) -> list[URLPattern]:
        """Return the one address there is."""
        view = self.admin_site.admin_view(self.changelist_view)
        return [path("", view, name=f"{APP}_worker_changelist")]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the page, or only its region."""
        self.require(may_view_workers(request.user))
        context = {
            "title": _("Workers"),
            "instances": list(get_instances()),
            **_context(instance_of(request)),
        }
        return self.respond(request, TEMPLATE, REGION, context)


def _context(settings: Settings) -> dict[str, Any]:
    using = settings.database
    found = overview(queues=settings.queues, using=using)
    since = found.at - DAY
    dead = losses.dead_since(since, using=using)
    living = found.workers[:MOST_WORKERS]
    runs = _by_worker(losses.runs_of([one.pk for one in (*living, *dead)], using=using))
    lost = losses.lost_since(since, using=using) if dead else []
    return {
        "alarms": alarms(found, []),
        "living": [_Living(one, found, runs.get(one.pk, ())) for one in living],
        "more": max(len(found.workers) - MOST_WORKERS, 0),
        "dead": list(_dead(dead, runs, lost)),
        "queues": found.queues,
        "live_state": live.ON if found.workers else live.SLOW,
        "announced": str(
            _("Workers alive: %(count)s.") % {"count": len(found.workers)}
        ),
    }


def _by_worker(runs: Iterable[Execution]) -> dict[UUID, list[Execution]]:
    by_worker: dict[UUID, list[Execution]] = {}
    for run in runs:
        if run.leased_by is not None:
            by_worker.setdefault(run.leased_by, []).append(run)
    return by_worker


@dataclass(frozen=True, slots=True)
class _Living:
    """A worker, how much of it is in use, and by what."""

    worker: Worker
    found: Overview
    runs: Sequence[Execution]

    @property
    def running(self) -> int:
        return self.found.running.get(self.worker.pk, 0)

    @property
    def slots(self) -> int:
        return sum(self.worker.queues.values())

    @property
    def shown(self) -> Sequence[Execution]:
        return self.runs[:MOST_SHOWN]

    @property
    def others(self) -> int:
        return self.running - len(self.shown)


@dataclass(frozen=True, slots=True)
class _Dead:
    """A dead worker: what it still holds, and the attempts that were lost with it."""

    worker: Worker
    held: int
    lost: Sequence[Step]

    @property
    def shown(self) -> Sequence[Step]:
        return self.lost[:MOST_SHOWN]

    @property
    def others(self) -> int:
        return len(self.lost) - len(self.shown)


def _dead(
    workers: Sequence[Worker],
    runs: Mapping[UUID, Sequence[Execution]],
    lost: Iterable[Step],
) -> Iterable[_Dead]:
    """Yield dead workers; a lost attempt is that of the last one it may be of."""
    mine: dict[UUID, list[Step]] = {}
    for step in lost:
        suspects = [one for one in workers if losses.is_lost_with(step, one)]
        if suspects:
            last = max(suspects, key=lambda one: one.started_at)
            mine.setdefault(last.pk, []).append(step)
    for worker in workers:
        held = len(runs.get(worker.pk, ()))
        yield _Dead(worker, held, mine.get(worker.pk, ()))
