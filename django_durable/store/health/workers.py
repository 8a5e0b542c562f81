"""What is leased is held by a living worker, and what is due finds one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.db.models import Count, QuerySet

from django_durable import clock
from django_durable.models import Execution, Worker
from django_durable.store.health.finding import Finding, Patient

_GRACE = timedelta(seconds=5)
"""How long workers have to notice that another one is dead."""


def alive(*, using: str, late: timedelta = timedelta(0)) -> QuerySet[Worker]:
    """Return the workers that were heard of within their lease, and ``late`` after it."""
    return Worker.objects.using(using).filter(
        is_dead=False, expires_at__gte=clock.due(-late)
    )


def lost_leases(patient: Patient) -> list[Finding]:
    """Leased by a worker that is dead, unknown, or not heard of for a lease."""
    using = patient.using
    living = alive(using=using, late=_GRACE).values("pk")
    rows = Execution.rows.using(using).leased().exclude(leased_by__in=living)
    ids = rows.order_by("pk").values_list("pk", flat=True)
    return patient.finding(
        "lost_lease",
        ids[: patient.limit + 1],
        "Leased by a worker that is dead, and no other worker takes it back.",
        "Start a worker (manage.py runworkers): within a second of its start it gives "
        "back what dead workers hold.",
    )


def served_queues(workers: Iterable[Worker]) -> set[str]:
    """Return the queues that any of these workers serves."""
    return {queue for worker in workers for queue in worker.queues}


def unserved_queues(patient: Patient) -> list[Finding]:
    """A queue holds what is due, and no living worker serves it."""
    using = patient.using
    served = served_queues(alive(using=using, late=_GRACE))
    due = (
        Execution.rows.using(using)
        .filter(available_at__lte=clock.db_now())
        .exclude(queue__in=served)
        .order_by("queue")
        .values("queue")
        .annotate(count=Count("pk"))
        .values_list("queue", flat=True)
    )
    return patient.finding(
        "queue_without_worker",
        due[: patient.limit + 1],
        "Executions are due in this queue, and no living worker serves it.",
        "Start a worker for it (manage.py runworkers --queues NAME), and see that "
        "QUEUES of settings.DURABLE has the queue.",
        about="queue",
    )
