"""The Django form of a workflow validates its input, wherever that comes from."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from django import forms
from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import QueryDict

import django_durable as durable
from django_durable import (
    CallWorkflow,
    DefinitionError,
    InvalidInput,
    InvalidSchedule,
    NotStorable,
    Workflow,
    call_workflow,
    checks,
    clock,
    start_workflow,
    step,
)
from django_durable.models import Execution
from tests.factories import NOON, finish, fresh

pytestmark = pytest.mark.django_db


class EverythingForm(forms.Form):
    group = forms.ModelChoiceField(Group.objects.all())
    groups = forms.ModelMultipleChoiceField(Group.objects.all(), required=False)
    by_name = forms.ModelChoiceField(
        Group.objects.all(), to_field_name="name", required=False
    )
    price = forms.DecimalField(required=False)
    day = forms.DateField(required=False)
    moment = forms.DateTimeField(required=False)
    split = forms.SplitDateTimeField(required=False)
    time = forms.TimeField(required=False)
    length = forms.DurationField(required=False)
    key = forms.UUIDField(required=False)
    tick = forms.BooleanField(required=False)
    sizes = forms.TypedMultipleChoiceField(
        choices=[(1, "one"), (2, "two")], coerce=int, required=False
    )
    tree = forms.JSONField(required=False)


class Everything(Workflow, name="forms_everything", input_form=EverythingForm):
    @step
    def look(self, group):
        return {"name": group.name}


class KidForm(forms.Form):
    group = forms.ModelChoiceField(Group.objects.all())


class Kid(Workflow, name="forms_kid", input_form=KidForm):
    @step
    def look(self, group):
        return {"name": group.name}


class Calls(Workflow, name="forms_calls"):
    kid = CallWorkflow(Kid, input=lambda group: {"group": group})


class CallsAsync(Workflow, name="forms_calls_async"):
    @step
    async def call(self, group):
        start_workflow(Kid, {"group": group})
        return {"kid": call_workflow(Kid, {"group": group})}


@pytest.fixture
def group():
    return Group.objects.create(name="finance")


def test_cleaned_values_are_stored_and_come_back_as_they_are(group):
    posted = {
        "group": str(group.pk),
        "groups": [str(group.pk)],
        "by_name": "finance",
        "price": "9.90",
        "day": "2030-03-01",
        "moment": "2030-03-01 12:30",
        "split": dt.datetime(2030, 3, 1, 12, 30, tzinfo=dt.UTC),
        "time": "12:30",
        "length": "1 02:00:00",
        "key": "00000000-0000-7000-8000-000000000000",
        "tick": "on",
        "sizes": ["1", "2"],
        "tree": '{"a": [1]}',
    }

    execution = durable.start(Everything, posted)

    stored = fresh(execution).input
    assert stored["group"] == stored["by_name"] == group
    assert stored["groups"] == [group]
    assert stored["price"] == Decimal("9.90")
    assert stored["day"] == dt.date(2030, 3, 1)
    assert stored["moment"] == stored["split"]
    assert stored["time"] == dt.time(12, 30)
    assert stored["length"] == dt.timedelta(days=1, hours=2)
    assert str(stored["key"]) == posted["key"]
    assert stored["tick"] is True
    assert stored["sizes"] == [1, 2]
    assert stored["tree"] == {"a": [1]}
    assert finish(execution).result["name"] == "finance"


def test_what_a_browser_has_posted_is_an_input(group):
    posted = QueryDict(
        f"group={group.pk}&groups={group.pk}&price=9.90&sizes=1&sizes=2"
        "&split_0=2030-03-01&split_1=12:30&tick=on"
    )

    stored = fresh(durable.start(Everything, posted)).input

    assert (stored["group"], stored["groups"]) == (group, [group])
    assert (stored["price"], stored["sizes"]) == (Decimal("9.90"), [1, 2])
    assert stored["split"] == dt.datetime(2030, 3, 1, 12, 30, tzinfo=dt.UTC)
    assert stored["tick"] is True


def test_an_input_that_was_cleaned_once_starts_the_same_again(group):
    first = durable.start(
        Everything,
        {
            "group": group,
            "groups": [group],
            "by_name": group,
            "price": Decimal("1.10"),
            "day": dt.date(2030, 3, 1),
            "split": dt.datetime(2030, 3, 1, 12, 30, tzinfo=dt.UTC),
            "tick": False,
            "sizes": [2],
            "tree": [1],
        },
    )

    again = durable.start(Everything, fresh(first).input)

    assert fresh(again).input == fresh(first).input


@pytest.mark.parametrize(
    ("given", "errors"),
    [
        ({}, {"group": ["This field is required."]}),
        ({"group": "x"}, {"group": None}),
        ({"group": [1]}, {"group": None}),
        ({"price": "many"}, {"price": ["Enter a number."]}),
        ({"split": "x"}, {"split": ["Enter a valid value."]}),
        ({"groups": 7}, {"groups": ["Enter a list of values."]}),
        ({"prize": 1}, {"__all__": None}),
    ],
)
def test_each_fault_is_under_the_name_of_its_field(group, given, errors):
    given = {"group": group, **given} if given else {}

    with pytest.raises(InvalidInput) as refused:
        durable.start(Everything, given)

    assert refused.value.errors.keys() == errors.keys()
    for name, texts in errors.items():
        assert texts is None or refused.value.errors[name] == texts
    assert not Execution.objects.exists()


def test_a_name_that_the_form_does_not_have_is_refused(group):
    with pytest.raises(InvalidInput, match=r"no field 'note'\. The fields are: group"):
        durable.start(Kid, {"group": group, "note": "x"})


def test_one_wrong_input_of_many_starts_none(group):
    with pytest.raises(InvalidInput):
        durable.start_many(Kid, [{"group": group}, {"group": 0}])

    assert not Execution.objects.exists()


# --- Files ----------------------------------------------------------------------------


class FileForm(forms.Form):
    paper = forms.FileField(required=False)
    note = forms.CharField(required=False)


def test_a_file_is_refused_and_none_is_not_missed():
    class TakesFile(Workflow, name="forms_takes_file", input_form=FileForm):
        @step
        def work(self): ...

    paper = SimpleUploadedFile("paper.pdf", b"%PDF")
    with pytest.raises(InvalidInput) as refused:
        durable.start(TakesFile, {"paper": paper})
    assert refused.value.errors == {
        "paper": ["A file cannot be stored here. Save it first, and give its name."]
    }
    assert durable.start(TakesFile, {"note": "x"}).input["note"] == "x"
    [warning] = [
        found for found in checks.check_input_forms() if "takes_file" in found.msg
    ]
    assert warning.id == "durable.W105"
    assert "'paper'" in warning.msg


def test_without_a_form_a_file_cannot_be_stored_either():
    class Formless(Workflow, name="forms_formless"):
        @step
        def work(self): ...

    with pytest.raises(NotStorable, match=r"input\['paper'\]: an open file"):
        durable.start(Formless, {"paper": SimpleUploadedFile("paper.pdf", b"%PDF")})


# --- What is no form class ------------------------------------------------------------


class NoForm:
    base_fields: dict[str, object] = {}


@pytest.mark.parametrize(
    "form", [FileForm(), NoForm, NoForm(), "FileForm", forms.formset_factory(FileForm)]
)
def test_what_is_no_form_class_is_an_error_at_import(form):
    with pytest.raises(DefinitionError, match=r"durable\.E003: Wrong .*input_form"):
        type("Wrong", (Workflow,), {}, input_form=form)


def test_a_subclass_inherits_the_form_and_may_do_without():
    class Heir(Kid, name="forms_heir"):
        pass

    class Free(Kid, name="forms_free", input_form=None):
        pass

    with pytest.raises(InvalidInput):
        durable.start(Heir, {})
    assert durable.start(Free, {"any": "thing"}).input == {"any": "thing"}


# --- Children -------------------------------------------------------------------------


@pytest.mark.parametrize("workflow", [Calls, CallsAsync])
@pytest.mark.django_db(transaction=True)
def test_the_input_of_a_child_is_validated(workflow):
    # Rows of a transaction that is open would not be seen by the thread of a coroutine.
    group = Group.objects.create(name="finance")

    execution = finish(durable.start(workflow, {"group": group.pk}))

    assert execution.error is None
    assert execution.result["kid"]["name"] == "finance"
    assert {kid.input["group"] for kid in durable.list_children(execution)} == {group}


@pytest.mark.parametrize("workflow", [Calls, CallsAsync])
@pytest.mark.django_db(transaction=True)
def test_a_wrong_input_of_a_child_fails_the_step_that_calls(workflow):
    execution = finish(durable.start(workflow, {"group": 0}))

    assert execution.status == "failed"
    assert execution.error["type"] == "InvalidInput"
    assert "Select a valid choice" in execution.error["message"]
    assert durable.list_children(execution) == []


def test_a_child_that_has_begun_is_not_validated_again():
    shut = []

    class DoorForm(forms.Form):
        def clean(self):
            if shut:
                raise forms.ValidationError("It is shut.")

    class Enters(Workflow, name="forms_enters", input_form=DoorForm):
        @step
        def work(self):
            return {"entered": True}

    class CallsTwice(Workflow, name="forms_calls_twice"):
        @step
        def call(self):
            first = call_workflow(Enters, {}, ref="first")
            second = start_workflow(Enters, {}, ref="second")
            durable.wait_for_event("go on")
            return {"first": first, "second": str(second)}

    execution = finish(durable.start(CallsTwice))
    shut.append(True)
    durable.send_event(execution, "go on")

    execution = finish(execution)

    assert execution.error is None
    assert execution.result["first"] == {"entered": True}


# --- Schedules ------------------------------------------------------------------------


def test_a_schedule_takes_only_an_input_that_fits(group):
    with pytest.raises(InvalidSchedule, match="forms_kid refuses the input"):
        durable.schedule(Kid, "@daily", input={"group": 0})
    made = durable.schedule(Kid, "@daily", input={"group": group.pk})
    with pytest.raises(InvalidSchedule, match="refuses the input"):
        durable.update_schedule("forms_kid", input={"other": 1})

    assert made.input == {"group": group.pk}


def test_a_schedule_that_is_triggered_validates(group):
    with clock.freeze(NOON):
        durable.schedule(Kid, "@daily", input={"group": group.pk})

        assert durable.trigger_schedule("forms_kid").input["group"] == group
        with pytest.raises(InvalidInput):
            durable.trigger_schedule("forms_kid", input={"group": 0})
        User.objects.all().delete()
        group.delete()
        with pytest.raises(InvalidInput):
            durable.trigger_schedule("forms_kid")
