"""A worker process deletes old executions."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import connections

from django_durable import days
from django_durable.clock import now
from django_durable.models import Execution
from django_durable.workers.options import make_options
from django_durable.workers.stopping import StopRequests
from django_durable.workers.supervisor import Supervisor

pytestmark = pytest.mark.django_db(transaction=True)


def wait_until(is_true) -> None:
    ends_at = time.monotonic() + 10
    while not is_true():
        assert time.monotonic() < ends_at
        time.sleep(0.02)


def working(requests: StopRequests, **options) -> threading.Thread:
    def work():
        Supervisor(make_options(**options), requests).run()
        connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_worker_deletes_what_retention_does_not_keep():
    Execution.objects.create(
        workflow="gone",
        status="completed",
        queue="default",
        home_queue="default",
        completed_at=now() - days(31),
    )
    requests = StopRequests(None)
    thread = working(requests)
    try:
        wait_until(lambda: not Execution.objects.exists())
    finally:
        requests.add("the test is over")
        thread.join()
