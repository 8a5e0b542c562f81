"""System checks of the databases that instances use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings

from django_durable import database_checks
from testproject import database_urls

POSTGRES = {
    "ENGINE": "django.db.backends.postgresql",
    "NAME": "shop",
    "HOST": "db",
    "PORT": "",
    "OPTIONS": {},
}


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch, settings):
    """Give the project other databases, without connecting to any."""

    def configure(durable: dict[str, Any] | None = None, **databases: dict[str, Any]):
        given = {"default": {**POSTGRES}, **databases}
        monkeypatch.setattr(django_settings._wrapped, "DATABASES", given, raising=False)
        settings.DURABLE = durable or {}

    return configure


def found(check) -> list[tuple[str, str, str]]:
    return [(one.id, one.msg, one.hint) for one in check()]


def sqlite(**options: Any) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": "/nowhere/db.sqlite3",
        "OPTIONS": options,
    }


GOOD = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode = WAL;",
}


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({**GOOD, "init_command": ""}, "journal_mode"),
        ({**GOOD, "transaction_mode": None}, "transaction_mode"),
        ({**GOOD, "transaction_mode": "DEFERRED"}, "transaction_mode"),
        ({**GOOD, "timeout": 1}, "timeout"),
    ],
)
def test_sqlite_that_is_not_set_up_for_several_writers_is_reported(
    configure, options, fault
):
    configure(default=sqlite(**options))

    [(id_, message, hint)] = found(database_checks.check_sqlite)

    assert id_ == "durable.W102"
    assert fault in message
    assert '"transaction_mode": "IMMEDIATE"' in hint


def test_the_lines_to_paste_satisfy_the_check(configure):
    configure(default=sqlite())
    [(_, _, hint)] = found(database_checks.check_sqlite)

    pasted = eval("{" + hint.partition("\n")[2] + "}")  # noqa: S307
    configure(default={**sqlite(), **pasted})

    assert found(database_checks.check_sqlite) == []


@pytest.mark.parametrize(
    "database",
    [
        sqlite(**GOOD),
        database_urls.sqlite(Path("db.sqlite3")),
        {**sqlite(), "NAME": ":memory:"},
        {**sqlite(), "NAME": "file:memorydb?mode=memory&cache=shared"},
        POSTGRES,
    ],
)
def test_databases_that_are_set_up_well_are_not_reported(configure, database):
    configure(default=database)

    assert found(database_checks.check_sqlite) == []


def test_a_file_that_is_in_wal_mode_already_needs_no_command(configure, tmp_path):
    import sqlite3

    path = tmp_path / "db.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE a (b)")
    connection.close()
    configure(default={**sqlite(**GOOD | {"init_command": None}), "NAME": str(path)})

    assert found(database_checks.check_sqlite) == []


@pytest.mark.parametrize(
    ("pool", "is_reported"),
    [
        (None, False),
        (True, True),
        ({"max_size": 11}, True),
        ({"max_size": 12}, False),
        ({"min_size": 12}, False),
        ({"min_size": 2, "max_size": 40}, False),
    ],
)
def test_a_pool_has_room_for_every_execution_and_two_more(configure, pool, is_reported):
    options = {"pool": pool} if pool else {}
    configure(default={**POSTGRES, "OPTIONS": options})

    messages = found(database_checks.check_pool)

    assert [id_ for id_, *_ in messages] == ["durable.W103"] * is_reported
    assert all('"max_size" of 12' in hint for *_, hint in messages)


def test_a_pool_takes_no_connection_age(configure):
    configure(default={**POSTGRES, "OPTIONS": {"pool": True}, "CONN_MAX_AGE": 60})
    assert [id_ for id_, *_ in found(database_checks.check_pool_age)] == [
        "durable.E103"
    ]

    configure(default={**POSTGRES, "CONN_MAX_AGE": 60})
    assert found(database_checks.check_pool_age) == []


TWO = {"default": {}, "other": {"DATABASE": "other"}}


def schema(path: str) -> dict[str, Any]:
    return {**POSTGRES, "OPTIONS": {"options": f"-c search_path={path}"}}


@pytest.mark.parametrize(
    ("other", "is_reported"),
    [
        (POSTGRES, True),
        ({**POSTGRES, "NAME": "else"}, False),
        ({**POSTGRES, "PORT": 5433}, False),
        ({**POSTGRES, "USER": "billing"}, False),
        (schema("billing"), False),
    ],
)
def test_two_aliases_of_the_same_tables_are_reported(configure, other, is_reported):
    configure(TWO, other=other)

    ids = [id_ for id_, *_ in found(database_checks.check_shared)]

    assert ids == ["durable.E102"] * is_reported


@pytest.mark.parametrize(
    ("path", "is_reported"), [("billing", False), ("billing,public", True)]
)
def test_a_schema_beside_another_instance_stands_alone(configure, path, is_reported):
    configure(TWO, other=schema(path))

    ids = [id_ for id_, *_ in found(database_checks.check_search_path)]

    assert ids == ["durable.W104"] * is_reported


def test_a_setting_that_is_wrong_itself_is_left_to_its_own_check(configure):
    configure({"default": {"DATABASE": "gone"}}, default=sqlite())

    for check in database_checks.CHECKS:
        assert found(check) == []
