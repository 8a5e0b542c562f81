"""The database goes away while a step runs: what is stored, lost, and done again."""

from __future__ import annotations

import threading

import pytest
from django.contrib.auth.models import Group
from django.db import OperationalError, connection, connections

import django_durable as durable
from django_durable import Workflow, step
from django_durable.models import Execution
from django_durable.runtime import persisting
from django_durable.runtime.attempts import CutOff
from tests.factories import attempts, claim, finish, fresh, reap, run
from tests.stories.crashing import Fault

pytestmark = pytest.mark.usefixtures("transactional_db")


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(persisting, "_SHORTEST", 0.0)


class Effect(Workflow, name="outage_effect"):
    @step(atomic=True)
    def write(self):
        Group.objects.create(name="x")
        return {"written": True}

    @step
    def after(self):
        return {"after": True}


def commits_of(execution: Execution) -> list[int]:
    """Which statements of a run are commits, counted as a fault counts them."""
    (claimed,) = claim()
    with (fault := Fault()).installed():
        run(claimed)
    assert fresh(execution).status == "completed"
    Group.objects.all().delete()
    return [number for number, sql in enumerate(fault.seen) if sql == "COMMIT"]


def test_a_commit_whose_answer_is_lost_is_looked_up_and_not_done_again():
    commit, *_ = commits_of(durable.start(Effect))
    execution = durable.start(Effect)
    (claimed,) = claim()

    with Fault(commit, OperationalError, after=True).installed():
        run(claimed)

    assert fresh(execution).status == "completed"
    assert attempts(execution) == [("write", 1, "completed"), ("after", 1, "completed")]
    assert Group.objects.count() == 1


def test_a_paused_execution_whose_commit_was_not_answered_stays_where_it_is():
    commit, *_ = commits_of(durable.start(Effect))
    execution = durable.start(Effect)
    (claimed,) = claim()
    durable.pause(execution)

    with Fault(commit, OperationalError, after=True).installed():
        run(claimed)

    assert fresh(execution).status == "paused"
    assert fresh(execution).current_step == "after"
    durable.resume(execution)
    assert finish(execution).status == "completed"
    assert Group.objects.count() == 1
    assert attempts(execution) == [("write", 1, "completed"), ("after", 1, "completed")]


def test_a_commit_that_did_not_happen_is_a_lost_attempt_and_no_failure():
    commit, *_ = commits_of(durable.start(Effect))
    execution = durable.start(Effect)
    (claimed,) = claim()

    with pytest.raises(CutOff), Fault(commit, OperationalError).installed():
        run(claimed)
    assert not Group.objects.exists()
    assert reap() == 1

    assert finish(execution).status == "completed"
    assert attempts(execution) == [
        ("write", 1, "lost"),
        ("write", 2, "completed"),
        ("after", 1, "completed"),
    ]
    assert Group.objects.count() == 1


needs_sessions = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite has no server that could go away"
)


def kill_this_session() -> None:
    """End the session of this thread's connection, as a restart of the server does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
    finally:
        other.close()


@needs_sessions
def test_a_step_that_outlives_its_session_is_recorded_on_another():
    class Outlives(Workflow, name="outage_outlives"):
        @step
        def work(self, ctx):
            kill_this_session()
            ctx.heartbeat({"still": "here"})
            value = durable.checkpoint("value", lambda: 1)
            kill_this_session()
            return {"value": value}

    execution = finish(durable.start(Outlives))

    assert execution.result == {"value": 1}
    assert attempts(execution) == [("work", 1, "completed")]
    assert execution.progress["details"] == {"still": "here"}


@needs_sessions
def test_an_atomic_step_that_loses_its_session_is_repeated_with_its_effect_once():
    class Loses(Workflow, name="outage_loses"):
        @step(atomic=True)
        def work(self, ctx):
            Group.objects.create(name=f"attempt {ctx.attempt}")
            if ctx.attempt == 1:
                kill_this_session()

    execution = durable.start(Loses)
    (claimed,) = claim()
    with pytest.raises(CutOff):
        run(claimed)
    reap()

    assert finish(execution).status == "completed"
    assert Group.objects.get().name == "attempt 2"


@needs_sessions
def test_a_wait_is_opened_on_another_session():
    class Waits(Workflow, name="outage_waits"):
        @step
        def work(self):
            kill_this_session()
            return {"news": durable.wait_for_event("news")}

    execution = finish(durable.start(Waits))
    assert execution.status == "waiting"
    durable.send_event(execution, "news", 1)

    assert finish(execution).result == {"news": 1}
    assert execution.waits.count() == 1


def test_an_error_of_another_database_is_an_ordinary_error_of_the_step():
    """Also in a thread that has not used its own connection yet."""

    class Reports(Workflow, name="outage_reports"):
        @step(retry=2)
        def work(self):
            raise OperationalError("the other database is away")

    execution = durable.start(Reports)
    (claimed,) = claim()
    failed: list[BaseException] = []

    def work():
        try:
            run(claimed)
        except BaseException as error:
            failed.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)

    assert failed == []
    assert attempts(execution) == [("work", 1, "failed")]
    assert execution.steps.get().error["type"] == "OperationalError"
