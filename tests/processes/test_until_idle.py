"""``--until-idle``, and several processes."""

from __future__ import annotations

import pytest

import django_durable as durable
from django_durable.models import Execution, Worker
from tests.testapp.workflows import Asleep, Expectant, Tour


def statuses() -> set[str]:
    return set(Execution.objects.values_list("status", flat=True))


@pytest.mark.parametrize("arguments", [[], ["--processes=2"]])
def test_it_ends_with_0_when_nothing_is_left_to_do(start_worker, arguments):
    durable.start_many(Tour, [{"number": number} for number in range(30)])

    code = start_worker("--until-idle", *arguments).wait(60)

    assert code == 0
    assert statuses() == {"completed"}
    assert not Worker.objects.exists()


def test_what_waits_does_not_hold_it(start_worker):
    durable.start(Asleep)
    durable.start(Expectant)

    code = start_worker("--until-idle").wait(30)

    assert code == 0
    assert statuses() == {"waiting"}
