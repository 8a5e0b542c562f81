"""Actions on many executions: how many, which are left out, and who did it."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry

import django_durable as durable
from django_durable import WaitForEvent, Workflow, step
from django_durable.admin import keyset
from django_durable.admin.executions import bulk
from django_durable.models import Execution, Step
from tests.admin.rows import list_url, make_execution, make_step, text_of
from tests.factories import drain, fresh

pytestmark = pytest.mark.django_db


class Bulky(Workflow, name="admin_bulky"):
    paid = WaitForEvent("paid")

    @step
    def ship(self): ...


def ask(client, name, rows, **given):
    selected = [str(row.pk) for row in rows]
    return client.post(
        list_url(),
        {
            "action": f"{name}_selected",
            "_selected_action": selected,
            "index": "0",
            **given,
        },
    )


def confirm(client, name, rows, **given):
    selected = [str(row.pk) for row in rows]
    return client.post(
        list_url(),
        {
            "action": f"{name}_selected",
            "_selected_action": selected,
            "confirmed": "yes",
            **given,
        },
        follow=True,
    )


def test_the_page_says_how_many_and_which_are_left_out(boss):
    rows = [make_execution(status=one) for one in ("running", "waiting", "failed")]

    text = text_of(ask(boss, "cancel", rows).text)

    assert "2 executions" in text
    assert "1 execution is left out, for its status does not allow it: 1" in text
    assert not LogEntry.objects.exists()
    assert Execution.objects.filter(status="cancelled").count() == 0


def test_nothing_can_be_done_where_no_status_allows_it(boss):
    text = text_of(ask(boss, "resume", [make_execution()]).text)

    assert "Nothing is left to do." in text


def test_many_are_cancelled_with_a_reason_and_the_history_says_who(boss):
    rows = [durable.start(Bulky) for _ in range(3)]
    ended = make_execution(status="completed")
    drain()

    found = confirm(boss, "cancel", [*rows, ended], reason="a wrong price")

    text = text_of(found.text)
    assert "Cancelled 3 executions." in text
    assert "1 execution was left out" in text
    assert {fresh(row).status for row in rows} == {"cancelled"}
    assert {fresh(row).error["message"] for row in rows} == {"a wrong price"}
    entries = LogEntry.objects.all()
    assert {entry.object_id for entry in entries} == {str(row.pk) for row in rows}
    assert {entry.change_message for entry in entries} == {"Cancelled: a wrong price"}
    assert {entry.user.username for entry in entries} == {"boss"}


def test_many_are_paused_and_resumed(boss):
    rows = [durable.start(Bulky) for _ in range(2)]

    confirm(boss, "pause", rows)
    assert {fresh(row).status for row in rows} == {"paused"}

    confirm(boss, "resume", rows)
    assert {fresh(row).status for row in rows} == {"pending"}


def test_many_are_retried(boss):
    rows = [make_execution(workflow="admin_bulky", status="failed") for _ in range(2)]

    confirm(boss, "retry", rows, reason="the bank is back")

    assert {fresh(row).status for row in rows} == {"pending"}
    assert LogEntry.objects.first().change_message == "Retried: the bank is back"


def test_many_are_deleted_with_what_belongs_to_them(boss):
    gone = make_execution(status="failed")
    make_step(gone)
    make_execution(parent=gone, status="completed")
    with_open_child = make_execution(status="failed")
    make_execution(parent=with_open_child, status="waiting")
    child = make_execution(status="completed", parent=with_open_child)

    found = confirm(boss, "delete", [gone, with_open_child, child])

    text = text_of(found.text)
    assert "Deleted 1 execution." in text
    assert "1 came too late" in text
    assert "1 execution was left out" in text
    assert not Execution.rows.filter(pk=gone.pk).exists()
    assert not Execution.rows.filter(parent=gone.pk).exists()
    assert not Step.objects.exists()
    assert Execution.rows.count() == 3
    entry = LogEntry.objects.get()
    assert (entry.is_deletion(), entry.object_id) == (True, str(gone.pk))


def test_one_that_ended_meanwhile_does_not_hold_up_the_others(boss, monkeypatch):
    rows = [durable.start(Bulky) for _ in range(2)]
    unaware = bulk.suited

    def late(operation, found):
        fit, others = unaware(operation, found)
        durable.cancel(rows[0])
        return fit, others

    monkeypatch.setattr(bulk, "suited", late)

    text = text_of(confirm(boss, "cancel", rows).text)

    assert "Cancelled 1 execution." in text
    assert "1 came too late" in text
    assert fresh(rows[1]).status == "cancelled"
    assert LogEntry.objects.get().object_id == str(rows[1].pk)


def test_a_form_with_errors_comes_back(boss):
    execution = durable.start(Bulky)

    found = confirm(boss, "cancel", [execution], reason="x" * 501)

    assert "at most 500 characters" in text_of(found.text)
    assert fresh(execution).status == "pending"


def test_all_that_match_are_taken_up_to_a_limit_newest_first(boss, monkeypatch):
    monkeypatch.setattr(keyset, "MOST_SELECTED", 2)
    monkeypatch.setattr(bulk, "MOST_SELECTED", 2)
    oldest, *newer = [make_execution(status="failed") for _ in range(3)]
    make_execution(status="completed")

    found = boss.post(
        list_url(status="failed"),
        {
            "action": "retry_selected",
            "_selected_action": [str(oldest.pk)],
            "select_across": "1",
            "index": "0",
        },
    )

    text = text_of(found.text)
    assert "2 executions The newest 2 of those that match; repeat it" in text
    assert all(str(row.pk) in found.text for row in newer)
    assert str(oldest.pk) not in found.text


def test_only_what_was_confirmed_is_done(boss):
    chosen, other = (make_execution(status="failed") for _ in range(2))

    confirm(boss, "retry", [chosen], select_across="0")

    assert fresh(other).status == "failed"


def test_without_a_confirmation_nothing_is_done(boss):
    execution = durable.start(Bulky)

    ask(boss, "cancel", [execution], reason="x")

    assert fresh(execution).status == "pending"
