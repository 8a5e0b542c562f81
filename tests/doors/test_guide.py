"""The examples of the guide send events to a real server."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Any

import pytest

import django_durable as durable
from django_durable import WaitForEvent, Workflow
from django_durable.models import Event
from tests.factories import finish
from tests.test_docs import DOCS, blocks_of

pytestmark = pytest.mark.django_db(transaction=True)

KEY = "0123456789abcdef" * 4


class Pays(Workflow, name="doors_guide"):
    paid = WaitForEvent("payment.paid")


@pytest.fixture
def site(live_server, settings):
    settings.DURABLE = {"default": {"WEBHOOK": {"keys": [KEY]}}}
    return live_server.url


def example(language: str, word: str) -> str:
    """Return the code of the guide that is in this language and has this word."""
    [found] = [
        block.body
        for block in blocks_of(DOCS / "guides" / "doors.md")
        if block.language == language and word in block.body
    ]
    return found


def test_the_example_in_python_sends_an_event(site):
    execution = finish(durable.start(Pays))
    module: dict[str, Any] = {"KEY": KEY, "SITE": site}
    exec(example("python", "def send_event"), module)  # noqa: S102

    first = module["send_event"](execution.pk, "payment.paid", {"amount": 12}, "e-1")
    again = module["send_event"](execution.pk, "payment.paid", {"amount": 12}, "e-1")

    assert (first["created"], first["taken"]) == (True, True)
    assert again["created"] is False
    assert finish(execution).result == {"paid": {"amount": 12}}


@pytest.mark.skipif(
    not all(map(shutil.which, ("bash", "curl", "openssl"))),
    reason="the example uses bash, curl and openssl",
)
@pytest.mark.parametrize("event_id", ["", "e-1"])
def test_the_example_in_the_shell_sends_an_event(site, event_id):
    execution = finish(durable.start(Pays))
    environment = {
        **os.environ,
        "no_proxy": "*",
        "SITE": site,
        "DURABLE_WEBHOOK_KEY": KEY,
        "execution": str(execution.pk),
        "name": "payment.paid",
        "event_id": event_id,
    }

    done = subprocess.run(
        [str(shutil.which("bash")), "-euo", "pipefail", "-c", example("bash", "curl")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert '"taken": true' in done.stdout
    assert Event.objects.get().payload == {"amount": 12}
