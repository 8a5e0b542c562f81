"""Old families are deleted as a whole, from the bottom up, and in small transactions."""

# ruff: noqa: T201

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import islice

import pytest
from django.db import connection, connections, models, transaction

import django_durable as durable
from django_durable import (
    Each,
    ExecutionClosed,
    Fail,
    Parallel,
    WaitForApproval,
    WaitForEvent,
    Workflow,
    call_workflow,
    days,
    hours,
    start_workflow,
    step,
)
from django_durable.clock import freeze
from django_durable.models import Event, Execution, InputRequest, Log, Step, Wait
from django_durable.store import retention
from django_durable.types import ExecutionStatus
from django_durable.workers.options import make_options
from django_durable.workers.pruner import Pruner
from tests.factories import NOON, drain, finish

pytestmark = pytest.mark.django_db(transaction=True)

TABLES = (Execution, Step, Wait, Event, InputRequest, Log)


class Offspring(Workflow, name="retention_child"):
    @step
    def work(self):
        print("working")


class Family(Workflow, name="retention_family"):
    @step
    def begin(self):
        start_workflow(Offspring, {})

    decision = WaitForApproval()
    news = WaitForEvent("news")

    class Both(Parallel):
        @step
        def first(self):
            call_workflow(Offspring, {})

        @step
        def second(self):
            print("second")

    class Many(Each):
        def items(self):
            return [1, 2, 3]

        @step
        def one(self, item):
            print(item)


class Expecting(Workflow, name="retention_waiting"):
    news = WaitForEvent("news")


class Careless(Workflow, name="retention_careless"):
    @step
    def begin(self):
        start_workflow(Expecting, {})


@pytest.fixture
def clock():
    with freeze(NOON) as frozen:
        yield frozen


def make_family() -> Execution:
    execution = durable.start(Family)
    drain()
    durable.provide_input(execution, "decision", "approved")
    durable.send_event(execution, "news")
    durable.send_event(execution, "more than it takes")
    return finish(execution)


def make_ended(status: str = "completed", *, age: timedelta, **fields) -> Execution:
    return Execution.objects.create(
        workflow="retention_child",
        status=status,
        queue="default",
        home_queue="default",
        completed_at=NOON - age,
        **fields,
    )


def counts() -> dict[str, int]:
    return {model.__name__: model._base_manager.count() for model in TABLES}


def left() -> set[str]:
    return {str(pk) for pk in Execution.rows.values_list("pk", flat=True)}


def test_an_old_family_goes_with_all_that_belongs_to_it_and_others_stay(clock):
    old = make_family()
    assert old.status == "completed"
    once = counts()
    assert min(once.values()) > 0
    clock.advance(days(2))
    make_family()

    assert durable.cleanup(days(1)) == 3

    assert counts() == once
    assert not Execution.rows.filter(pk=old.pk).exists()


def test_a_dry_run_counts_the_same_and_deletes_nothing(clock):
    make_family()
    clock.advance(days(2))
    before = counts()

    assert durable.cleanup(days(1), dry_run=True) == 3

    assert counts() == before


def test_a_family_with_an_open_member_stays_as_a_whole(clock):
    parent = finish(durable.start(Careless))
    assert parent.status == "completed"
    [child] = durable.list_children(parent)
    clock.advance(days(2))
    before = counts()

    assert durable.cleanup(days(1)) == 0
    assert counts() == before

    durable.send_event(child, "news")
    drain()
    assert durable.cleanup(days(1)) == 2
    assert set(counts().values()) == {0}


def test_a_child_that_ended_long_ago_stays_as_long_as_its_parent(clock):
    parent = durable.start(Family)
    drain()
    clock.advance(days(9))

    assert durable.cleanup(days(1)) == 0
    [child] = durable.list_children(parent)
    assert child.status == "completed"


def test_only_the_statuses_that_are_named_go(clock):
    kept = make_ended("failed", age=days(9))
    make_ended("completed", age=days(9))
    make_ended("cancelled", age=days(9))
    make_ended("cancelled", age=hours(1))

    assert durable.cleanup(days(1), "completed") == 1
    assert durable.cleanup(days(1), ["cancelled", "compensated"]) == 1

    assert str(kept.pk) in left()
    assert len(left()) == 2


@pytest.mark.parametrize("status", ["running", "paused", "finished"])
def test_a_status_that_is_not_final_is_refused(status):
    with pytest.raises(ValueError, match="is not a status of what has ended"):
        durable.cleanup(days(1), [status])


def test_more_than_a_batch_goes_in_several_short_transactions(clock, monkeypatch):
    monkeypatch.setattr(retention, "_FAMILIES", 3)
    monkeypatch.setattr(retention, "_BATCH", 2)
    monkeypatch.setattr(retention, "_ROWS", 2)
    make_family()
    for number in range(10):
        make_ended(age=days(5) + hours(number % 2))
    clock.advance(days(2))
    told: list[int] = []

    assert durable.cleanup(days(1), on_progress=told.append) == 13

    assert told[-1] == 13
    assert told == sorted(told)
    assert len(told) > 13 / 2
    assert set(counts().values()) == {0}


