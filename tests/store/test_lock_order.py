"""Rows are locked in order of id, ancestors first, so that nobody waits in a circle."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from django.db import connection, connections, transaction

import django_durable as durable
from django_durable import Workflow, step
from django_durable.models import Execution
from django_durable.store import moves
from django_durable.store.moves import Busy, Move
from django_durable.types import ExecutionStatus
from tests.factories import claim

pytestmark = [
    pytest.mark.usefixtures("transactional_db"),
    pytest.mark.skipif(
        connection.vendor != "postgresql",
        reason="elsewhere moves are written one by one",
    ),
]


class Locked(Workflow, name="lock_order"):
    @step
    def work(self): ...


def test_a_batch_of_moves_locks_its_rows_in_order_of_id():
    """Somebody has locked the first row, and then asks for the last one too."""
    durable.start_many(Locked, [{}] * 8)
    claimed = sorted(claim(), key=lambda one: one.lease.execution_id)
    batch = [
        Move(
            lease=one.lease,
            status=ExecutionStatus.COMPLETED,
            position="work",
            sequence=1,
            attempt=1,
        )
        for one in reversed(claimed)
    ]
    first, last = claimed[0].lease.execution_id, claimed[-1].lease.execution_id
    written: list[object] = []

    def write():
        try:
            written.extend(moves.write(batch, using="default"))
        finally:
            connections.close_all()

    with transaction.atomic():
        Execution.rows.select_for_update().get(pk=first)
        thread = threading.Thread(target=write)
        thread.start()
        wait_until_somebody_waits()
        Execution.rows.select_for_update(nowait=True).get(pk=last)
    thread.join(20)

    assert len(written) == 8
    assert None not in written


def test_of_a_batch_only_the_rows_that_others_hold_are_left_out():
    durable.start_many(Locked, [{}] * 3)
    batch = [
        Move(
            lease=one.lease,
            status=ExecutionStatus.COMPLETED,
            position="work",
            sequence=1,
            attempt=1,
        )
        for one in claim()
    ]
    lost = replace(batch[2], lease=replace(batch[2].lease, token=9))
    written: list[object] = []

    def write():
        try:
            written.extend(moves.write_free([*batch[:2], lost], using="default"))
        finally:
            connections.close_all()

    with transaction.atomic():
        Execution.rows.select_for_update().get(pk=batch[0].lease.execution_id)
        thread = threading.Thread(target=write)
        thread.start()
        thread.join(20)

    held, free, refused = written
    assert held is Busy.BUSY
    assert free.status == "completed"
    assert refused is None
    assert moves.write(batch[:1], using="default") != [None]


def wait_until_somebody_waits() -> None:
    """Return once another session waits for a lock of this one."""
    for _ in range(2000):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks "
                "WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
            )
            if cursor.fetchone()[0]:
                return
            cursor.execute("SELECT pg_sleep(0.005)")
    raise AssertionError("nobody waits")
