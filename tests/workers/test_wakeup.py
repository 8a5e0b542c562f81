"""What ends a worker's pause early, and the session that says that it lives."""

from __future__ import annotations

import threading
from queue import Queue

import pytest
from django.db import connection, connections, transaction

import django_durable as durable
from django_durable import Workflow, step
from django_durable.models import Worker
from django_durable.store import wakeups, workers
from django_durable.store.wakeups import notify
from django_durable.workers import wakeup
from django_durable.workers.loop import Outage
from django_durable.workers.options import make_options
from django_durable.workers.stopping import StopRequests
from django_durable.workers.supervisor import Supervisor
from django_durable.workers.wakeup import Listener
from tests.factories import claim, fresh, run
from tests.processes.worker_processes import eventually
from tests.testapp.workflows import Quick

pytestmark = pytest.mark.django_db(transaction=True)
SECONDS = 10


def test_what_is_started_is_picked_up_long_before_the_next_poll(settings):
    settings.DURABLE = {"default": {"POLL_INTERVAL": 600.0}}
    requests = StopRequests()

    def work():
        Supervisor(make_options(), requests).run()
        connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    # The first poll has found nothing by then; the next one is ten minutes away.
    eventually(Worker.objects.exists, within=SECONDS, what="a worker")
    first = durable.start(Quick)
    try:
        for execution in (first, durable.start(Quick)):
            eventually(
                lambda execution=execution: fresh(execution).status == "completed",
                within=SECONDS,
                what="an end",
            )
    finally:
        requests.add("the test is over")
        thread.join(SECONDS)
    assert not thread.is_alive()


def test_what_is_handed_over_to_a_queue_of_this_process_wakes_it():
    class Moves(Workflow, name="wakeup_moves_here"):
        @step(queue="elsewhere")
        def work(self): ...

    if connection.vendor == "postgresql":
        pytest.skip("there the database tells it, see below")
    durable.start(Moves)
    (claimed,) = claim()
    woken = threading.Event()
    forget = wakeups.listen(woken.set)
    try:
        run(claimed)
    finally:
        forget()

    assert woken.is_set()


@pytest.mark.usefixtures("postgres_only")
class TestListener:
    """On PostgreSQL a thread holds a session of its own."""

    @pytest.fixture
    def heard(self):
        return Queue()

    @pytest.fixture
    def locked(self):
        return Queue()

    @pytest.fixture
    def listener(self, heard, locked):
        listener = Listener(
            "default",
            on_wake=heard.put,
            on_lock=lambda: locked.put(listener.lock),
            outage=Outage(),
        )
        listener.start()
        yield listener
        listener.stop()
        listener.join()

    def test_it_hears_which_queue_has_something_to_claim(self, listener, heard):
        assert heard.get(timeout=SECONDS) is None

        notify({"mail"}, using="default")

        assert heard.get(timeout=SECONDS) == "mail"

    def test_it_hears_that_an_execution_is_handed_over_to_a_queue(
        self, listener, heard
    ):
        class Moves(Workflow, name="wakeup_moves"):
            @step(queue="elsewhere")
            def work(self): ...

        assert heard.get(timeout=SECONDS) is None
        durable.start(Moves)
        assert heard.get(timeout=SECONDS) == "default"

        (claimed,) = claim()
        run(claimed)

        assert heard.get(timeout=SECONDS) == "elsewhere"

    def test_it_hears_nothing_of_what_is_rolled_back(self, listener, heard):
        assert heard.get(timeout=SECONDS) is None

        with transaction.atomic():
            notify({"mail"}, using="default")
            transaction.set_rollback(True)
        notify({"post"}, using="default")

        assert heard.get(timeout=SECONDS) == "post"

    def test_while_it_listens_the_worker_is_known_to_live(
        self, listener, locked, make_worker
    ):
        lock = locked.get(timeout=SECONDS)
        worker = make_worker(lock=lock)
        assert workers.find_unlocked(using="default") == set()

        listener.stop()

        eventually(
            lambda: workers.find_unlocked(using="default") == {worker.pk},
            within=SECONDS,
            what="the lock to be gone",
        )

    def test_it_comes_back_with_a_new_lock_when_its_session_is_cut_off(
        self, listener, heard, locked
    ):
        first = locked.get(timeout=SECONDS)
        assert heard.get(timeout=SECONDS) is None

        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks "
                "WHERE locktype = 'advisory' AND classid = %s",
                [workers.LOCK_CLASS],
            )

        assert locked.get(timeout=SECONDS) is None
        second = locked.get(timeout=SECONDS)
        assert second.key != first.key
        assert second.at > first.at
        # What came meanwhile is found by looking into all queues.
        assert heard.get(timeout=SECONDS) is None

    def test_behind_a_pooler_it_says_so_and_takes_no_lock(
        self, monkeypatch, heard, locked, caplog
    ):
        class Pooled:
            """A pooler makes up the process id that it tells its clients."""

            backend_pid = -1

        monkeypatch.setattr(wakeup.psycopg.Connection, "info", Pooled)

        listener = Listener(
            "default", on_wake=heard.put, on_lock=lambda: locked.put(1), outage=Outage()
        )
        listener.start()
        listener.join()

        assert "connection pooler" in caplog.text
        assert heard.empty()
        assert locked.empty()
        assert listener.lock is None
