"""The inbox costs what is open, whatever was ever asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_durable.ids import new_id
from django_durable.models import InputRequest
from django_durable.store import answering
from tests.factories import NOON, empty_tables

ROWS = 20_000
TABLE = InputRequest._meta.db_table


@pytest.fixture(scope="module")
def full_table(django_db_setup: None, django_db_blocker) -> Iterator[None]:
    """20,000 questions, of which the first 19,000 were answered long ago."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        InputRequest.objects.bulk_create(
            (
                InputRequest(
                    execution_id=new_id(),
                    wait_id=new_id(),
                    name="question",
                    path="question",
                    type="approval",
                    group="finance" if number % 2 else "",
                    status="satisfied" if number < 19_000 else "open",
                    created_at=NOON,
                )
                for number in range(ROWS)
            ),
            batch_size=1000,
        )
        cursor.execute("ANALYZE")
        yield
        cursor.execute(f"DELETE FROM {TABLE}")  # noqa: S608
        empty_tables()


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("full_table")]


def plans_of(do) -> list[str]:
    """Return the plans of what ``do`` asks the table of inputs."""
    word = "EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN "
    with CaptureQueriesContext(connection) as captured:
        do()
    found = []
    for query in captured.captured_queries:
        if TABLE in query["sql"]:
            with connection.cursor() as cursor:
                cursor.execute(word + query["sql"])
                found.append("\n".join(" ".join(map(str, line)) for line in cursor))
    return found


def open_inputs():
    return InputRequest.objects.filter(status="open")


@pytest.mark.parametrize("is_superuser", [True, False])
def test_counting_and_listing_use_the_index_of_what_is_open(is_superuser):
    user = User.objects.create_user("sam", is_superuser=is_superuser)
    found = answering.inbox(open_inputs(), user)

    plans = [
        *plans_of(lambda: answering.count_up_to(1, found)),
        *plans_of(lambda: answering.count_up_to(100, answering.mine(found, user))),
        *plans_of(lambda: list(found.values_list("pk")[:51])),
    ]

    assert len(plans) == 3
    for plan in plans:
        assert "durable_open_input_idx" in plan, plan
