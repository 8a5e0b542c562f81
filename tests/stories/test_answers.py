"""What is kept of an answer, what a refused one is told, and whose inbox it is in."""

from __future__ import annotations

import threading

import pytest
from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.core.exceptions import PermissionDenied
from django.db import connection, connections, transaction

import django_durable as durable
from django_durable import (
    InputNotFound,
    NotStorable,
    WaitForApproval,
    Workflow,
    clock,
    hours,
    signals,
    step,
    wait_for_input,
)
from django_durable.models import InputRequest
from django_durable.store import answering, inputs
from tests.factories import NOON, drain, finish, wait_until_somebody_waits

pytestmark = pytest.mark.django_db


class Decides(Workflow, name="answers_decides"):
    decision = WaitForApproval(group="finance", timeout=hours(5))


class AsksAs(Workflow, name="answers_asks_as"):
    @step
    def ask(self, wait=None, who=None):
        timeout = None if wait is None else hours(wait)
        wait_for_input("answer", timeout=timeout, **(who or {}))


class AsksTwice(Workflow, name="answers_asks_twice"):
    @step
    def ask(self):
        return {"answers": [wait_for_input("answer") for _ in range(2)]}


@pytest.fixture
def fiona():
    user = User.objects.create_user("fiona")
    user.groups.add(Group.objects.create(name="finance"))
    return user


@pytest.fixture
def boss():
    return User.objects.create_superuser("boss")


def asked(workflow=Decides, **given):
    return finish(durable.start(workflow, given))


# --- What is kept ---------------------------------------------------------------------


def test_a_comment_is_kept_with_the_answer_and_told(
    fiona, django_capture_on_commit_callbacks
):
    told = []

    def listen(**given):
        told.append(given["comment"])

    execution = asked()
    signals.input_provided.connect(listen)
    try:
        with clock.freeze(NOON), django_capture_on_commit_callbacks(execute=True):
            request = durable.provide_input(
                execution, "decision", "approved", user=fiona, comment="<b>Fine</b>, ö"
            )
    finally:
        signals.input_provided.disconnect(listen)

    stored = InputRequest.objects.get()
    for one in (request, stored):
        assert one.comment == "<b>Fine</b>, ö"
        assert one.answered_by == fiona
        assert one.closed_at == NOON
        assert one.answer == "approved"
    assert told == ["<b>Fine</b>, ö"]
    with clock.freeze(NOON):
        assert finish(execution).result == {"decision": "approved"}


@pytest.mark.parametrize("comment", ["a\u0000b", "x" * 4_000_001])
def test_a_comment_that_cannot_be_stored_is_refused_with_the_answer(comment):
    execution = asked()

    with pytest.raises(NotStorable, match="comment"):
        durable.provide_input(execution, "decision", "approved", comment=comment)

    assert InputRequest.objects.get().status == "open"


# --- What a refused answer is told ----------------------------------------------------


def test_a_second_answer_is_told_who_was_first_and_when(fiona, boss):
    execution = asked()
    with clock.freeze(NOON):
        durable.provide_input(execution, "decision", "approved", user=fiona)

    with pytest.raises(
        InputNotFound,
        match=r"'decision' of answers_decides .* was answered already by fiona, "
        r"2030-03-01 12:00:00 UTC\.",
    ):
        durable.provide_input(execution, "decision", "rejected", user=boss)
    assert InputRequest.objects.get().answer == "approved"


def test_an_answer_of_the_program_and_of_a_deleted_user_are_told_apart(fiona):
    by_code, by_fiona = asked(), asked()
    durable.provide_input(by_code, "decision", "approved")
    durable.provide_input(by_fiona, "decision", "approved", user=fiona)
    pk = fiona.pk
    fiona.delete()

    with pytest.raises(InputNotFound, match=r"was answered already, 2\d{3}-"):
        durable.provide_input(by_code, "decision", "approved")
    with pytest.raises(InputNotFound, match=f"by user {pk}, deleted since"):
        durable.provide_input(by_fiona, "decision", "approved")


def test_one_that_timed_out_and_one_that_was_cancelled_say_so(boss):
    with clock.freeze(NOON) as time:
        late, cancelled = asked(), asked()
        durable.cancel(cancelled)
        time.advance(hours(5))
        drain()

        with pytest.raises(InputNotFound, match="has timed out, 2030-03-01 17:00:00"):
            durable.provide_input(late, "decision", "approved", user=boss)
        with pytest.raises(InputNotFound, match="was cancelled, 2030-03-01 12:00:00"):
            durable.provide_input(cancelled, "decision", "approved", user=boss)


def test_who_may_not_answer_is_not_told_who_did(fiona):
    stranger = User.objects.create_user("stranger")
    execution = asked()
    durable.provide_input(execution, "decision", "approved", user=fiona)

    with pytest.raises(PermissionDenied, match=r"stranger.*group finance") as refused:
        durable.provide_input(execution, "decision", "approved", user=stranger)

    assert "fiona" not in str(refused.value)


