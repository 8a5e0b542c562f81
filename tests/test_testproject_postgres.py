"""The server that the tests start for themselves."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest

from testproject import database_urls, postgres

pytestmark = pytest.mark.thorough


def ask(server: postgres.Server, question: str) -> object:
    with psycopg.connect(server.url) as connection:
        return connection.execute(question).fetchone()[0]


def is_alive(process_id: int) -> bool:
    try:
        return psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for another process; it tells nobody when it is done."""
    ends = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.05)


def process_id_of(server: postgres.Server) -> int:
    return int((server.data / "postmaster.pid").read_text().split()[0])


def test_what_was_committed_survives_a_crash_of_the_server(own_postgres):
    with psycopg.connect(own_postgres.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    before = process_id_of(own_postgres)

    own_postgres.restart("immediate")

    assert process_id_of(own_postgres) != before
    assert ask(own_postgres, "SELECT number FROM kept") == 7


def test_a_stopped_server_starts_again_on_the_same_socket(own_postgres):
    url = own_postgres.url

    own_postgres.stop()
    own_postgres.start()

    assert own_postgres.url == url
    assert ask(own_postgres, "SELECT 1") == 1


def test_the_server_is_durable(own_postgres):
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        assert ask(own_postgres, f"SHOW {name}") == "on"


def test_a_restarted_server_is_gone_with_its_files_when_the_block_ends():
    with postgres.running() as server:
        server.restart()
        process_id = process_id_of(server)

    assert not is_alive(process_id)
    assert not server.data.exists()


def test_a_starter_that_is_killed_leaves_no_server_behind():
    code = """
import sys, time
from testproject import postgres
with postgres.running() as server:
    pid = (server.data / "postmaster.pid").read_text().split()[0]
    print(pid, server.data, flush=True)
    time.sleep(60)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as starter:
        process_id, data = starter.stdout.readline().split()
        starter.kill()

    wait_until(lambda: not Path(data).exists())
    assert not is_alive(int(process_id))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql://postgres:@/postgres?host=/run/socket",
            {"NAME": "postgres", "USER": "postgres", "HOST": "/run/socket", "PORT": ""},
        ),
        (
            "postgres://me:p%40ss@db.example:5433/shop?sslmode=require",
            {
                "NAME": "shop",
                "USER": "me",
                "PASSWORD": "p@ss",
                "HOST": "db.example",
                "PORT": "5433",
                "OPTIONS": {"sslmode": "require"},
            },
        ),
        ("sqlite:////var/data/a%20b.sqlite3", {"NAME": "/var/data/a b.sqlite3"}),
    ],
)
def test_a_database_url_is_read_and_written(url, expected):
    database = database_urls.parse(url)
    again = database_urls.parse(database_urls.build(database))

    assert {key: database[key] for key in expected} == expected
    assert {key: again[key] for key in expected} == expected


def test_a_database_url_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="'oracle'"):
        database_urls.parse("oracle://host/name")
