"""Workflows that are interrupted, stopped and killed in the tests."""

from __future__ import annotations

import logging
import os
import random
import signal
import time
from pathlib import Path

from django_durable import Fail, Sleep, WaitForEvent, Workflow, days, step
from tests.testapp.journal import note
from tests.testapp.models import Effect

logger = logging.getLogger(__name__)


class Quick(Workflow):
    """Is done at once."""

    @step
    def answer(self, ctx, number=1):
        note(ctx)
        return {"answer": number * 2, "pid": os.getpid()}


class Tour(Workflow):
    """Five steps, each of which is noted; two of them are atomic."""

    @step
    def leave(self, ctx, number):
        note(ctx)
        time.sleep(random.uniform(0, 0.2))
        return {"total": number}

    @step(atomic=True)
    def pay(self, ctx, total):
        note(ctx)
        Effect.objects.create(execution_id=ctx.execution_id, step=ctx.step)
        return {"total": total + 1}

    @step
    def travel(self, ctx, total):
        note(ctx)
        time.sleep(random.uniform(0, 0.4))
        return {"total": total * 10}

    @step(atomic=True)
    def collect(self, ctx, total):
        note(ctx)
        Effect.objects.create(execution_id=ctx.execution_id, step=ctx.step)
        return {"total": total + 1}

    @step
    def arrive(self, ctx, total):
        note(ctx)
        time.sleep(random.uniform(0, 0.2))
        return {"total": total * 10}


class Slow(Workflow):
    """The first attempt takes long, another one does not; then comes a second step."""

    @step
    def hold(self, ctx, seconds):
        note(ctx)
        if ctx.attempt == 1:
            time.sleep(seconds)
        return {"held_by": os.getpid()}

    @step
    def follow(self, ctx):
        note(ctx)


class Deadly(Workflow):
    """Kills the process that runs it."""

    @step
    def die(self, ctx):
        note(ctx)
        os.kill(os.getpid(), signal.SIGKILL)


class Asleep(Workflow):
    """Sleeps for longer than any test."""

    rest = Sleep(days(1))


class Expectant(Workflow):
    """Waits for an event."""

    news = WaitForEvent("news")


class Repairable(Workflow):
    """Fails until the spare part, a file, is there."""

    @step
    def mend(self, part):
        logger.warning("looking for the spare part")
        if not Path(part).exists():
            raise Fail("the spare part has not come")
        return {"is_mended": True}