@pytest.mark.parametrize("who", ["anonymous", "inactive"])
def test_who_has_no_active_account_may_not_answer(fiona, who):
    fiona.is_active = False
    user = AnonymousUser() if who == "anonymous" else fiona

    with pytest.raises(PermissionDenied, match="no active account"):
        durable.provide_input(asked(), "decision", "approved", user=user)


# --- Of several the right one ---------------------------------------------------------


def test_a_question_that_is_named_by_its_id_is_answered_and_no_other():
    execution = asked(AsksTwice)
    first = InputRequest.objects.get()
    durable.provide_input(execution, "answer", "one", input_id=first.pk)
    drain()

    with pytest.raises(InputNotFound, match="answered already"):
        durable.provide_input(execution, "answer", "again", input_id=first.pk)
    second = InputRequest.objects.get(status="open")
    durable.provide_input(execution, "answer", "two", input_id=second.pk)

    assert finish(execution).result == {"answers": ["one", "two"]}


def test_an_id_of_another_execution_or_name_is_not_found():
    execution, other = asked(), asked()
    request = InputRequest.objects.get(execution=other)

    with pytest.raises(InputNotFound, match="does not ask"):
        durable.provide_input(execution, "decision", "approved", input_id=request.pk)
    with pytest.raises(InputNotFound, match=r"does not ask.*waits for: decision"):
        durable.provide_input(other, "else", "approved", input_id=request.pk)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(
    connection.vendor != "postgresql", reason="a transaction locks all of SQLite"
)
def test_of_two_who_answer_at_once_the_second_is_told_of_the_first():
    execution = asked()
    told: list[str] = []

    def answer():
        try:
            durable.provide_input(execution, "decision", "rejected")
        except InputNotFound as refusal:
            told.append(str(refusal))
        finally:
            connections.close_all()

    with transaction.atomic():
        durable.provide_input(execution, "decision", "approved")
        thread = threading.Thread(target=answer)
        thread.start()
        wait_until_somebody_waits()
    thread.join(20)

    assert "answered already" in told[0]
    assert InputRequest.objects.get().answer == "approved"


# --- The inbox ------------------------------------------------------------------------


def pending():
    return inputs.pending(execution_id=None, timeout_before=None, using="default")


def test_the_inbox_has_mine_first_and_then_what_times_out_soonest(fiona):
    permission = Permission.objects.get(codename="provide_input")
    fiona.user_permissions.add(permission)
    fiona = User.objects.get(pk=fiona.pk)
    with clock.freeze(NOON):
        of = {
            "open to all, in 1 h": asked(AsksAs, wait=1),
            "hers, at no time": asked(AsksAs, who={"user": "fiona"}),
            "of her group, in 5 h": asked(AsksAs, wait=5, who={"group": "finance"}),
            "of others": asked(AsksAs, who={"group": "pirates"}),
            "open to all": asked(AsksAs),
            "hers, in 2 h": asked(
                AsksAs, wait=2, who={"user": "fiona", "group": "pirates"}
            ),
        }
    by_id = {execution.pk: name for name, execution in of.items()}

    found = list(answering.inbox(pending(), fiona))

    assert [by_id[one.execution_id] for one in found] == [
        "hers, in 2 h",
        "of her group, in 5 h",
        "hers, at no time",
        "open to all, in 1 h",
        "open to all",
    ]
    assert [one.is_mine for one in found] == [True] * 3 + [False] * 2
    assert set(answering.mine(pending(), fiona)) == set(found[:3])


def test_a_superuser_has_all_in_the_inbox_and_not_all_is_hers(boss):
    asked(AsksAs, who={"group": "pirates"})
    own = asked(AsksAs, who={"user": "boss"})

    found = list(answering.inbox(pending(), boss))

    assert [one.is_mine for one in found] == [True, False]
    assert found[0].execution_id == own.pk
    assert answering.mine(pending(), boss).count() == 1


def test_the_inbox_of_who_may_not_answer_is_empty(fiona):
    fiona.is_active = False
    asked()

    assert not answering.inbox(pending(), fiona)
    assert not answering.mine(pending(), AnonymousUser())


def test_inputs_are_counted_no_further_than_is_shown(
    boss, django_assert_num_queries, monkeypatch
):
    for _ in range(4):
        asked()
    found = answering.inbox(pending(), boss)
    # The groups of the user are read when the queryset is made.
    with django_assert_num_queries(1) as statements:
        assert answering.count_up_to(3, found) == 3
    assert "LIMIT 3" in statements.captured_queries[0]["sql"]
    assert answering.count_up_to(9, found) == 4


def test_an_account_without_a_name_is_not_who_nobody_named():
    nameless = User.objects.create(username="")
    asked(AsksAs, who={"group": "pirates"})
    request = InputRequest.objects.get()

    assert not answering.may_answer(nameless, request)
    assert not answering.answerable_by(pending(), nameless)
