"""A list is narrowed by its filters alone, whatever stands in the address."""

from __future__ import annotations

import pytest
from django.urls import reverse

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("model", "query"),
    [
        ("execution", {"data__icontains": "secret"}),
        ("execution", {"input__total__gt": "5"}),
        ("execution", {"parent__data__icontains": "secret"}),
        ("schedule", {"input__icontains": "secret"}),
        ("worker", {"host__startswith": "a"}),
    ],
    ids=str,
)
def test_no_column_can_be_asked_for_in_the_address(login, model, query):
    sam = login("view_execution", "view_schedule", "view_worker")
    address = reverse(f"admin:django_durable_{model}_changelist")

    assert sam.get(address, query).status_code == 400


@pytest.mark.parametrize(
    ("model", "query"),
    [
        ("execution", {"status": "failed"}),
        ("execution", {"workflow": "x", "queue": "y", "tag": "z", "created": "24h"}),
        ("schedule", {"enabled__exact": "1"}),
    ],
    ids=str,
)
def test_filters_still_work(login, model, query):
    sam = login("view_execution", "view_schedule")
    address = reverse(f"admin:django_durable_{model}_changelist")

    # Otherwise one would be sent to the list without them.
    assert sam.get(address, query).status_code == 200
