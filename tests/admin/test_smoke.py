from __future__ import annotations

import pytest
from django.urls import reverse

import django_durable as durable
from django_durable import Workflow, step
from tests.factories import drain

pytestmark = pytest.mark.django_db


class AdminSmoke(Workflow):
    @step
    def work(self, n):
        return {"m": n + 1}


def test_list_and_page_show_an_execution(boss):
    execution = durable.start(AdminSmoke, {"n": 1}, tags=["vip"])
    drain()

    found = boss.get(reverse("admin:django_durable_execution_changelist"))
    assert str(execution.pk) in found.text
    page = reverse("admin:django_durable_execution_change", args=[execution.pk])
    for tab in ("steps", "logs", "data", "family", "events", "history"):
        assert boss.get(page, {"tab": tab}).status_code == 200
