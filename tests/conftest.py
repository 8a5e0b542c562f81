"""Which database the tests use, and the fixtures every folder shares.

``pytest`` runs on SQLite, whatever the environment says. ``pytest --postgres`` runs on
the server that ``DATABASE_URL`` names, or else on one started for the session from the
wheel of the ``dev`` extra. Both are settled before Django's settings are loaded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pytest_django.plugin import DjangoDbBlocker

from testproject import database_urls, postgres


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--postgres",
        action="store_true",
        help="run on PostgreSQL: on DATABASE_URL, or on a server of this session",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    # The processes of xdist inherit the environment, and with it the one server.
    if not hasattr(config, "workerinput"):
        _choose_database(config)
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    from django.conf import settings

    # Loads the settings; pytest-django sets Django up once they are.
    assert settings.DATABASES


def _choose_database(config: pytest.Config) -> None:
    if os.environ.get("DJANGO_SETTINGS_MODULE"):
        raise pytest.UsageError(
            "The tests bring their settings: unset DJANGO_SETTINGS_MODULE."
        )
    if not config.getoption("--postgres"):
        os.environ.pop("DATABASE_URL", None)
    elif not os.environ.get("DATABASE_URL"):
        stack = ExitStack()
        config.add_cleanup(stack.close)
        os.environ["DATABASE_URL"] = stack.enter_context(postgres.running()).url


def pytest_report_header(config: pytest.Config) -> str:
    # Not the URL, which may hold a password.
    return f"database: {'PostgreSQL' if os.environ.get('DATABASE_URL') else 'SQLite'}"


@pytest.fixture(autouse=True)
def _forget_language_of_the_test() -> Iterator[None]:
    """Forget the language of a request: the test client leaves it to the thread."""
    from django.utils import translation

    yield

    translation.deactivate()


@pytest.fixture(autouse=True)
def _forget_workflows_of_the_test() -> Iterator[None]:
    """Let another test define a workflow of the same name, whatever refers to this one."""
    from django_durable.definition import registry

    yield

    for name in registry.names():
        if "<locals>" in registry.get(name).__qualname__:
            del registry._workflows[name]


@pytest.fixture(autouse=True)
def _forget_language_of_the_test() -> Iterator[None]:
    """Go back to the language of the settings, which a request has left for its own."""
    from django.utils import translation

    yield

    translation.deactivate()


@pytest.fixture(scope="session")
def django_db_setup(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """Remove what is left of the test databases.

    That is a connection made anew by a test that starts over, which is not the one that
    Django closes, and what SQLite leaves beside its file when a process is killed.
    """
    from django.db import connections

    yield

    for connection in connections.all():
        with django_db_blocker.unblock():
            connection.close()
        if connection.vendor == "sqlite":
            name = connection.settings_dict["TEST"]["NAME"]
            for suffix in ("-wal", "-shm", "-journal"):
                Path(f"{name}{suffix}").unlink(missing_ok=True)


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the workflows that were defined inside other tests, and have schedules."""
    from django_durable.definition import registry

    known = {
        name: reference
        for name, reference in registry._workflows.items()
        if (found := reference()) and "<locals>" not in found.__qualname__
    }
    monkeypatch.setattr(registry, "_workflows", known)


@pytest.fixture
def worker_environment(transactional_db: None) -> dict[str, str]:
    """The environment in which ``manage.py`` sees the rows of this test."""
    from django.db import connection

    url = database_urls.build(connection.settings_dict)
    return {**os.environ, "DATABASE_URL": url}


@pytest.fixture
def own_postgres() -> Iterator[postgres.Server]:
    """A PostgreSQL server for this test alone, which it may stop and restart.

    The session's server is shared by all processes of a parallel run: to restart that
    one would fail the neighbours' tests.
    """
    with postgres.running() as server:
        yield server
