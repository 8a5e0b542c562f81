"""The overview: a page of the app that comes first in its list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from django_durable import clock
from django_durable.admin import live
from django_durable.admin.inbox import questions
from django_durable.admin.instances import instance_of
from django_durable.admin.overview.alarms import alarms
from django_durable.admin.overview.rates import rates, rows
from django_durable.admin.pages import PageAdmin, page
from django_durable.admin.permissions import may_view_workers, schedule_rights_of
from django_durable.conf import Settings, get_instances
from django_durable.models import Worker
from django_durable.models.execution import UNSUCCESSFUL
from django_durable.store import answering, schedules
from django_durable.store.bounded import Count, evaluate
from django_durable.store.failures import FailureKind, failures
from django_durable.store.overview import Overview, QueueCounts, overview
from django_durable.store.throughput import past_hour

OverviewPage = page("overview", _("Overview"), comes_first=True)

DAY = timedelta(days=1)
ENDED = "ended:24h"
"""What the search of executions calls what has ended in the past day."""

MOST_WORKERS = 20
MOST_SCHEDULES = 10
RATES = "rates"

_SHOWN_IF_ANY = ("compensating", "compensated", "compensation_failed")
_BAD = tuple(status.value for status in UNSUCCESSFUL)


class OverviewAdmin(PageAdmin):
    """Two regions: how things stand, and, asked for more seldom, the past hour."""

    template = "admin/django_durable/overview/page.html"
    regions = {
        live.WHOLE: "admin/django_durable/overview/standing.html",
        RATES: "admin/django_durable/overview/rates.html",
    }

    def get_page_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return what both regions need."""
        both = (self.get_region_context(request, name) for name in self.regions)
        return {"instances": list(get_instances())} | dict(
            pair for context in both for pair in context.items()
        )

    def get_region_context(self, request: HttpRequest, name: str) -> dict[str, Any]:
        """Return what one region needs."""
        settings = instance_of(request)
        if name == RATES:
            return _rates(request, settings)
        return _standing(request, settings)


def _rates(request: HttpRequest, settings: Settings) -> dict[str, Any]:
    minutes = past_hour(clock.now(), using=settings.database)
    return {
        "rates": rates(minutes),
        "rate_rows": rows(minutes),
        "rates_url": live.region_url(request, RATES),
    }


def _standing(request: HttpRequest, settings: Settings) -> dict[str, Any]:
    using, user = settings.database, request.user
    found = overview(queues=settings.queues, using=using)
    sees_schedules = schedule_rights_of(user).view
    troubled = list(schedules.rows(using).in_trouble()[: MOST_SCHEDULES + 1])
    raised = alarms(found, troubled if sees_schedules else [])
    failed = failures(found.at - DAY, using=using)
    return {
        "overview": found,
        "alarms": raised,
        "open_tiles": list(_tiles(found.open)),
        "ended_tiles": list(_tiles(found.ended, search=ENDED)),
        "asked": _asked(request, using),
        "queues": [_Queue(one, found) for one in found.queues],
        "workers": [_Load(one, found) for one in found.workers[:MOST_WORKERS]],
        "more_workers": max(len(found.workers) - MOST_WORKERS, 0),
        "failures": failed,
        "failure_rows": [
            (one, Count(one.count, failed.is_cut), _query_of(one))
            for one in failed.kinds
        ],
        "troubled": troubled[:MOST_SCHEDULES],
        "sees_schedules": sees_schedules,
        "sees_workers": may_view_workers(user),
        "ended_search": ENDED,
        "live_state": live.ON if _moves(found) else live.SLOW,
        "announced": _announced(len(raised)),
    }


def _moves(found: Overview) -> bool:
    return any(queue.claimable or queue.running for queue in found.queues)


def _announced(count: int) -> str:
    if not count:
        return str(_("All is well."))
    return str(_("Alarms: %(count)s.") % {"count": count})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A number that leads to what it counts."""

    status: str
    count: int
    query: Mapping[str, str]

    @property
    def is_bad(self) -> bool:
        """Whether it is a number that should be nought, and is not."""
        return self.status in _BAD and self.count > 0


def _tiles(counts: Mapping[str, int], *, search: str = "") -> Iterator[Tile]:
    for status, count in counts.items():
        if count or status not in _SHOWN_IF_ANY:
            searched = {"q": search} if search else {}
            yield Tile(status=status, count=count, query={"status": status, **searched})


def _asked(request: HttpRequest, using: str) -> Mapping[str, Any]:
    """Count the questions that are for a user, and all there are if they may be seen."""
    counts = {"mine": answering.counted(questions.mine(request))}
    if questions.sees_all(request.user):
        counts["all"] = answering.counted(questions.still_open(request))
    return evaluate(counts, using=using)


@dataclass(frozen=True, slots=True)
class _Queue:
    """A queue, and who serves it."""

    counts: QueueCounts
    found: Overview

    @property
    def slots(self) -> int:
        return sum(one.queues.get(self.counts.name, 0) for one in self.found.workers)

    @property
    def state(self) -> str:
        """The word, if any, that stands beside its name."""
        if not self.slots:
            return "no worker" if self.counts.claimable else ""
        return "full" if self.counts.running >= self.slots else ""


@dataclass(frozen=True, slots=True)
class _Load:
    """A worker, and how much of it is in use."""

    worker: Worker
    found: Overview

    @property
    def running(self) -> int:
        return self.found.running.get(self.worker.pk, 0)

    @property
    def slots(self) -> int:
        return sum(self.worker.queues.values())


def _query_of(kind: FailureKind) -> dict[str, str]:
    """Return the filters under which the list shows failures of a kind."""
    type_ = kind.type.replace('"', " ").strip()
    words = [ENDED, *([f'error:"{type_}"'] if type_ else [])]
    return {
        "status": "unsuccessful",
        "workflow": kind.workflow,
        "q": " ".join(words),
    }
