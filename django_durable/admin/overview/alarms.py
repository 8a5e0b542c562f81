"""What somebody has to look at now. A function of values alone.

An alarm says what is wrong, what follows from it, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from shlex import quote

from django_durable.admin.sentences import Name, Part, Sentence, Since
from django_durable.console.words import up_to
from django_durable.models import Schedule
from django_durable.store.bounded import MOST
from django_durable.store.health.workers import served_queues
from django_durable.store.overview import Overview, QueueCounts

BEHIND = timedelta(minutes=5)
"""A queue is behind when something in it has been due for longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something that is wrong. ``view`` and ``query`` lead to where one sees more.

    ``is_grave``: it does not mend itself.
    """

    sentence: Sentence
    remedy: str
    view: str
    query: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    is_grave: bool = True


def alarms(found: Overview, schedules: Sequence[Schedule]) -> list[Alarm]:
    """Return all that is wrong, what stands still altogether first."""
    return [
        *_without_workers(found),
        *_lost(found),
        *_behind(found),
        *_unfired(schedules),
        *_worn_out(schedules),
    ]


def _without_workers(found: Overview) -> Iterator[Alarm]:
    served = served_queues(found.workers)
    abandoned = [
        one for one in found.queues if one.claimable and one.name not in served
    ]
    if not found.workers:
        if abandoned:
            yield _no_worker(abandoned)
        elif any(one.waiting for one in found.queues):
            yield _nobody_to_go_on(found.queues)
        return
    for queue in abandoned:
        yield Alarm(
            sentence=(
                "Queue ",
                Name(queue.name),
                f" has {up_to(queue.claimable)} due and no worker.",
                *_since(queue),
            ),
            remedy="Nothing in it runs. Start a worker that takes this queue:",
            # It will be copied into a shell.
            command=f"manage.py runworkers --queues {quote(queue.name)}",
            view="execution_changelist",
            query={"queue": queue.name, "status": "open"},
        )


def _no_worker(queues: Sequence[QueueCounts]) -> Alarm:
    count = up_to(min(sum(queue.claimable for queue in queues), MOST))
    oldest = min(queues, key=lambda queue: (queue.oldest is None, queue.oldest))
    return Alarm(
        sentence=(f"No worker is alive, and {count} due.", *_since(oldest)),
        remedy="Nothing runs. Start a worker:",
        command="manage.py runworkers",
        view="execution_changelist",
        query={"status": "open"},
    )


def _nobody_to_go_on(queues: Sequence[QueueCounts]) -> Alarm:
    count = up_to(min(sum(queue.waiting for queue in queues), MOST))
    return Alarm(
        sentence=(f"No worker is alive, and {count} waiting.",),
        remedy="Nothing goes on when its time or its answer comes. Start a worker:",
        command="manage.py runworkers",
        view="execution_changelist",
        query={"status": "open"},
    )


def _since(queue: QueueCounts) -> tuple[Part, ...]:
    if queue.oldest is None:
        return ()
    return (" The first has been due for ", Since(queue.oldest), ".")


def _lost(found: Overview) -> Iterator[Alarm]:
    living = {worker.pk for worker in found.workers}
    count = sum(held for pk, held in found.running.items() if pk not in living)
    if not count:
        return
    yield Alarm(
        sentence=(f"{count:,} held by workers that are dead.",),
        remedy="The living workers give them back within seconds."
        if living
        else "Nobody gives them back until a worker is started:",
        command="" if living else "manage.py runworkers",
        view="execution_changelist",
        query={"status": "running"},
        is_grave=not living,
    )


def _behind(found: Overview) -> Iterator[Alarm]:
    for queue in found.queues:
        slots = sum(worker.queues.get(queue.name, 0) for worker in found.workers)
        if not slots or queue.oldest is None or found.at - queue.oldest < BEHIND:
            continue
        is_full = queue.running >= slots
        busy = f"all {slots} slots are busy" if is_full else f"{slots} slots"
        yield Alarm(
            sentence=(
                "Queue ",
                Name(queue.name),
                " is behind: the first has been due for ",
                Since(queue.oldest),
                f", {busy}.",
            ),
            remedy="More workers, or more slots, would catch up."
            if is_full
            else "Its workers have free slots and do not take it: look at their logs.",
            view="execution_changelist",
            query={"queue": queue.name, "status": "open"},
            is_grave=not is_full,
        )


def _unfired(schedules: Sequence[Schedule]) -> Iterator[Alarm]:
    late = [one for one in schedules if one.is_late]
    if late and late[0].next_fire_at is not None:
        yield Alarm(
            sentence=(
                "Schedule ",
                Name(late[0].name),
                " should have fired ",
                Since(late[0].next_fire_at),
                f" ago{_and_others(late)}, and no worker fires schedules.",
            ),
            remedy="Start a worker without --no-scheduler:",
            command="manage.py runworkers",
            view="schedule_changelist",
        )


def _worn_out(schedules: Sequence[Schedule]) -> Iterator[Alarm]:
    disabled = [one for one in schedules if not one.enabled]
    if disabled:
        yield Alarm(
            sentence=(
                "Schedule ",
                Name(disabled[0].name),
                f"{_and_others(disabled)} was disabled, for it could start nothing.",
            ),
            remedy="Mend what its last error says, then enable it.",
            view="schedule_changelist",
            query={"state": "trouble"},
        )


def _and_others(schedules: Sequence[Schedule]) -> str:
    others = len(schedules) - 1
    return f" (and {others} more)" if others else ""