def test_whenever_it_is_cut_off_no_member_is_left_without_its_parent(
    clock, monkeypatch
):
    monkeypatch.setattr(retention, "_FAMILIES", 2)
    monkeypatch.setattr(retention, "_BATCH", 2)
    for _ in range(3):
        make_family()
    clock.advance(days(2))

    for _ in range(60):
        # Each time a new process begins anew and dies after one transaction.
        list(islice(retention.sweep("completed", days(1), using="default"), 1))
        parents = Execution.rows.filter(parent__isnull=False).values_list("parent")
        assert {str(pk) for (pk,) in parents} <= left()
        for model in TABLES[1:]:
            owners = model._base_manager.values_list("execution", flat=True)
            assert {str(pk) for pk in owners} <= left()

    assert left() == set()


def test_what_is_opened_again_in_between_stays_and_so_does_what_it_belongs_to(
    clock, monkeypatch
):
    parent = make_ended(age=days(5))
    child = make_ended("failed", age=days(5), parent=parent)
    find = retention._families

    def find_and_retry(*args):
        found = find(*args)
        durable.retry(child)
        return found

    monkeypatch.setattr(retention, "_families", find_and_retry)

    assert durable.cleanup(days(1), "completed") == 0
    assert left() == {str(parent.pk), str(child.pk)}


class Failing(Workflow, name="retention_failing"):
    @step
    def works(self):
        print("working")

    @step
    def fails(self):
        raise Fail("no")


@pytest.mark.parametrize("when", ["found", "being deleted"])
def test_a_failed_one_is_retried_whole_or_not_at_all(clock, monkeypatch, when):
    execution = finish(durable.start(Failing))
    before = counts()
    clock.advance(days(2))
    name = "_families" if when == "found" else "_delete"
    step = getattr(retention, name)
    refused: list[Exception] = []

    def retry_and_go_on(*args):
        found = step(*args)
        try:
            durable.retry(execution)
        except ExecutionClosed as error:
            refused.append(error)
        return found

    monkeypatch.setattr(retention, name, retry_and_go_on)

    deleted = durable.cleanup(days(1))

    assert deleted == len(refused) == (when == "being deleted")
    assert counts() == (dict.fromkeys(before, 0) if deleted else before)


def test_what_is_locked_as_it_is_to_be_deleted_keeps_what_belongs_to_it(clock):
    if connection.vendor != "postgresql":
        pytest.skip("on SQLite there is one writer at a time")
    execution = finish(durable.start(Failing))
    before = counts()
    clock.advance(days(2))

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        Execution.rows.select_for_update().get(pk=execution.pk)
        assert pool.submit(cleanup_in_thread).result(20) == 0

    assert counts() == before
    durable.retry(execution)


def cleanup_in_thread() -> int:
    try:
        with freeze(NOON + days(2)):
            return durable.cleanup(days(1))
    finally:
        connections.close_all()


def test_what_another_transaction_holds_is_left_without_waiting_for_it(clock):
    if connection.vendor != "postgresql":
        pytest.skip("on SQLite there is one writer at a time")
    held, free = make_ended(age=days(5)), make_ended(age=days(5))
    locked, go_on = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            Execution.rows.select_for_update().get(pk=held.pk)
            locked.set()
            go_on.wait(10)
        connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert locked.wait(10)
        assert durable.cleanup(days(1)) == 1
    finally:
        go_on.set()
        thread.join()

    assert left() == {str(held.pk)}
    assert str(free.pk) not in left()


@pytest.fixture
def receipts(transactional_db) -> Iterator[type[models.Model]]:
    """A model of the project that does not let an execution go."""

    class Receipt(models.Model):
        execution = models.ForeignKey(Execution, on_delete=models.PROTECT)

        class Meta:
            app_label = "testapp"

        def __str__(self):
            return f"receipt of {self.execution_id}"

    with connection.schema_editor() as editor:
        editor.create_model(Receipt)
    yield Receipt
    with connection.schema_editor() as editor:
        editor.delete_model(Receipt)
    from django.apps import apps

    del apps.all_models["testapp"]["receipt"]
    apps.clear_cache()


def test_a_family_that_a_model_of_the_project_protects_stays_whole(receipts, clock):
    kept = make_family()
    receipts.objects.create(execution=durable.list_children(kept)[0])
    before = counts()
    make_family()
    clock.advance(days(2))

    assert durable.cleanup(days(1)) == 3

    assert counts() == before
    receipts.objects.all().delete()


# --- By hand ---------------------------------------------------------------------------


