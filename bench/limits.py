"""The unit of all rates: what the machine does without an engine.

On PostgreSQL that is ``wf1_c8``: pgbench with 8 clients and three commits for each
workflow of one step. Where there is no pgbench, psycopg sends the same statements. On
SQLite it is the same three commits by one thread.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path

import psycopg

SECONDS = 2
CLIENTS = 8

_TABLES = """
DROP TABLE IF EXISTS bench_workflow, bench_step;
CREATE TABLE bench_workflow (
    id bigint PRIMARY KEY, status text NOT NULL, owner int, step int NOT NULL DEFAULT 0,
    input jsonb NOT NULL, result jsonb, created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX bench_ready ON bench_workflow (id) WHERE status = 'ready';
CREATE TABLE bench_step (
    workflow bigint, number int, name text NOT NULL, output jsonb NOT NULL,
    ended_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (workflow, number)
);
INSERT INTO bench_workflow (id, status, input)
SELECT n, 'ready', '{"n": 1}' FROM generate_series(1, 20000) AS n;
ANALYZE bench_workflow;
"""

_SCRIPT = r"""
BEGIN;
SELECT id FROM bench_workflow WHERE status = 'ready' ORDER BY id LIMIT 1
FOR UPDATE SKIP LOCKED \gset
UPDATE bench_workflow SET status = 'running', owner = :client_id WHERE id = :id;
COMMIT;
BEGIN;
INSERT INTO bench_step (workflow, number, name, output)
VALUES (:id, 0, 'first', '{"first": 1}');
UPDATE bench_workflow SET step = 1 WHERE id = :id AND owner = :client_id;
COMMIT;
UPDATE bench_workflow SET status = 'done', result = '{"n": 1, "first": 1}'
WHERE id = :id AND owner = :client_id;
"""


def unit() -> str:
    """Say what the unit of this run is, for its output."""
    how = (
        "pgbench -M prepared" if shutil.which("pgbench") else "psycopg, no pgbench here"
    )
    return f"wf1_c8: three commits per workflow of one step, {CLIENTS} clients ({how})"


def workflows_per_second(url: str) -> float:
    """Return the rate of ``wf1_c8`` on the server at ``url``."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_TABLES)
        try:
            program = shutil.which("pgbench")
            return _by_pgbench(program, url) if program else _by_psycopg(url)
        finally:
            connection.execute("DROP TABLE bench_workflow, bench_step")


def _by_pgbench(program: str, url: str) -> float:
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(_SCRIPT)
        script.flush()
        # Prepared, as the engine's own statements are.
        options = ["--no-vacuum", "--protocol=prepared", "--jobs=2"]
        length = [f"--client={CLIENTS}", f"--time={SECONDS}", f"--file={script.name}"]
        done = subprocess.run(
            [program, *options, *length, url], capture_output=True, text=True
        )
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    if done.returncode or found is None:
        raise RuntimeError(f"pgbench failed: {done.stderr}")
    return float(found[1])


def _by_psycopg(url: str) -> float:
    # The script, one statement per line, with the parameters of psycopg.
    text = _SCRIPT.replace("\\gset", ";").replace(":client_id", "%(client_id)s")
    statements = [one.strip() for one in text.replace(":id", "%(id)s").split(";")]

    def run(client_id: int) -> Generator[None]:
        with psycopg.connect(url, autocommit=True) as connection:
            params: dict[str, int] = {"client_id": client_id}
            while True:
                for statement in filter(None, statements):
                    result = connection.execute(statement, params, prepare=True)
                    if result.description:
                        params["id"] = result.fetchone()[0]
                yield

    return _rate([run(number) for number in range(CLIENTS)])


def _rate(runs: Sequence[Generator[None]]) -> float:
    """Return how often a second threads get on with ``runs``, one thread for each."""
    counts = [0] * len(runs)
    ends_at = time.monotonic() + SECONDS

    def drive(number: int) -> None:
        with closing(runs[number]):
            while time.monotonic() < ends_at:
                next(runs[number])
                counts[number] += 1

    threads = [
        threading.Thread(target=drive, args=(number,)) for number in range(len(runs))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / SECONDS


_SQLITE_TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE workflow (id INTEGER PRIMARY KEY, status TEXT, step INT, result TEXT);
CREATE INDEX ready ON workflow (id) WHERE status = 'ready';
CREATE TABLE step (workflow INT, number INT, output TEXT, PRIMARY KEY (workflow, number));
"""
_SQLITE_STATEMENTS = (
    "UPDATE workflow SET status = 'running' WHERE id = ?1",
    "BEGIN IMMEDIATE",
    "INSERT INTO step VALUES (?1, 0, '{}')",
    "UPDATE workflow SET step = 1 WHERE id = ?1",
    "COMMIT",
    "UPDATE workflow SET status = 'done', result = '{}' WHERE id = ?1",
)


def sqlite_workflows_per_second(folder: Path) -> float:
    """Return the rate of the three commits in a file of its own."""
    with tempfile.TemporaryDirectory(dir=folder) as name:

        def run() -> Generator[None]:
            with closing(sqlite3.connect(f"{name}/limit", isolation_level=None)) as raw:
                raw.executescript(_SQLITE_TABLES)
                rows = ((number, "ready") for number in range(20_000))
                raw.execute("BEGIN")
                raw.executemany("INSERT INTO workflow VALUES (?, ?, 0, NULL)", rows)
                raw.execute("COMMIT")
                for number in range(20_000):
                    for statement in _SQLITE_STATEMENTS:
                        raw.execute(statement, (number,) if "?" in statement else ())
                    yield

        return _rate([run()])
