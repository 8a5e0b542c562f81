"""What the benchmarks run: steps that do nothing."""

from __future__ import annotations

import asyncio
import time

from django_durable import Parallel, Workflow, step
from django_durable.definition.steps import Step


def returns(key: str) -> Step:
    """Return a step that adds one key to the data."""

    @step(name=key)
    def body(self):
        return {key: 1}

    return body


def awaits(key: str) -> Step:
    """Return a coroutine step that adds one key to the data."""

    @step(name=key)
    async def body(self):
        await asyncio.sleep(0)
        return {key: 1}

    return body


class BenchOne(Workflow):
    """One step."""

    first = returns("first")


class BenchFive(Workflow):
    """Five steps."""

    first = returns("first")
    second = returns("second")
    third = returns("third")
    fourth = returns("fourth")
    fifth = returns("fifth")


class BenchAsyncFive(Workflow):
    """Five coroutines, each of which lets others go on."""

    first = awaits("first")
    second = awaits("second")
    third = awaits("third")
    fourth = awaits("fourth")
    fifth = awaits("fifth")


class BenchParallel(Workflow):
    """A block of ten members."""

    class Members(Parallel):
        """All at once."""

        a = returns("a")
        b = returns("b")
        c = returns("c")
        d = returns("d")
        e = returns("e")
        f = returns("f")
        g = returns("g")
        h = returns("h")
        i = returns("i")
        j = returns("j")


class BenchClock(Workflow):
    """Two steps that say when they began, in ns of the machine's clock."""

    @step
    def first(self):
        return {"began": time.monotonic_ns()}

    @step
    def second(self):
        return {"second_began": time.monotonic_ns()}


class BenchTakeover(Workflow):
    """A step that hangs until its worker is killed, and is quick when it runs again."""

    @step
    def hang(self, ctx):
        if ctx.attempt == 1:
            time.sleep(60)
        return {"began": time.monotonic_ns()}
