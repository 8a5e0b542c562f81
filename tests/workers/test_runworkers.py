"""``call_command("runworkers")``: in a transaction, with threads, and what it says."""

from __future__ import annotations

import logging
import signal
import threading
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

import django_durable as durable
from django_durable.clock import now
from django_durable.models import Worker
from tests.factories import attempts, fresh
from tests.testapp.workflows import Asleep, Expectant, Quick, Tour


def run_until_idle(**options) -> None:
    call_command("runworkers", until_idle=True, **options)


@pytest.mark.django_db
class TestInATransaction:
    """Others do not see the data, so all runs in the thread of the caller."""

    def test_what_is_due_runs(self):
        execution = durable.start(Tour, {"number": 1})
        before = threading.active_count()

        run_until_idle()

        assert fresh(execution).result["total"] == 210
        assert threading.active_count() == before
        assert not Worker.objects.exists()

    def test_frozen_time_is_advanced_not_slept_through(self, frozen_time):
        execution = durable.start(Asleep)
        run_until_idle()
        assert fresh(execution).status == "waiting"

        frozen_time.advance(timedelta(days=1))
        run_until_idle()

        assert fresh(execution).status == "completed"

    def test_in_frozen_time_nothing_that_comes_later_is_waited_for(self, frozen_time):
        execution = durable.start(Quick, scheduled_at=now() + timedelta(seconds=0.5))

        run_until_idle()

        assert fresh(execution).status == "pending"

    def test_what_is_due_within_a_second_is_waited_for(self):
        execution = durable.start(Quick, scheduled_at=now() + timedelta(seconds=0.2))

        run_until_idle()

        assert fresh(execution).status == "completed"

    def test_it_can_be_called_again_and_again(self):
        execution = durable.start(Expectant)
        run_until_idle()
        durable.send_event(execution, "news", {"good": True})

        run_until_idle()

        assert fresh(execution).result == {"news": {"good": True}}

    def test_only_the_named_queues_are_served(self):
        served, left = durable.start(Quick), durable.start(Quick, queue="slow")

        run_until_idle(queues="default")

        assert (fresh(served).status, fresh(left).status) == ("completed", "pending")

    def test_without_until_idle_it_is_refused(self):
        with pytest.raises(CommandError, match="--until-idle"):
            call_command("runworkers")


@pytest.mark.django_db(transaction=True)
class TestWithThreads:
    """The data is committed, so it is the real thing."""

    def test_what_is_due_runs(self):
        executions = durable.start_many(Quick, [{"number": n} for n in range(20)])
        # One that stores what coroutines ask for belongs to the process.
        before = set(threading.enumerate())

        run_until_idle()

        assert [fresh(one).result["answer"] for one in executions] == list(
            range(0, 40, 2)
        )
        assert not Worker.objects.exists()
        left = set(threading.enumerate()) - before
        assert not [one for one in left if "durable" in one.name]

    def test_in_frozen_time_it_ends_as_well(self, frozen_time):
        execution = durable.start(Asleep)
        run_until_idle()
        frozen_time.advance(timedelta(days=1))

        run_until_idle()

        assert attempts(fresh(execution)) == [("rest", 1, "completed")]

    def test_signals_are_handled_as_before_when_it_has_ended(self):
        before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

        run_until_idle()

        assert (
            signal.getsignal(signal.SIGTERM),
            signal.getsignal(signal.SIGINT),
        ) == before

    def test_it_may_run_in_another_thread_than_the_main_one(self):
        execution = durable.start(Quick)

        def run():
            run_until_idle()
            connections.close_all()

        thread = threading.Thread(target=run)
        thread.start()
        thread.join(20)

        assert fresh(execution).status == "completed"


@pytest.mark.django_db
class TestOutput:
    """What is shown when the project's ``LOGGING`` says nothing of it."""

    @pytest.fixture
    def said(self, monkeypatch, capsys):
        """Return what a run says to stderr, the handlers of pytest left out."""
        logger = logging.getLogger("django_durable")

        def run(*, verbosity):
            # Not in the set-up: pytest hangs its handler on loggers that propagate not.
            monkeypatch.setattr(logger, "propagate", False)
            run_until_idle(verbosity=verbosity)
            assert logger.level == logging.NOTSET
            return capsys.readouterr().err

        return run

    def test_a_readable_line_per_event_at_verbosity_2(self, said):
        execution = durable.start(Quick)

        assert f"quick {execution.pk}: answer completed" in said(verbosity=2)

    def test_nothing_of_executions_otherwise(self, said):
        execution = durable.start(Quick)

        assert str(execution.pk) not in said(verbosity=1)

    def test_a_logger_that_the_project_has_configured_is_left_alone(
        self, said, monkeypatch
    ):
        logger = logging.getLogger("django_durable")
        monkeypatch.setattr(logger, "handlers", [logging.NullHandler()])
        durable.start(Quick)

        assert said(verbosity=2) == ""


@pytest.mark.parametrize(
    ("settings_of_instance", "options", "told"),
    [
        ({"QUEUE_ENABLED": False}, {}, "QUEUE_ENABLED"),
        ({}, {"queues": "defualt"}, 'Did you mean "default"'),
        ({}, {"durable": "other"}, "other"),
    ],
)
def test_mistakes_are_told_as_errors_of_the_command(
    settings, settings_of_instance, options, told
):
    settings.DURABLE = {"default": settings_of_instance}

    with pytest.raises(CommandError, match=told):
        call_command("runworkers", **options)
