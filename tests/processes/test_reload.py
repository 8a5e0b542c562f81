"""``--reload``: the worker starts anew when the code changes."""

from __future__ import annotations

import os
import time

import django_durable as durable
from django_durable.models import Worker
from tests.processes.worker_processes import eventually
from tests.testapp import journal
from tests.testapp.workflows import Slow


def test_what_runs_when_the_code_changes_begins_again_at_once(
    start_worker, environment, tmp_path
):
    # Python imports a module of this name by itself, so that the reloader watches it.
    watched = tmp_path / "sitecustomize.py"
    watched.touch()
    environment["PYTHONPATH"] = str(tmp_path)
    execution = durable.start(Slow, {"seconds": 60})
    start_worker("--reload")
    eventually(lambda: journal.read(environment), within=20, what="a step that runs")

    # The reloader looks once a second, and compares with what it saw the time before.
    time.sleep(2.5)
    os.utime(watched, (time.time() + 60, time.time() + 60))
    again = eventually(
        lambda: journal.read(environment)[1:], within=20, what="the step to run again"
    )

    assert (again[0].step, again[0].attempt) == ("hold", "1")
    assert not execution.steps.exists()
    assert Worker.objects.count() == 1
