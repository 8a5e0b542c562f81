"""What is measured in each round: a name, and a function that returns figures.

A figure whose name ends in ``/s`` is also printed as a multiple of the unit.
"""

from __future__ import annotations

import os
import signal
import statistics
import time
from collections.abc import Callable, Mapping

import django_durable as durable
from bench.meters import Figures, Meter
from bench.running import drain, forget, worker

SLOTS = ("--concurrency=16",)


def one_step() -> Figures:
    return drain("bench_one", count=3000, steps=1, arguments=SLOTS)


def five_steps() -> Figures:
    return drain("bench_five", count=1000, steps=5, arguments=SLOTS)


def five_steps_two_processes() -> Figures:
    arguments = (*SLOTS, "--processes=2")
    return drain("bench_five", count=1500, steps=5, arguments=arguments)


def five_async_steps() -> Figures:
    arguments = ("--concurrency=64",)
    return drain("bench_async_five", count=1000, steps=5, arguments=arguments)


def parallel_of_ten() -> Figures:
    return drain("bench_parallel", count=200, steps=11, arguments=SLOTS)


def start() -> Figures:
    def act() -> None:
        for _ in range(500):
            durable.start("bench_one", {"n": 1})

    return _starts(500, act)


def start_many() -> Figures:
    return _starts(
        4000,
        lambda: [durable.start_many("bench_one", [{"n": 1}] * 1000) for _ in range(4)],
    )


def _starts(count: int, act: Callable[[], object]) -> Figures:
    before, began = Meter.read(os.getpid(), "default"), time.monotonic()
    act()
    seconds = time.monotonic() - began
    after = Meter.read(os.getpid(), "default")
    used = before.until(after, executions=count, steps=count)
    return {"executions/s": count / seconds, **used}


def idle_latency() -> Figures:
    """Start one execution at a time while a worker has nothing to do."""
    picked: list[float] = []
    hops: list[float] = []
    with worker(on="default", arguments=SLOTS):
        time.sleep(1)
        for _ in range(100):
            execution = durable.start("bench_clock")
            returned = time.monotonic_ns()
            result = durable.wait_for_result(execution, timeout=30)
            picked.append((result["began"] - returned) / 1e6)
            hops.append((result["second_began"] - result["began"]) / 1e6)
            time.sleep(0.02)
    return {
        "start to first line, median ms": statistics.median(picked),
        "start to first line, p95 ms": statistics.quantiles(picked, n=20)[-1],
        "hop between two steps, median ms": statistics.median(hops),
    }


def takeover() -> Figures:
    """Kill a worker, and see when another one goes on with its executions."""
    with worker(on="default") as doomed:
        executions = [durable.start("bench_takeover") for _ in range(8)]
        time.sleep(1)
        with worker(on="default"):
            time.sleep(1)
            killed = time.monotonic_ns()
            doomed.send_signal(signal.SIGKILL)
            began = [
                durable.wait_for_result(one, timeout=60)["began"] for one in executions
            ]
    return {
        "kill -9 to the first going on, ms": (min(began) - killed) / 1e6,
        "kill -9 to the last going on, ms": (max(began) - killed) / 1e6,
    }


def sqlite_one_step() -> Figures:
    return drain("bench_one", count=2000, steps=1, on="sqlite", arguments=SLOTS)


def sqlite_five_steps() -> Figures:
    return drain("bench_five", count=400, steps=5, on="sqlite", arguments=SLOTS)


MEASURES: Mapping[str, Callable[[], Figures]] = {
    "one step": one_step,
    "five steps": five_steps,
    "five steps, two processes": five_steps_two_processes,
    "five async steps, 64 in flight": five_async_steps,
    "parallel of ten": parallel_of_ten,
    "start": start,
    "start_many of 1,000": start_many,
    "idle": idle_latency,
    "takeover": takeover,
    "SQLite, one step": sqlite_one_step,
    "SQLite, five steps": sqlite_five_steps,
}


def measure(name: str, act: Callable[[], Figures]) -> Figures:
    """Run one measure on empty tables."""
    forget("default")
    forget("sqlite")
    try:
        return act()
    finally:
        forget("default")
        forget("sqlite")
