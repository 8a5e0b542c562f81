"""The machine's limit: what a bare two-statement transaction costs through psycopg."""

from __future__ import annotations

import threading
import time

import psycopg

SECONDS = 2.0


def commits_per_second(conninfo: str, threads: int) -> float:
    """Return the rate of INSERT + UPDATE + COMMIT from ``threads`` connections."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS bench_limit")
        connection.execute("CREATE TABLE bench_limit (id serial PRIMARY KEY, n int)")
    counts = [0] * threads
    barrier = threading.Barrier(threads + 1)

    def run(number: int) -> None:
        with psycopg.connect(conninfo) as connection:
            barrier.wait()
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                row = connection.execute(
                    "INSERT INTO bench_limit (n) VALUES (1) RETURNING id"
                ).fetchone()
                connection.execute("UPDATE bench_limit SET n = 2 WHERE id = %s", row)
                connection.commit()
                counts[number] += 1

    workers = [
        threading.Thread(target=run, args=(number,)) for number in range(threads)
    ]
    for worker in workers:
        worker.start()
    barrier.wait()
    began = time.monotonic()
    for worker in workers:
        worker.join()
    return sum(counts) / (time.monotonic() - began)
