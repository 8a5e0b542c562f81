"""``manage.py durable``: what it prints, what it does, how it ends."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection

import django_durable
from django_durable import (
    CallWorkflow,
    Lane,
    Parallel,
    Retry,
    WaitForApproval,
    WaitForEvent,
    WaitForText,
    Workflow,
    clock,
    days,
    seconds,
    step,
)
from django_durable.models import Execution
from django_durable.store import workers
from tests import factories
from tests.drawing.reading import parsed

pytestmark = pytest.mark.django_db


class Simple(Workflow, name="console_simple"):
    @step
    def double(self, number=1):
        return {"doubled": number * 2}


class Broken(Workflow, name="console_broken"):
    @step(retry=Retry(max_attempts=2, base=seconds(0.001), jitter=0))
    def fail(self):
        raise ValueError("no such\x1b[31m card")


class Talking(Workflow, name="console_talking"):
    @step
    def talk(self):
        logging.getLogger("shop").warning("two\nlines")


class Asking(Workflow, name="console_asking"):
    ask = WaitForApproval(prompt="Ship it?", group="finance", timeout=days(1))
    text = WaitForText(prompt="Why?")


class Family(Workflow, name="console_family"):
    @step
    def begin(self):
        return {"total": 3}

    class Checks(Parallel, on_error="complete_all"):
        @step
        def fraud(self):
            return {"score": 1}

        class Legal(Lane):
            @step
            def read(self): ...

            news = WaitForEvent("news", timeout=days(1))

    child = CallWorkflow(Simple, input=lambda data: {"number": 4})


def refused(call) -> CommandError:
    with pytest.raises(CommandError) as caught:
        call()
    return caught.value


# --- list and status ------------------------------------------------------------------


def test_list_shows_the_newest_first(durable):
    first, second = (django_durable.start(Simple) for _ in range(2))

    lines = durable("list").splitlines()

    assert lines[0].split()[:3] == ["ID", "WORKFLOW", "STATUS"]
    assert [line.split()[0] for line in lines[1:]] == [str(second.pk), str(first.pk)]


def test_list_is_one_json_object_per_line_with_stable_keys(durable_json):
    execution = django_durable.start(Simple, tags=["vip"])

    [found] = durable_json("list")

    assert found["id"] == str(execution.pk)
    assert found["tags"] == ["vip"]
    assert list(found) == [
        "id",
        "workflow",
        "status",
        "queue",
        "priority",
        "current_step",
        "waiting_for",
        "error",
        "progress",
        "tags",
        "idempotency_key",
        "parent",
        "scheduled_at",
        "created_at",
        "started_at",
        "completed_at",
        "available_at",
        "duration",
    ]


def test_list_takes_every_filter(durable_json):
    with clock.freeze(clock.now() - timedelta(days=3)):
        old = django_durable.start(Simple, queue="slow", tags=["x"])
    new = django_durable.start(Broken)
    factories.drain()
    factories.drain()

    def ids(*arguments: str) -> set[str]:
        return {row["id"] for row in durable_json("list", *arguments)}

    assert ids("--workflow", "console_simple") == {str(old.pk)}
    assert ids("--status", "failed,cancelled") <= {str(new.pk)}
    assert ids("--status", "pending") >= {str(old.pk)}
    assert ids("--queue", "slow") == {str(old.pk)}
    assert ids("--tag", "x") == {str(old.pk)}
    assert ids("--since", "1d") == {str(new.pk)}
    assert len(ids("--limit", "1")) == 1


def test_list_says_when_there_is_more(durable):
    django_durable.start_many(Simple, [None] * 3)

    assert "and more" in durable("list", "--limit", "2")
    assert "and more" not in durable("list", "--limit", "3")


def test_an_unknown_status_is_refused_with_those_there_are(durable):
    error = refused(lambda: durable("list", "--status", "done"))

    assert error.returncode == 2
    assert "completed" in str(error)


def test_status_counts_what_is_due_what_runs_and_what_waits(durable_json):
    worker = workers.register(
        queues={"default": 10}, lease=timedelta(minutes=1), using="default"
    )
    waiting = django_durable.start(Asking)
    factories.drain()
    django_durable.start(Broken)
    while factories.fresh(waiting) and Execution.rows.filter(
        workflow="console_broken", completed_at=None
    ):
        factories.drain()
    django_durable.start(Simple, scheduled_at=clock.now() + timedelta(hours=1))
    running = django_durable.start(Simple, priority=5)
    from django_durable.store import leases

    leases.claim(queue="default", worker_id=worker.pk, limit=1, using="default")
    due = django_durable.start(Simple)

    [found] = durable_json("status")

    assert running.pk != due.pk
    [queue] = found["queues"]
    assert queue["oldest"] is not None
    del queue["oldest"]
    assert queue == {"name": "default", "claimable": 1, "running": 1, "waiting": 2}
    assert [one["running"] for one in found["workers"]] == [1]
    assert found["failures_last_hour"] == 1


def test_status_shows_configured_queues_and_says_that_no_worker_is_alive(durable):
    said = durable("status")

    assert "default" in said
    assert "No worker is alive" in said


# --- show -----------------------------------------------------------------------------


def test_show_draws_steps_members_and_children_as_a_tree(durable):
    execution = django_durable.start(Family)
    factories.drain()

    lines = durable("show", execution.pk).splitlines()
    tree = [
        line.split("  completed")[0].split("  waiting")[0].rstrip() for line in lines
    ]

    assert f"{execution} waits at checks" in lines[0]
    begin = tree.index("begin")
    assert tree[begin : begin + 6] == [
        "begin",
        "checks",
        "  checks.fraud",
        "  checks.legal",
        "    checks.legal.read",
        "    checks.legal.news",
    ]


def test_show_names_a_child_under_the_step_that_called_it(durable):
    execution = django_durable.start(Family)
    django_durable.send_event(execution, "news", {"a": "漢字"})
    factories.drain()
    [child] = django_durable.list_children(execution)

    said = durable("show", execution.pk)

    assert "has completed" in said.splitlines()[0]
    assert f"\n  → console_simple {child.pk}" in said
    assert "漢字" in said


def test_show_tells_attempts_and_errors_without_their_control_characters(durable):
    execution = django_durable.start(Broken)
    while not factories.fresh(execution).is_final:
        factories.drain()

    said = durable("show", execution.pk)

    assert "has failed at fail" in said.splitlines()[0]
    attempts = [line for line in said.splitlines() if line.startswith("fail  ")]
    assert [line.split()[2] for line in attempts] == ["1", "2"]
    assert all("ValueError: no such" in line for line in attempts)
    assert "\x1b" not in said


def test_show_as_json_has_everything_that_belongs_to_it(durable_json):
    execution = django_durable.start(Asking)
    django_durable.send_event(execution, "early", {"n": 1})
    factories.drain()

    [found] = durable_json("show", str(execution.pk))

    assert found["waiting_for"].startswith("approval ask")
    assert found["data"] == {}
    assert [wait["kind"] for wait in found["waits"]] == ["input"]
    assert [one["group"] for one in found["inputs"]] == ["finance"]
    assert [event["is_taken"] for event in found["events"]] == [False]
    assert {"steps", "lanes", "children", "input", "result"} <= found.keys()


# --- ids ------------------------------------------------------------------------------


def test_show_cuts_what_is_too_long_for_a_person(durable, durable_json):
    execution = django_durable.start(Simple, {"number": 1, "text": "x" * 5000})

    shown = durable("show", execution.pk)

    assert "characters more; --format json has all." in shown
    assert max(map(len, shown.splitlines())) < 2100
    [whole] = durable_json("show", execution.pk)
    assert whole["input"]["text"] == "x" * 5000


def test_show_has_the_logs_where_they_are_asked_for(durable, durable_json):
    execution = factories.finish(django_durable.start(Talking))

    shown = durable("show", execution.pk, "--logs")

    assert re.search(r"WARNING +talk #1 +two\n    lines\n", shown)
    assert "\x1b" not in shown
    assert "lines" not in durable("show", execution.pk)
    [found] = durable_json("show", execution.pk, "--logs")
    [line] = found["logs"]
    assert (line["message"], line["step"]) == ("two\nlines", "talk")
    silent = django_durable.start(Simple)
    assert "written nothing" in durable("show", silent.pk, "--logs")


def test_an_id_may_be_shortened_to_its_beginning(durable):
    execution = django_durable.start(Simple)
    text = str(execution.pk)

    for beginning in (text[:6], text[:13], text[:20], text.replace("-", ""), text):
        assert text in durable("show", beginning)


def test_a_beginning_that_several_ids_share_is_refused_with_a_list(durable):
    rows = django_durable.start_many(Simple, [None] * 12)

    error = refused(lambda: durable("cancel", str(rows[0].pk)[:4]))

    assert error.returncode == 2
    assert str(error).count("console_simple") == 10
    assert "and more" in str(error)
    assert not Execution.objects.filter(status="cancelled").exists()


@pytest.mark.parametrize(
    ("text", "code"),
    [("zzz", 2), ("", 2), ("0" * 33, 2), ("ffff", 1), ("f" * 32, 1)],
)
def test_what_names_no_execution_is_refused(durable, text, code):
    assert refused(lambda: durable("show", text)).returncode == code


# --- operating ------------------------------------------------------------------------


def test_start_starts(durable_json):
    arguments = ("--input", '{"number": 4}', "--queue", "slow", "--priority", "3")

    [found] = durable_json(
        "start", "console_simple", *arguments, "--key", "k", "--tag", "a", "--tag", "b"
    )
    [again] = durable_json("start", "console_simple", "--key", "k")

    execution = Execution.objects.get()
    assert (found["created"], again["created"]) == (True, False)
    assert found["id"] == again["id"] == str(execution.pk)
    assert execution.input == {"number": 4}
    assert (execution.queue, execution.priority) == ("slow", 3)
    assert execution.tags == ["a", "b"]


@pytest.mark.parametrize("text", ["{", "[1]", "7", '"a"'])
def test_an_input_that_is_no_object_is_refused(durable, text):
    error = refused(lambda: durable("start", "console_simple", "--input", text))

    assert error.returncode == 2
    assert not Execution.objects.exists()


def test_an_unknown_workflow_is_refused_with_those_there_are(durable):
    error = refused(lambda: durable("start", "console_smple"))

    assert error.returncode == 2
    assert "console_simple" in str(error)


def test_pause_resume_and_cancel(durable):
    execution = django_durable.start(Simple)

    durable("pause", execution.pk)
    assert factories.fresh(execution).status == "paused"
    durable("resume", execution.pk)
    assert factories.fresh(execution).status == "pending"
    durable("cancel", execution.pk, "--reason", "enough")
    assert factories.fresh(execution).error["message"] == "enough"

    error = refused(lambda: durable("cancel", execution.pk))
    assert error.returncode == 1
    assert "has ended" in str(error)


def test_run_now_skips_a_sleep_and_says_what_else_it_waits_for(durable):
    execution = django_durable.start(Simple, scheduled_at=factories.NOON + days(9))

    assert "is next for a worker" in durable("run-now", execution.pk)
    factories.drain()

    assert factories.fresh(execution).status == "completed"
    error = refused(lambda: durable("run-now", execution.pk))
    assert error.returncode == 1
    waiting = django_durable.start(Asking)
    factories.drain()
    assert "provide_input()" in str(refused(lambda: durable("run-now", waiting.pk)))


def test_retry_lets_a_failed_one_go_on(durable):
    execution = django_durable.start(Broken)
    while not factories.fresh(execution).is_final:
        factories.drain()

    durable("retry", execution.pk)

    assert factories.fresh(execution).status == "pending"


def test_send_event_wakes_who_waits(durable):
    execution = django_durable.start(Family)
    factories.drain()

    said = durable("send-event", execution.pk, "news", "--payload", '{"a": [1]}')
    kept = durable("send-event", execution.pk, "news", "--event-id", "e1")

    assert "taken at once" in said
    assert "kept" in kept
    assert factories.finish(execution).status == "completed"


def test_pending_and_provide_input(durable, durable_json):
    execution = django_durable.start(Asking)
    factories.drain()

    [asked] = durable_json("pending")
    assert (asked["execution"], asked["name"]) == (str(execution.pk), "ask")
    assert "group finance" in durable("pending")
    durable("provide-input", execution.pk, "ask", "approved")
    factories.drain()
    durable("provide-input", execution.pk, "text", '"because"')

    assert factories.finish(execution).result == {"ask": "approved", "text": "because"}
    assert durable("pending") == "Nobody is asked for anything.\n"


def test_an_answer_that_is_not_allowed_is_refused(durable):
    get_user_model().objects.create_user("eve")
    execution = django_durable.start(Asking)
    factories.drain()

    def answer(*arguments: str) -> CommandError:
        return refused(lambda: durable("provide-input", execution.pk, *arguments))

    assert answer("ask", "perhaps").returncode == 1
    assert "may not answer" in str(answer("ask", "approved", "--user", "eve"))
    assert answer("ask", "approved", "--user", "nobody").returncode == 2
    assert answer("ask", '{"broken').returncode == 2
    assert answer("other", "approved").returncode == 1


# --- graph, check, doctor -------------------------------------------------------------


def test_graph_prints_mermaid_or_nodes_and_edges(durable, durable_json):
    assert durable("graph", "console_family").startswith("flowchart TD\n")
    [chart] = durable_json("graph", "console_family")
    assert {"workflow", "nodes", "edges"} == chart.keys()


def test_graph_draws_a_file_that_stands_for_itself(durable):
    svg = durable("graph", "console_family", "--format", "svg")

    assert svg.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert "<style>" in svg
    assert parsed(svg).findtext("{*}title") == "console_family"


def test_check_lists_what_the_code_cannot_continue(durable, durable_json):
    fine, lost = django_durable.start(Simple), django_durable.start(Simple)
    assert "can continue every" in durable("check")
    Execution.rows.filter(pk=lost.pk).update(current_step="triple", sequence=1)
    stdout = io.StringIO()

    error = refused(
        lambda: call_command("durable", "check", "--format", "json", stdout=stdout)
    )

    assert error.returncode == 1
    [found] = [json.loads(line) for line in stdout.getvalue().splitlines()]
    assert (found["id"], found["lane"]) == (str(lost.pk), None)
    assert str(fine.pk) not in stdout.getvalue()


def test_doctor_says_what_is_wrong_and_what_to_do(durable):
    workers.register(queues={"default": 10}, lease=timedelta(hours=1), using="default")
    execution = django_durable.start(Simple)
    assert durable("doctor").startswith("All is well")
    Execution.rows.filter(pk=execution.pk).update(available_at=None)
    stdout = io.StringIO()

    error = refused(
        lambda: call_command("durable", "doctor", "--second-look=0.01", stdout=stdout)
    )

    assert (error.returncode, str(error)) == (1, "1 finding.")
    assert "no_reason_to_move" in stdout.getvalue()
    assert "To do: " in stdout.getvalue()
    assert str(execution.pk) in stdout.getvalue()


# --- how it ends ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("dance",),
        ("list", "--limit", "0"),
        ("show",),
        ("cleanup",),
        ("list", "--durable", "nowhere"),
        ("cleanup", "--older-than", "a while"),
        ("doctor", "--second-look", "-1"),
        ("doctor", "--second-look", "nan"),
        ("start", "console_simple", "--key", ""),
        ("start", "console_simple", "--tag", "x" * 501),
        ("start", "console_simple", "--priority", "9" * 12),
        ("start", "console_simple", "--input", "[" * 100_000),
        ("start", "console_simple", "--queue", "q" * 101),
    ],
    ids=lambda arguments: " ".join(arguments)[:40],
)
def test_what_is_asked_wrongly_is_refused(durable, arguments):
    refused(lambda: durable(*arguments))

    assert not Execution.objects.exists()


def test_a_name_of_an_event_that_cannot_be_stored_is_asked_wrongly(durable):
    execution = django_durable.start(Simple)

    for name in ("", "x" * 501, "\udcff"):
        error = refused(lambda name=name: durable("send-event", execution.pk, name))
        assert error.returncode == 2


def test_a_count_that_is_none_is_told_what_would_be_one(durable):
    error = refused(lambda: durable("list", "--limit", "-1"))

    assert "'-1': give a whole number from 1" in str(error)


def test_a_wrong_setting_is_named(durable, settings):
    settings.DURABLE = {"default": {"QUEUE": {}}}

    error = refused(lambda: durable("list"))

    assert error.returncode == 2
    assert "QUEUES" in str(error)


def test_the_exit_codes_of_the_process(tmp_path: Path):
    if connection.vendor != "sqlite":
        pytest.skip("it needs a database of its own")
    environment = {"DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}"}
    manage = Path(__file__).resolve().parents[2] / "manage.py"

    def code(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, str(manage), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stderr

    status, said = code("durable", "list")
    assert (status, "manage.py migrate" in said) == (1, True)
    assert code("migrate", "-v0")[0] == 0
    assert code("durable", "list", "--settings", "testproject.settings")[0] == 0
    assert code("durable", "show", "ffff")[0] == 1
    assert code("durable", "show", "zz")[0] == 2
    assert code("durable", "dance")[0] == 2


def test_cleanup_hands_on_what_was_asked(durable, monkeypatch):
    asked = {}

    def cleanup(older_than, **options):
        asked.update(options, older_than=older_than)
        return 1234

    monkeypatch.setattr(django_durable, "cleanup", cleanup, raising=False)

    said = durable("cleanup", "--older-than", "2d", "--status", "failed", "--dry-run")

    assert said.startswith("Would delete 1,234 executions (failed), ended before ")
    asked.pop("on_progress")
    assert asked == {
        "older_than": timedelta(days=2),
        "statuses": ["failed"],
        "dry_run": True,
        "durable": "default",
    }


def test_cleanup_takes_only_what_has_ended(durable):
    error = refused(
        lambda: durable("cleanup", "--older-than", "2d", "--status", "running")
    )

    assert error.returncode == 2
    assert "running" in str(error)


# --- schedules ------------------------------------------------------------------------


def test_schedules_and_trigger(durable, durable_json):
    django_durable.schedule(Simple, "*/5 * * * *", name="five")

    [found] = durable_json("schedules")
    [started] = durable_json("trigger", "five", "--input", '{"number": 3}')

    assert (found["name"], found["enabled"], found["failure_count"]) == (
        "five",
        True,
        0,
    )
    assert "five  console_simple" in durable("schedules")
    assert started["workflow"] == "console_simple"
    assert Execution.objects.get().input == {"number": 3}
    assert refused(lambda: durable("trigger", "six")).returncode == 1


def test_a_schedule_is_disabled_and_enabled(durable, durable_json):
    django_durable.schedule(Simple, "*/5 * * * *", name="five")

    assert durable("disable-schedule", "five") == "five is disabled.\n"
    [found] = durable_json("schedules")
    assert found["enabled"] is False
    assert durable("enable-schedule", "five").startswith("five is enabled; it fires")
    assert django_durable.get_schedule("five").enabled


def test_more_schedules_than_are_shown_are_told_of(durable):
    for number in range(3):
        django_durable.schedule(Simple, "@daily", name=f"s{number}")

    assert "… and more" in durable("schedules", "--limit", "2")
    assert "… and more" not in durable("schedules", "--limit", "3")


def test_schedules_that_are_stuck_or_disabled_are_found_by_the_doctor(db):
    from django_durable.models import Schedule
    from django_durable.store import health

    django_durable.schedule(Simple, "*/5 * * * *", name="five")
    assert health.examine(using="default") == []

    Schedule.objects.update(next_fire_at=clock.now() - timedelta(hours=1))
    [stuck] = health.examine(using="default")
    Schedule.objects.update(enabled=False, failure_count=5)
    [disabled] = health.examine(using="default")

    assert (stuck.rule, stuck.ids) == ("schedule_stuck", ("five",))
    assert (disabled.rule, disabled.about) == ("schedule_disabled", "schedule")


def test_an_answer_is_shown_with_who_gave_it_and_the_comment(durable):
    get_user_model().objects.create_superuser("boss")
    execution = django_durable.start(Asking)
    factories.drain()
    arguments = ("ask", "approved", "--user", "boss", "--comment", "Fine by me.")

    durable("provide-input", execution.pk, *arguments)

    shown = durable("show", execution.pk)
    assert "boss" in shown
    assert "Fine by me." in shown
    [one] = json.loads(durable("show", execution.pk, "--format", "json"))["inputs"]
    assert (one["answered_by"], one["comment"]) == ("boss", "Fine by me.")
    assert one["closed_at"] is not None
    error = refused(lambda: durable("provide-input", execution.pk, *arguments))
    assert "answered already by boss" in str(error)
