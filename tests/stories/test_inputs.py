"""What people are asked: by whom it may be answered, and with what."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django import forms
from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.core.exceptions import PermissionDenied
from django.utils.translation import gettext_lazy

import django_durable as durable
from django_durable import (
    InputNotFound,
    InvalidInput,
    WaitForApproval,
    WaitForChoice,
    WaitForForm,
    WaitForText,
    WaitTimeout,
    Workflow,
    clock,
    hours,
    step,
    wait_for_input,
)
from django_durable.models import Execution, InputRequest
from django_durable.store import inputs
from django_durable.store.answering import may_answer
from tests.factories import NOON, attempts, drain, finish, fresh

pytestmark = pytest.mark.django_db


class ShippingForm(forms.Form):
    street = forms.CharField(max_length=20)
    weight = forms.DecimalField(required=False)


FIELDS = [
    {"name": "street", "type": "text", "label": "Street"},
    {"name": "count", "type": "integer", "required": False},
    {"name": "when", "type": "date", "required": False},
    {"name": "size", "type": "select", "choices": ["s", "l"], "required": False},
]

TYPES = {
    # type: options, [(given, stored)], [refused]
    "approval": (
        {},
        [("approved", "approved"), ("rejected", "rejected"), (True, "approved")],
        ["perhaps", "", None, 1],
    ),
    "choice": (
        {"choices": [1, Decimal("2.50"), ("x", "Label")]},
        [(1, 1), ("1", 1), ("2.50", Decimal("2.50")), ("x", "x")],
        [3, "Label", None, [1]],
    ),
    "multi_choice": (
        {"choices": ["a", "b", "c"]},
        [(["a", "c"], ["a", "c"]), (("b",), ["b"])],
        [["d"], "a", None, ["a", "d"]],
    ),
    "text": ({}, [("fine", "fine"), (7, "7")], ["", None, ["x"], "a\u0000b"]),
    "form": (
        {"fields": FIELDS},
        [
            (
                {"street": "Main", "count": "3", "when": "2030-01-02", "size": "l"},
                {"street": "Main", "count": 3, "when": date(2030, 1, 2), "size": "l"},
            ),
            (
                {"street": "Main"},
                {"street": "Main", "count": None, "when": None, "size": None},
            ),
        ],
        [
            {},
            {"street": ""},
            {"street": "x", "count": "many"},
            {"other": 1},
            "text",
            None,
        ],
    ),
    "form class": (
        {"type": "form", "form": ShippingForm},
        [
            (
                {"street": "Main", "weight": "1.50"},
                {"street": "Main", "weight": Decimal("1.50")},
            )
        ],
        [{"street": "x" * 21}, {"weight": "1"}, []],
    ),
}


def asking(**options):
    """Start an execution that asks for ``answer``."""

    class Asks(Workflow):
        @step
        def ask(self):
            return {"answer": wait_for_input("answer", **options)}

    execution = finish(durable.start(Asks))
    assert execution.status == "waiting", execution.error
    # The class lives as long as its execution is in use.
    execution.code = Asks
    return execution


@pytest.mark.parametrize(
    ("kind", "given", "stored"),
    [(kind, *pair) for kind, (_, good, _) in TYPES.items() for pair in good],
)
def test_a_good_answer_is_cleaned_and_goes_on(kind, given, stored):
    options, *_ = TYPES[kind]
    execution = asking(**{"type": kind, **options})

    request = durable.provide_input(execution, "answer", given)

    assert request.status == "satisfied"
    assert request.answer == stored
    result = finish(execution).result["answer"]
    assert (result, type(result)) == (stored, type(stored))


@pytest.mark.parametrize(
    ("kind", "given"), [(kind, one) for kind, (*_, bad) in TYPES.items() for one in bad]
)
def test_a_bad_answer_is_refused_with_the_errors_of_the_form_and_nothing_stored(
    kind, given
):
    options, *_ = TYPES[kind]
    execution = asking(**{"type": kind, **options})

    with pytest.raises(InvalidInput) as refused:
        durable.provide_input(execution, "answer", given)

    errors = refused.value.errors
    assert errors
    assert all(isinstance(text, str) for texts in errors.values() for text in texts)
    assert InputRequest.objects.get().status == "open"
    assert InputRequest.objects.get().answer is None
    assert drain() == 0
    assert fresh(execution).status == "waiting"


def test_the_errors_name_the_fields():
    execution = asking(type="form", fields=FIELDS)

    with pytest.raises(InvalidInput) as refused:
        durable.provide_input(execution, "answer", {"count": "many", "size": "xl"})

    assert set(refused.value.errors) == {"street", "count", "size"}


@pytest.mark.parametrize(
    "options",
    [
        {"type": "choice"},
        {"type": "choice", "choices": []},
        {"type": "form"},
        {"type": "form", "fields": [{"name": "x", "type": "nonsense"}]},
        {"type": "nonsense"},
        {"on_timeout": "explode"},
        {"form": dict, "type": "form"},
        {"metadata": {"f": print}},
        {"prompt": "a\u0000b"},
        {"group": "x" * 151},
        {"permission": "x" * 256},
        {"user": "x" * 256},
    ],
)
def test_a_question_that_cannot_be_asked_is_an_error_of_the_step(options):
    class Misasks(Workflow):
        @step
        def ask(self):
            wait_for_input("answer", **options)

    execution = finish(durable.start(Misasks))

    assert execution.status == "failed"
    assert execution.error["step"] == "ask"
    assert not InputRequest.objects.exists()


def test_ready_made_nodes_ask_and_their_answers_land_under_their_names():
    class Ready(Workflow):
        agreed = WaitForApproval(prompt="Refund {total} of {nothing}?", group="finance")
        size = WaitForChoice(choices=["s", "l"], user=lambda data: data["owner"])
        note = WaitForText(
            permission="auth.view_user", metadata=lambda total: {"total": total}
        )
        shipping = WaitForForm(form=ShippingForm)

    execution = finish(durable.start(Ready, {"total": Decimal("9.90"), "owner": "ann"}))
    (first,) = durable.list_pending_inputs(execution)
    assert (first.name, first.type, first.path) == ("agreed", "approval", "agreed")
    assert first.prompt == "Refund 9.90 of {nothing}?"
    assert execution.waiting_for == "approval agreed by group finance"

    durable.provide_input(execution, "agreed", "approved")
    drain()
    assert fresh(execution).waiting_for == "choice size by user ann"
    durable.provide_input(execution, "size", "l")
    drain()
    (third,) = durable.list_pending_inputs(execution)
    assert third.metadata == {"total": Decimal("9.90")}
    durable.provide_input(execution, "note", "careful")
    drain()
    durable.provide_input(execution, "shipping", {"street": "Main"})

    result = finish(execution).result
    assert result["agreed"] == "approved"
    assert result["size"] == "l"
    assert result["note"] == "careful"
    assert result["shipping"] == {"street": "Main", "weight": None}


# --- Who may answer -------------------------------------------------------------------


def permission(codename: str) -> Permission:
    return Permission.objects.get(codename=codename)


@pytest.fixture
def people() -> dict[str, User]:
    finance = Group.objects.create(name="finance")
    clerks = Group.objects.create(name="clerks")
    clerks.permissions.add(permission("provide_input"))
    make = User.objects.create_user
    people = {
        "nobody": make("nobody"),
        "ann": make("ann"),
        "financier": make("financier"),
        "former": make("former", is_active=False),
        "root": make("root", is_superuser=True),
        "gone root": make("gone", is_superuser=True, is_active=False),
        "viewer": make("viewer"),
        "clerk": make("clerk"),
        "answerer": make("answerer"),
    }
    for name in ("financier", "former"):
        people[name].groups.add(finance)
    people["clerk"].groups.add(clerks)
    people["viewer"].user_permissions.add(permission("view_user"))
    people["answerer"].user_permissions.add(permission("provide_input"))
    # Permissions are cached on an instance.
    found = {name: User.objects.get(pk=user.pk) for name, user in people.items()}
    return {**found, "visitor": AnonymousUser()}


WHO = {
    "user": ({"user": "ann"}, {"ann", "root"}),
    "group": ({"group": "finance"}, {"financier", "root"}),
    "permission": ({"permission": "auth.view_user"}, {"viewer", "root"}),
    "open": ({}, {"clerk", "answerer", "root"}),
    "any of two": (
        {"user": "ann", "group": "finance"},
        {"ann", "financier", "root"},
    ),
    "any of three": (
        {"user": "ann", "group": "finance", "permission": "auth.view_user"},
        {"ann", "financier", "viewer", "root"},
    ),
    "no such group": ({"group": "pirates"}, {"root"}),
    "no such permission": ({"permission": "auth.fly"}, {"root"}),
}


@pytest.mark.parametrize("who", WHO)
def test_exactly_those_who_are_named_may_answer(who, people):
    options, allowed = WHO[who]
    execution = asking(**options)
    request = InputRequest.objects.get()

    by_rule = {name for name, user in people.items() if may_answer(user, request)}
    by_list = {
        name for name, user in people.items() if durable.list_pending_inputs(user=user)
    }
    refused = set()
    for name in people.keys() - allowed:
        with pytest.raises(PermissionDenied):
            durable.provide_input(execution, "answer", "x", user=people[name])
        refused.add(name)

    assert by_rule == by_list == allowed
    assert refused == people.keys() - allowed
    assert InputRequest.objects.get().status == "open"
    durable.provide_input(execution, "answer", "fine", user=people[sorted(allowed)[0]])
    assert finish(execution).result == {"answer": "fine"}


def test_who_answered_is_recorded(people):
    execution = asking(user=people["ann"])

    request = durable.provide_input(execution, "answer", "x", user=people["ann"])

    assert request.answered_by == people["ann"]
    assert request.closed_at is not None


def test_a_program_may_answer_for_everyone():
    execution = asking(group="finance")

    request = durable.provide_input(execution, "answer", "x")

    assert request.answered_by is None
    assert finish(execution).result == {"answer": "x"}


def test_a_group_may_be_given_as_such():
    group = Group.objects.create(name="finance")

    execution = asking(group=group)

    assert execution.waiting_for == "text answer by group finance"


def test_rights_are_asked_for_before_the_answer_is_looked_at(people):
    execution = asking(type="choice", choices=["a"], group="finance")

    with pytest.raises(PermissionDenied, match="finance"):
        durable.provide_input(execution, "answer", "nonsense", user=people["nobody"])


# --- Lists ----------------------------------------------------------------------------


class Timed(Workflow):
    @step
    def ask(self, wait):
        wait_for_input("answer", timeout=hours(wait) if wait else None)


def test_pending_inputs_are_listed_soonest_timeout_first():
    with clock.freeze(NOON):
        waits = [3, None, 1, 2, None]
        executions = {
            n: durable.start(Timed, {"wait": wait}) for n, wait in enumerate(waits)
        }
        drain()

        listed = [one.execution_id for one in durable.list_pending_inputs()]
        order = [2, 3, 0, 1, 4]
        assert listed == [executions[n].pk for n in order]
        soon = durable.list_pending_inputs(
            timeout_before=NOON
            + hours(
                2,
            )
        )
        assert [one.execution_id for one in soon] == [executions[2].pk]
        assert len(durable.list_pending_inputs(limit=2)) == 2
        (own,) = durable.list_pending_inputs(executions[0])
        assert own.execution == executions[0]
        assert own.until == NOON + hours(3)

        durable.provide_input(executions[2], "answer", "x")
        durable.cancel(executions[3])
        assert len(durable.list_pending_inputs()) == 3


# --- What may be answered -------------------------------------------------------------


def test_an_input_is_answered_once():
    execution = asking()
    durable.provide_input(execution, "answer", "first")

    with pytest.raises(InputNotFound, match="answered already"):
        durable.provide_input(execution, "answer", "second")

    assert finish(execution).result == {"answer": "first"}


def test_what_nobody_asked_for_is_not_found():
    execution = asking()

    with pytest.raises(InputNotFound, match=r"'other'.*answer"):
        durable.provide_input(execution, "other", "x")
    with pytest.raises(durable.ExecutionNotFound):
        durable.provide_input("00000000-0000-7000-8000-000000000000", "answer", "x")


def test_inputs_of_an_execution_that_has_ended_are_closed():
    execution = asking()
    durable.cancel(execution)

    with pytest.raises(InputNotFound, match="cancelled"):
        durable.provide_input(execution, "answer", "x")

    assert InputRequest.objects.get().status == "cancelled"


def test_an_answer_that_comes_as_the_question_is_asked_is_told_so(monkeypatch):
    """A lane asks without the lock of its execution, so it may ask between two looks."""
    execution = asking()
    monkeypatch.setattr(inputs, "lock", lambda *_, **__: (execution, None))
    [asked] = durable.list_pending_inputs(execution)

    with pytest.raises(InputNotFound, match="only just been asked"):
        durable.provide_input(execution, asked.name, "approved")


def test_the_same_name_is_asked_for_again():
    class Again(Workflow):
        @step
        def ask(self):
            return {"answers": [durable.wait_for_text("answer") for _ in range(2)]}

    execution = finish(durable.start(Again))
    durable.provide_input(execution, "answer", "one")
    drain()
    durable.provide_input(execution, "answer", "two")

    assert finish(execution).result == {"answers": ["one", "two"]}


def test_an_answer_too_large_to_store_is_refused():
    execution = asking()

    with pytest.raises(durable.NotStorable):
        durable.provide_input(execution, "answer", "x" * 5_000_000)

    assert InputRequest.objects.get().status == "open"


# --- Timeouts -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", [None, False, 0, "rejected", Decimal("0.10"), {"a": [1]}, ["x"]]
)
def test_nobody_answers_and_the_value_of_the_timeout_is_taken(value):
    with clock.freeze(NOON) as time:
        execution = asking(timeout=hours(1), timeout_value=value)
        assert "until 2030-03-01 13:00:00 UTC" in execution.waiting_for
        time.advance(hours(1))
        got = finish(execution).result["answer"]

        assert (got, type(got)) == (value, type(value))
        request = InputRequest.objects.get()
        assert request.status == "timed_out"
        assert request.answer is None
        with pytest.raises(InputNotFound, match="timed out"):
            durable.provide_input(execution, "answer", "late")


def test_without_a_value_the_body_may_catch_the_timeout():
    class Catches(Workflow):
        @step
        def ask(self):
            try:
                return {"answer": durable.wait_for_approval("ok", timeout=hours(1))}
            except WaitTimeout:
                return {"answer": "nobody"}

    with clock.freeze(NOON) as time:
        execution = finish(durable.start(Catches))
        time.advance(hours(1))
        assert finish(execution).result == {"answer": "nobody"}


@pytest.mark.parametrize("on_timeout", ["resume", "fail"])
def test_an_uncaught_timeout_is_retried_only_when_it_is_not_to_fail(on_timeout):
    class Waits(Workflow):
        @step(retry=2)
        def ask(self):
            wait_for_input("answer", timeout=hours(1), on_timeout=on_timeout)

    with clock.freeze(NOON) as time:
        execution = finish(durable.start(Waits))
        time.advance(hours(1))
        execution = finish(execution)

    assert execution.status == ("failed" if on_timeout == "fail" else "pending")
    assert execution.steps.get().error["type"] == "wait_timeout"
    assert attempts(execution) == [("ask", 1, "failed")]


def test_a_timeout_may_be_a_moment():
    with clock.freeze(NOON):
        moment = datetime(2030, 3, 4, tzinfo=UTC)
        asking(timeout=moment)

        assert InputRequest.objects.get().until == moment
        assert Execution.objects.get().available_at == moment


def test_an_answer_after_the_timeout_but_before_anyone_looked_still_counts():
    with clock.freeze(NOON) as time:
        execution = asking(timeout=hours(1), timeout_value="late")
        time.advance(hours(2))
        durable.provide_input(execution, "answer", "in time")

        assert finish(execution).result == {"answer": "in time"}


def test_lazy_texts_are_stored_as_they_read():
    execution = asking(prompt=gettext_lazy("Yes"))

    (request,) = durable.list_pending_inputs(execution)
    assert request.prompt == "Yes"