def delete(*executions) -> tuple[int, dict[str, str]]:
    """Delete what was chosen; return how many went, and why which stayed."""
    chosen = retention.select([one.pk for one in executions], using="default")
    gone = sum(retention.delete(chosen, using="default"))
    assert gone == chosen.count
    return gone, {str(pk): reason for pk, reason in chosen.kept.items()}


def test_what_is_chosen_goes_as_a_family_and_others_stay():
    chosen, other = make_family(), make_family()
    once = {name: count // 2 for name, count in counts().items()}

    assert delete(chosen) == (3, {})

    assert counts() == once
    assert {one.pk for one in durable.list_executions()} >= {other.pk}


def test_a_choice_alone_deletes_nothing():
    before = make_family(), counts()

    chosen = retention.select([before[0].pk], using="default")

    assert chosen.count == 3
    assert counts() == before[1]


def test_what_is_open_stays_and_says_how_it_stands():
    ended = make_family()
    pending = durable.start(Expecting)
    waiting = finish(durable.start(Expecting))
    parent = finish(durable.start(Careless))
    [child] = durable.list_children(parent)
    before = counts()

    gone, kept = delete(waiting, ended, pending, parent)

    assert gone == 3
    assert kept == {
        str(pending.pk): "It is waiting: cancel it first, or let it end.",
        str(waiting.pk): "It is waiting: cancel it first, or let it end.",
        str(parent.pk): (
            f"Its child {child.pk} is waiting: cancel it first, or let it end."
        ),
    }
    assert counts()["Execution"] == 4 < before["Execution"]


def test_a_child_goes_with_its_parent_only():
    parent = make_family()
    child, other = durable.list_children(parent)

    gone, kept = delete(child)

    assert gone == 0
    assert str(parent.pk) in kept[str(child.pk)]
    assert delete(other, parent, child) == (3, {})
    assert set(counts().values()) == {0}


def test_what_is_gone_already_is_no_fault():
    execution = make_family()
    chosen = retention.select([execution.pk], using="default")

    assert sum(retention.delete(chosen, using="default")) == 3
    assert sum(retention.delete(chosen, using="default")) == 0
    assert delete(execution) == (0, {str(execution.pk): "It is gone already."})


def test_what_the_project_protects_stays_and_says_by_what(receipts):
    execution = make_family()
    receipts.objects.create(execution=durable.list_children(execution)[0])
    before = counts()

    assert delete(execution) == (0, {str(execution.pk): "A receipt refers to it."})

    assert counts() == before
    receipts.objects.all().delete()


def test_many_that_are_chosen_go_in_short_transactions(clock, monkeypatch):
    monkeypatch.setattr(retention, "_BATCH", 3)
    ended = [make_ended("failed", age=hours(1)) for _ in range(10)]

    chosen = retention.select([one.pk for one in ended], using="default")
    steps = list(retention.delete(chosen, using="default"))

    assert max(steps) == 3
    assert sum(steps) == 10
    assert left() == set()


# --- The search, and who sweeps ---------------------------------------------------------


def test_the_search_for_what_has_ended_uses_its_index(clock):
    found = retention.expired("completed", days(1), using="default")
    query = found.order_by("completed_at", "pk")[:200]

    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                # The planner reads a table of few rows from its beginning to its end.
                cursor.execute("SET LOCAL enable_seqscan = off")
                cursor.execute("SET LOCAL enable_bitmapscan = off")
        plan = query.explain()

    assert "durable_ended_idx" in plan


def test_the_pruner_deletes_what_retention_does_not_keep(clock, settings):
    settings.DURABLE = {
        "default": {"RETENTION": {"cancelled": days(3), "failed": days(90)}}
    }
    ages = {
        "completed": (days(29), days(31)),
        "cancelled": (days(2), days(4)),
        "failed": (days(89), days(91)),
        "compensated": (days(900),),
    }
    ended = {
        (status, age): make_ended(status, age=age)
        for status, given in ages.items()
        for age in given
    }
    pruner = Pruner(make_options())

    assert pruner.run_once() is True
    while pruner.run_once():
        pass

    assert left() == {
        str(ended[kept].pk)
        for kept in [
            ("completed", days(29)),
            ("cancelled", days(2)),
            ("failed", days(89)),
            ("compensated", days(900)),
        ]
    }


def test_the_pruner_begins_anew_after_an_error(clock, monkeypatch):
    make_ended(age=days(40))
    pruner = Pruner(make_options())
    with monkeypatch.context() as patched:
        patched.setattr(retention, "_delete", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            pruner.run_once()

    assert pruner.run_once() is True

    assert left() == set()


def test_every_final_status_may_have_an_age():
    from django_durable.conf import FINAL_STATUSES
    from django_durable.models.execution import FINAL

    assert set(FINAL_STATUSES) == {ExecutionStatus(status).value for status in FINAL}
