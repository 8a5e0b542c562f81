"""What processes of their own do in the tests of races: end lanes, work, operate."""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from uuid import UUID

CONTEXT = multiprocessing.get_context("spawn")
"""Not forked: a child must not share the connections of its parent."""


class Processes:
    """Runs functions of this module at the same time, each in a process of its own."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment

    def barrier(self, parties: int) -> Any:
        """Return a meeting point that may be handed to the functions."""
        return CONTEXT.Barrier(parties, timeout=30)

    def run(self, *calls: tuple[Any, ...]) -> list[Any]:
        """Call each ``(function, *arguments)``; return what they have returned."""
        results = CONTEXT.Queue()
        started = [
            CONTEXT.Process(
                target=_child, args=(self._environment, results, number, *call)
            )
            for number, call in enumerate(calls)
        ]
        for process in started:
            process.start()
        found = dict(results.get(timeout=200) for _ in started)
        for process in started:
            process.join(20)
        for result in found.values():
            if isinstance(result, Failure):
                raise result
        return [found[number] for number in range(len(calls))]


class Failure(Exception):
    """What a process has raised, as text."""


def _child(
    environment: dict[str, str],
    results: Any,
    number: int,
    function: Callable[..., Any],
    *arguments: Any,
) -> None:
    import django

    os.environ.update(environment, DJANGO_SETTINGS_MODULE="tests.settings")
    django.setup()
    from django.db import connections

    try:
        found: Any = function(*arguments)
    except BaseException as error:
        found = Failure(f"{type(error).__name__}: {error}")
    finally:
        connections.close_all()
    results.put((number, found))


def end_lanes(queue: str, barrier: Any, count: int) -> None:
    """Run ``count`` lanes of a queue, each as another process runs one of its siblings."""
    from django_durable.store import families, leases
    from tests.composition.raced_workflows import TwoAtOnce
    from tests.factories import run

    assert TwoAtOnce
    finish = families.finish

    def together(*arguments: Any, **options: Any) -> Any:
        barrier.wait()
        return finish(*arguments, **options)

    families.finish = together
    worker = UUID(int=0x7000_8000 << 64 | os.getpid())
    claimed = leases.claim(queue=queue, worker_id=worker, limit=count, using="default")
    assert len(claimed) == count
    for one in sorted(claimed, key=lambda one: one.lease.owner_id):
        run(one)


def hunt(seed: int, seconds: float) -> list[str]:
    """Work and operate for some seconds; return what nobody ought to be told."""
    from django.db import connections

    from tests.composition.raced_workflows import HuntFamily

    assert HuntFamily
    log = _Warnings()
    logging.getLogger("django_durable").addHandler(log)
    hunter = _Hunter(seed, time.monotonic() + seconds)
    duties = [hunter.work, hunter.work, hunter.operate, hunter.keep]

    def do(duty: Callable[[], None]) -> None:
        try:
            duty()
        except Exception as error:
            told = "".join(traceback.format_exception(error))
            hunter.errors.append(f"{duty.__name__}: {told}")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(duties)) as pool:
        list(pool.map(do, duties))
    hunter.watchdog.close()
    return hunter.errors + log.found


class _Warnings(logging.Handler):
    """Keeps what the engine warns of: that the database has refused something."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(record.getMessage())


OPERATIONS = [
    *["send"] * 4,
    *["input"] * 2,
    *["pause", "resume", "pause and resume"],
    *["cancel", "undo", "retry"],
]


class _Hunter:
    """One process: two pools of workers, an operator, and who keeps house."""

    def __init__(self, seed: int, end: float) -> None:
        from django_durable.runtime.watchdog import Watchdog

        self.end = end
        self.luck = random.Random(seed)
        self.watchdog = Watchdog()
        self.errors: list[str] = []

    def work(self) -> None:
        from django_durable.conf import get_settings
        from django_durable.runtime.executor import Executor
        from django_durable.store import leases
        from django_durable.workers.pool import Pool

        pool = Pool(
            {"default": 4},
            using="default",
            make_executor=lambda should_yield: Executor(
                get_settings(), watchdog=self.watchdog, should_yield=should_yield
            ),
            on_free=lambda name: None,
        )
        worker = UUID(int=0x7000_8000 << 64 | threading.get_ident() % 2**60)
        while time.monotonic() < self.end:
            room = pool.room("default")
            claimed = leases.claim(
                queue="default", worker_id=worker, limit=room, using="default"
            )
            for one in claimed:
                pool.submit(one)
            time.sleep(0.005 if claimed else 0.01)
        assert pool.join(30)
        pool.close()

    def operate(self) -> None:
        import django_durable as durable
        from django_durable.models import Execution
        from tests.composition.raced_workflows import HuntFamily

        while time.monotonic() < self.end:
            if Execution.objects.open().count() < 12:
                durable.start(HuntFamily, {"n": self.luck.randrange(100)})
            newest = Execution.objects.order_by("-id").values_list("pk", flat=True)
            found = list(newest[:30])
            for pk in self.luck.sample(found, k=min(3, len(found))):
                _operate(self.luck.choice(OPERATIONS), pk)

    def keep(self) -> None:
        """Delete what has ended, while the others are at it."""
        import django_durable as durable
        from django_durable import seconds

        while time.monotonic() < self.end:
            durable.cleanup(seconds(3))
            time.sleep(self.luck.uniform(0, 0.5))


def _operate(operation: str, pk: UUID) -> None:
    """Do one thing an operator does; what the execution's state forbids is no error."""
    import django_durable as durable
    from django_durable.exceptions import DurableError

    with suppress(DurableError):
        match operation:
            case "send":
                durable.send_event(pk, "news", 1)
            case "input":
                durable.provide_input(pk, "ok", "approved")
            case "cancel":
                durable.cancel(pk)
            case "undo":
                durable.cancel(pk, compensate=True)
            case "pause":
                durable.pause(pk)
            case "resume":
                durable.resume(pk)
            case "pause and resume":
                durable.pause(pk)
                durable.resume(pk)
            case "retry":
                durable.retry(pk)
