"""What the migrations tell PostgreSQL about the table of executions, and take back."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.db import connection

from django_durable.models import Execution


def options():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT reloptions FROM pg_class WHERE oid = %s::regclass",
            [Execution._meta.db_table],
        )
        return set(cursor.fetchone()[0] or ())


@pytest.mark.django_db(transaction=True)
def test_pages_keep_room_for_updates_and_the_migration_can_be_reversed():
    if connection.vendor != "postgresql":
        pytest.skip("only PostgreSQL has such settings")
    set_ = {
        "fillfactor=70",
        "autovacuum_vacuum_scale_factor=0.02",
        "autovacuum_analyze_scale_factor=0.02",
    }
    assert options() == set_

    call_command("migrate", "django_durable", "0001", verbosity=0)
    assert options() == set()

    call_command("migrate", "django_durable", verbosity=0)
    assert options() == set_
