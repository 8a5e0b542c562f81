"""Two instances: on two databases, and on two schemas of one PostgreSQL database."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.test import override_settings

import django_durable
from django_durable import (
    CallWorkflow,
    ExecutionNotFound,
    Parallel,
    WaitForApproval,
    WaitForEvent,
    Workflow,
    step,
)
from django_durable.doors import answer_link
from django_durable.doors.signatures import Message, sign
from testproject import database_urls

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

SCHEMA = "durable_other"
KINDS = ("database", "schema")


@pytest.fixture(scope="module", params=KINDS, autouse=True)
def other(
    request: pytest.FixtureRequest,
    django_db_setup: None,
    django_db_blocker: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """Add the alias ``other`` to the project, and migrate it; gives its URL."""
    is_postgres = connection.vendor == "postgresql"
    if request.param == "schema" and not is_postgres:
        pytest.skip("only PostgreSQL has schemas")
    with django_db_blocker.unblock():
        if not is_postgres:
            path = tmp_path_factory.mktemp("other") / "other.sqlite3"
            database = database_urls.sqlite(path)
        elif request.param == "schema":
            database = _make_schema()
        else:
            database = _make_database()
        connections.settings["other"] = database
        connections.configure_settings(connections.settings)
        call_command("migrate", database="other", verbosity=0)
        yield database_urls.build(database)
        connections["other"].close()
        del connections["other"], connections.settings["other"]
        if is_postgres:
            _drop(request.param, database)


def _make_schema() -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {SCHEMA}")
    database = deepcopy(connection.settings_dict)
    database["OPTIONS"]["options"] = f"-c search_path={SCHEMA}"
    return database


def _make_database() -> dict[str, Any]:
    database = deepcopy(connection.settings_dict)
    database["NAME"] = f"{database['NAME']}_other"
    with connection.cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{database["NAME"]}"')
    return database


def _drop(kind: str, database: dict[str, Any]) -> None:
    what = f"SCHEMA {SCHEMA} CASCADE"
    if kind == "database":
        what = f'DATABASE "{database["NAME"]}" WITH (FORCE)'
    with connection.cursor() as cursor:
        cursor.execute(f"DROP {what}")


@pytest.fixture(autouse=True)
def instances(settings) -> None:
    settings.DURABLE = {"default": {}, "other": {"DATABASE": "other"}}


class Child(Workflow, name="instances_child"):
    @step
    def double(self, number):
        return {"doubled": number * 2}


class Story(Workflow, name="instances_story"):
    """Goes through everything that writes to a database."""

    class Both(Parallel):
        @step
        def left(self):
            return {"number": 1}

        @step(atomic=True)
        def right(self):
            return {"number": 2}

    child = CallWorkflow(Child, input=lambda data: {"number": 21})
    paid = WaitForEvent("paid")
    decision = WaitForApproval(prompt="Ship it?")

    @step
    def ship(self, child, paid, decision):
        return {"answer": [child["doubled"], paid, decision]}


def work(durable: str) -> None:
    call_command("runworkers", until_idle=True, durable=durable, verbosity=0)


def manage(*arguments: str) -> str:
    stdout = io.StringIO()
    call_command("durable", *arguments, stdout=stdout)
    return stdout.getvalue()


def rows(alias: str) -> int:
    from django_durable.models import Execution

    return Execution.rows.using(alias).count()


def test_a_whole_story_happens_on_the_database_of_its_instance():
    user = get_user_model().objects.create_superuser("ada")

    execution = django_durable.start(Story, durable="other")
    work("other")
    django_durable.send_event(execution, "paid", {"by": "card"}, durable="other")
    work("other")
    [asked] = django_durable.list_pending_inputs(user=user, durable="other")
    django_durable.provide_input(
        execution, asked.name, "approved", user=user, durable="other"
    )
    work("other")

    result = django_durable.wait_for_result(execution, timeout=5, durable="other")
    assert result["answer"] == [42, {"by": "card"}, "approved"]
    assert [
        child.workflow
        for child in django_durable.list_children(execution, durable="other")
    ] == ["instances_child"]
    steps = django_durable.get_execution(
        execution, include_steps=True, durable="other"
    ).steps.all()
    assert "ship" in [one.path for one in steps]
    assert rows("default") == 0


def test_a_worker_of_one_instance_leaves_the_other_alone():
    here = django_durable.start(Child, {"number": 1})
    there = django_durable.start(Child, {"number": 2}, durable="other")

    work("other")

    assert django_durable.get_execution(here).status == "pending"
    assert django_durable.get_execution(there, durable="other").status == "completed"


def test_an_execution_is_known_to_its_own_instance_only():
    execution = django_durable.start(Child, {"number": 1}, durable="other")

    for act in (
        django_durable.get_execution,
        django_durable.cancel,
        django_durable.pause,
        django_durable.resume,
        django_durable.retry,
    ):
        with pytest.raises(ExecutionNotFound):
            act(execution)
    with pytest.raises(ExecutionNotFound):
        django_durable.send_event(execution, "x")
    assert django_durable.list_executions() == []


def test_operators_act_on_the_instance_they_name():
    execution = django_durable.start(Child, {"number": "x" * 3}, durable="other")

    django_durable.pause(execution, durable="other")
    django_durable.resume(execution, durable="other")
    django_durable.cancel(execution, reason="enough", durable="other")

    [found] = django_durable.list_executions(durable="other")
    assert (found.status, found.error["message"]) == ("cancelled", "enough")


def test_a_start_is_undone_with_the_transaction_of_its_own_database():
    for alias in ("other", "default"):
        with transaction.atomic(using=alias):
            django_durable.start(Child, {"number": 1}, durable="other")
            transaction.set_rollback(True, using=alias)

    assert rows("other") == 1


def test_the_user_who_answered_is_read_from_the_database_of_users():
    user = get_user_model().objects.create_superuser("ada")
    execution = django_durable.start(Story, durable="other")
    django_durable.send_event(execution, "paid", durable="other")
    work("other")

    request = django_durable.provide_input(
        execution, "decision", "approved", user=user, durable="other"
    )

    assert request.answered_by == user
    user.delete()
    request.refresh_from_db(using="other")
    assert request.answered_by is None


def test_the_doors_lead_to_the_instance_that_asks(settings, client):
    key = "k" * 40
    settings.DURABLE = {
        "default": {"ANSWER_LINKS": {}},
        "other": {
            "DATABASE": "other",
            "ANSWER_LINKS": {},
            "WEBHOOK": {"keys": [key]},
        },
    }
    ada = get_user_model().objects.create_superuser("ada")
    execution = django_durable.start(Story, durable="other")
    work("other")

    def send(prefix):
        at = str(int(time.time()))
        message = Message(
            timestamp=at, execution=str(execution.pk), name="paid", body=b"1"
        )
        return client.post(
            f"/durable/{prefix}events/{execution.pk}/paid",
            b"1",
            content_type="application/json",
            headers={"Durable-Timestamp": at, "Durable-Signature": sign(message, key)},
        ).status_code

    # Only the door of the other instance is open.
    assert (send(""), send("default/"), send("other/")) == (404, 404, 202)
    work("other")
    [asked] = django_durable.list_pending_inputs(durable="other")
    link = answer_link(asked, user=ada)
    assert client.post(link, {"value": "approved"}).status_code == 302
    work("other")

    result = django_durable.wait_for_result(execution, timeout=5, durable="other")
    assert result["answer"] == [42, 1, "approved"]
    asked.refresh_from_db()
    assert asked.answered_by == ada
    del settings.DURABLE["other"]["ANSWER_LINKS"]
    settings.DURABLE = {**settings.DURABLE}
    assert client.get(link).status_code == 404


def test_answering_what_is_not_asked_says_what_is():
    execution = django_durable.start(Story, durable="other")
    django_durable.send_event(execution, "paid", durable="other")
    work("other")

    with pytest.raises(django_durable.InputNotFound, match="waits for: decision"):
        django_durable.provide_input(execution, "nothing", "x", durable="other")


def test_commands_speak_to_the_instance_they_name():
    execution = django_durable.start(Child, {"number": 1}, durable="other")

    assert str(execution.pk) in manage("list", "--durable", "other")
    assert manage("list") == "No executions.\n"
    manage("cancel", str(execution.pk), "--durable", "other")
    assert "cancelled" in manage("show", str(execution.pk), "--durable", "other")
    assert manage("doctor", "--durable", "other").startswith("All is well")
    status = json.loads(manage("status", "--durable", "other", "--format", "json"))
    assert status["queues"] == []


def test_workers_of_two_instances_listen_to_two_channels():
    from django_durable.store.wakeups import channel_query

    if connection.vendor != "postgresql":
        pytest.skip("only PostgreSQL has channels")

    def channel(alias: str) -> str:
        with connections[alias].cursor() as cursor:
            cursor.execute(channel_query())
            return cursor.fetchone()[0]

    here, there = channel("default"), channel("other")

    same_database = (
        connections["other"].settings_dict["NAME"] == connection.settings_dict["NAME"]
    )
    assert here.startswith("django_durable_")
    assert not (same_database and here == there)


def test_migrations_of_an_instance_are_run_by_naming_its_database(
    other: str, worker_environment: dict[str, str], tmp_path: Path
):
    environment = worker_environment | {
        "TEST_OTHER_DATABASE_URL": other,
        "TEST_DURABLE": json.dumps({"default": {}, "other": {"DATABASE": "other"}}),
        "JOURNAL": str(tmp_path / "journal"),
    }
    execution = django_durable.start("quick", {"number": 4}, durable="other")

    migrated = run_manage(environment, "migrate", "--database=other", "--check")
    worked = run_manage(environment, "runworkers", "--until-idle", "--durable=other")

    assert migrated.returncode == 0, migrated.stdout + migrated.stderr
    assert worked.returncode == 0, worked.stderr
    assert "lacks migrations" not in worked.stderr
    found = django_durable.get_execution(execution, durable="other")
    assert found.result["answer"] == 8


def run_manage(
    environment: dict[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    manage_py = Path(__file__).resolve().parent.parent / "manage.py"
    return subprocess.run(
        [sys.executable, str(manage_py), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_worker_says_when_its_database_was_not_migrated(
    worker_environment: dict[str, str], tmp_path: Path
):
    if connection.vendor != "sqlite":
        pytest.skip("one empty database is like another")
    environment = worker_environment | {
        "TEST_OTHER_DATABASE_URL": f"sqlite:///{tmp_path / 'empty.sqlite3'}",
        "TEST_DURABLE": json.dumps({"other": {"DATABASE": "other"}}),
    }

    # Not a worker, for that one waits until somebody has migrated.
    listed = run_manage(environment, "durable", "list", "--durable=other")

    assert listed.returncode == 1
    assert "manage.py migrate" in listed.stderr


class OnlyDurable:
    """The router of docs/guides/instances.md."""

    def allow_migrate(self, db, app_label, **hints):
        if db == "other":
            return app_label == "django_durable"
        return None


def test_a_router_may_keep_the_tables_of_other_apps_away(tmp_path: Path):
    if connection.vendor != "sqlite":
        pytest.skip("a router knows nothing of the kind of database")
    name = connections.settings["other"]["NAME"]
    connections["other"].close()
    connections.settings["other"]["NAME"] = str(tmp_path / "routed.sqlite3")
    del connections["other"]
    try:
        with override_settings(DATABASE_ROUTERS=[OnlyDurable()]):
            call_command("migrate", database="other", verbosity=0)
            execution = django_durable.start(Child, {"number": 1}, durable="other")
            work("other")
            found = django_durable.get_execution(execution, durable="other")

        tables = connections["other"].introspection.table_names()
        assert found.status == "completed"
        assert {name for name in tables if not name.startswith("django_durable_")} == {
            "django_migrations"
        }
    finally:
        connections["other"].close()
        connections.settings["other"]["NAME"] = name
        del connections["other"]


# --- The admin ------------------------------------------------------------------------


@pytest.fixture
def boss(client: Any) -> Any:
    client.force_login(get_user_model().objects.create_superuser("boss"))
    return client


def test_the_admin_shows_the_instance_that_is_asked_for(boss):
    here = django_durable.start(Child, {"number": 1})
    there = django_durable.start(Child, {"number": 2}, durable="other")
    list_ = "/admin/django_durable/execution/"

    for query, shown, hidden in (("", here, there), ("?durable=other", there, here)):
        html = boss.get(f"{list_}{query}").text
        assert str(shown.pk) in html
        assert str(hidden.pk) not in html
        for tab in ("steps", "logs", "data", "family", "events", "history"):
            page = f"{list_}{shown.pk}/change/?tab={tab}&{query[1:]}"
            assert boss.get(page).status_code == 200
            assert boss.get(f"{page}&_live=1").status_code == 200
    assert boss.get(f"{list_}{there.pk}/change/").status_code == 404
    assert boss.get(f"{list_}?durable=nowhere").status_code == 404


def test_links_and_actions_of_the_admin_stay_in_their_instance(boss):
    there = django_durable.start(Child, {"number": 2}, durable="other")
    page = f"/admin/django_durable/execution/{there.pk}/"

    assert f"{page}do/cancel/?durable=other" in (
        boss.get(f"{page}change/?durable=other").text
    )
    assert boss.post(f"{page}do/pause/").status_code == 404
    boss.post(f"{page}do/pause/?durable=other", {"confirmed": "yes"})
    there.refresh_from_db(using="other")
    assert there.status == "paused"
    boss.post(
        "/admin/django_durable/execution/?durable=other",
        {
            "action": "cancel_selected",
            "_selected_action": [str(there.pk)],
            "confirmed": "yes",
        },
    )

    there.refresh_from_db(using="other")
    assert there.status == "cancelled"
    history = boss.get(f"{page}change/?durable=other&tab=history").text
    assert "Paused" in history
    assert "Cancelled" in history
