"""Forms that validate what a person or a program answers."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django import forms
from django.contrib.auth.models import Group, User
from django.db import models
from django.http import QueryDict
from django.utils.translation import gettext_lazy, override

from django_durable import codec
from django_durable.exceptions import InvalidInput
from django_durable.forms import (
    check_description,
    clean_answer,
    clean_input,
    form_class_for,
    form_path,
    posted_answer,
    posted_input,
)


class Size(models.TextChoices):
    SMALL = "s", gettext_lazy("Small")
    LARGE = "l", gettext_lazy("Large")


class Color(enum.Enum):
    RED = 1


class ShippingForm(forms.Form):
    street = forms.CharField()
    on = forms.SplitDateTimeField(required=False)
    born = forms.DateField(required=False, widget=forms.SelectDateWidget)

    def clean(self) -> dict[str, Any] | None:
        if self.cleaned_data.get("street") == "nowhere":
            raise forms.ValidationError("We do not ship there.")
        return self.cleaned_data


class GrowingForm(forms.Form):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["late"] = forms.IntegerField()


class UserForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = ("username", "groups")


class Outer:
    class InnerForm(forms.Form):
        a = forms.CharField()


def asked(kind: str, **more: Any) -> dict[str, Any]:
    nothing = {"prompt": "", "choices": None, "fields": None, "form": ""}
    return {"type": kind, **nothing, **more}


def one_field(kind: str, **more: Any) -> dict[str, Any]:
    return asked("form", fields=[{"name": "it", "type": kind, **more}])


def errors_of(description: dict[str, Any], value: Any) -> dict[str, list[str]]:
    with pytest.raises(InvalidInput) as caught:
        clean_answer(description, value)
    return caught.value.errors


# --- one value ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ("approved", "approved"),
        ("rejected", "rejected"),
        (True, "approved"),
        (False, "rejected"),
    ],
)
def test_an_approval_is_a_word(value, answer):
    assert clean_answer(asked("approval"), value) == answer


@pytest.mark.parametrize("value", ["maybe", "True", "", None, 1, ["approved"], {}])
def test_anything_else_is_no_approval(value):
    assert list(errors_of(asked("approval"), value)) == ["value"]


PAIRS = [
    (3, "three"),
    ("x", "ex"),
    (Decimal("1.10"), "price"),
    (None, "none"),
    (False, "no"),
]


@pytest.mark.parametrize(
    ("choices", "value", "answer"),
    [
        ([1, 2, 3], "3", 3),
        ([1, 2, 3], 3, 3),
        (["a", "b"], "b", "b"),
        (PAIRS[:3], "3", 3),
        (PAIRS[:3], Decimal("1.10"), Decimal("1.10")),
        (PAIRS[:3], "1.10", Decimal("1.10")),
        ([[3, "three"]], "3", 3),
        ([True, False], "False", False),
        ([True, False], False, False),
        ([0, 1], 0, 0),
        (Size.choices, "l", "l"),
        (list(Size), "l", Size.LARGE),
        (list(Color), Color.RED, Color.RED),
        ([date(2024, 1, 2)], "2024-01-02", date(2024, 1, 2)),
    ],
)
@pytest.mark.parametrize("encoded", [False, True])
def test_a_choice_comes_back_as_the_value_that_was_offered(
    choices, value, answer, encoded
):
    given = codec.encode(choices) if encoded else choices

    chosen = clean_answer(asked("choice", choices=given), value)

    assert chosen == answer
    assert type(chosen) is type(answer)


@pytest.mark.parametrize("value", ["4", 4, None, "", [1], {"a": 1}, "3.0", object()])
def test_what_was_not_offered_cannot_be_chosen(value):
    assert list(errors_of(asked("choice", choices=[1, 2, 3]), value)) == ["value"]


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        (["3", "1"], [3, 1]),
        ((1, 2), [1, 2]),
        ({2}, [2]),
        ([1, "1"], [1]),
    ],
)
def test_several_choices_come_back_as_a_list_of_values(value, answer):
    assert clean_answer(asked("multi_choice", choices=[1, 2, 3]), value) == answer


@pytest.mark.parametrize("value", ["1", 1, [], None, [4], [1, 4], [[1]], {"a": 1}])
def test_several_choices_must_be_a_list_of_what_was_offered(value):
    assert list(errors_of(asked("multi_choice", choices=[1, 2, 3]), value)) == ["value"]


@pytest.mark.parametrize(
    ("value", "text"), [("  yes ", "yes"), ("a\nb", "a\nb"), (5, "5"), ("<b>", "<b>")]
)
def test_a_text_is_stripped(value, text):
    assert clean_answer(asked("text"), value) == text


@pytest.mark.parametrize(
    "value", ["", "  ", None, ["a"], {"a": 1}, True, "a\0b", object()]
)
def test_a_text_is_not_empty_and_not_something_else(value):
    assert list(errors_of(asked("text"), value)) == ["value"]


def test_errors_are_told_in_the_language_of_the_person():
    with override("de"):
        assert errors_of(asked("text"), "") == {
            "value": ["Dieses Feld ist zwingend erforderlich."]
        }


def test_the_prompt_is_the_label():
    form = form_class_for(
        asked("choice", prompt="How many?", choices=[(1, "One"), 2])
    )()

    assert form.fields["value"].label == "How many?"
    assert form.fields["value"].choices == [
        ("", "---------"),
        ("1", "One"),
        ("2", "2"),
    ]


@pytest.mark.parametrize("kind", ["choice", "select"])
def test_nothing_is_chosen_before_a_person_chooses(kind):
    described = {
        "choice": asked("choice", choices=["a", "b"]),
        "select": one_field("select", choices=["a", "b"]),
    }[kind]

    html = form_class_for(described)().as_div()

    assert '<option value="" selected>' in html


def test_members_of_an_enum_are_labelled():
    form = form_class_for(asked("choice", choices=[*Size, *Color]))()

    assert form.fields["value"].choices == [
        ("", "---------"),
        ("s", "Small"),
        ("l", "Large"),
        ("1", "RED"),
    ]


# --- forms of fields ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value", "cleaned"),
    [
        ("text", " a ", "a"),
        ("text", 5, "5"),
        ("textarea", "a\nb", "a\nb"),
        ("integer", "5", 5),
        ("integer", 5, 5),
        ("integer", 0, 0),
        ("decimal", "1.10", Decimal("1.10")),
        ("decimal", Decimal("1.10"), Decimal("1.10")),
        ("decimal", 0.1, Decimal("0.1")),
        ("boolean", True, True),
        ("boolean", False, False),
        ("boolean", "true", True),
        ("boolean", "False", False),
        ("boolean", "on", True),
        ("boolean", 0, False),
        ("date", "2024-05-08", date(2024, 5, 8)),
        ("date", date(2024, 5, 8), date(2024, 5, 8)),
        ("datetime", "2024-05-08T12:30", datetime(2024, 5, 8, 12, 30, tzinfo=UTC)),
        (
            "datetime",
            "2024-05-08T12:30:00+00:00",
            datetime(2024, 5, 8, 12, 30, tzinfo=UTC),
        ),
        (
            "datetime",
            datetime(2024, 5, 8, 12, 30, tzinfo=UTC),
            datetime(2024, 5, 8, 12, 30, tzinfo=UTC),
        ),
        ("email", "ada@example.org", "ada@example.org"),
    ],
)
def test_a_field_takes_what_is_posted_and_what_a_program_gives(
    kind, value, cleaned, settings
):
    settings.TIME_ZONE = "UTC"

    answer = clean_answer(one_field(kind), {"it": value})

    assert answer == {"it": cleaned}
    assert type(answer["it"]) is type(cleaned)
    assert codec.decode(codec.encode(answer)) == answer


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("text", ["a"]),
        ("text", True),
        ("textarea", {}),
        ("textarea", {"a": 1}),
        ("integer", "5.5"),
        ("integer", 5.5),
        ("integer", True),
        ("integer", [5]),
        ("decimal", "five"),
        ("decimal", "NaN"),
        ("boolean", "maybe"),
        ("boolean", None),
        ("boolean", 2),
        ("boolean", [True]),
        ("date", "2024-02-30"),
        ("date", 5),
        ("date", True),
        ("date", ["2024-05-08"]),
        ("datetime", 5),
        ("datetime", {"a": 1}),
        ("email", ["a@example.org"]),
        ("datetime", "tomorrow"),
        ("email", "ada"),
        ("email", "a b@example.org"),
    ],
)
def test_a_field_refuses_what_is_of_another_kind(kind, value):
    assert list(errors_of(one_field(kind), {"it": value})) == ["it"]


@pytest.mark.parametrize("kind", ["select", "multi_select"])
def test_a_field_of_choices_returns_the_values(kind):
    description = one_field(kind, choices=[(1, "One"), (2, "Two")])
    posted, chosen = (["2"], [2]) if kind == "multi_select" else ("2", 2)

    assert clean_answer(description, {"it": posted}) == {"it": chosen}
    assert clean_answer(description, {"it": chosen}) == {"it": chosen}


@pytest.mark.parametrize(
    ("kind", "empty"),
    [
        ("text", ""),
        ("integer", None),
        ("decimal", None),
        ("boolean", False),
        ("date", None),
        ("datetime", None),
        ("email", ""),
        ("select", None),
        ("multi_select", []),
    ],
)
def test_a_field_is_required_unless_told_otherwise(kind, empty):
    choices = {"choices": [1, 2]} if "select" in kind else {}
    required = one_field(kind, **choices)
    optional = one_field(kind, required=False, **choices)

    for nothing in ({}, {"it": None}, {"it": ""}):
        assert errors_of(required, nothing) == {"it": ["This field is required."]}
        assert clean_answer(optional, nothing) == {"it": empty}


def test_an_optional_boolean_refuses_what_is_neither_yes_nor_no():
    assert errors_of(one_field("boolean", required=False), {"it": "maybe"}) == {
        "it": ["Choose yes or no."]
    }
    assert clean_answer(one_field("boolean", required=False), {"it": "0"}) == {
        "it": False
    }


def test_only_an_optional_boolean_is_a_box_to_tick():
    def rendered(*, required: bool) -> str:
        form = form_class_for(one_field("boolean", required=required))({"it": False})
        return str(form["it"])

    assert 'type="checkbox"' in rendered(required=False)
    assert "checked" not in rendered(required=False)
    assert '<option value="False" selected>' in rendered(required=True)


def test_all_errors_are_told_at_once():
    description = asked(
        "form",
        fields=[{"name": "a", "type": "integer"}, {"name": "b", "type": "email"}],
    )

    with pytest.raises(
        InvalidInput, match=r"a: Enter a whole number.; b: This"
    ) as caught:
        clean_answer(description, {"a": "x"})

    assert caught.value.errors == {
        "a": ["Enter a whole number."],
        "b": ["This field is required."],
    }


def test_a_field_shows_its_label_and_its_help():
    form = form_class_for(one_field("text", label="Name of it", help="As printed"))()
    plain = form_class_for(
        asked("form", fields=[{"name": "the_name", "type": "text"}])
    )()

    assert form["it"].label == "Name of it"
    assert form["it"].help_text == "As printed"
    assert plain["the_name"].label == "The name"


def test_the_help_of_a_field_is_text_and_no_html():
    form = form_class_for(one_field("text", label="<b>", help="<b>bold</b> & co"))

    assert "<b>" not in form().as_div()
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; co" in form().as_div()


@pytest.mark.parametrize(
    "name", ["data", "errors", "clean", "fields", "two words", "ü"]
)
def test_a_field_may_have_any_name(name):
    description = asked("form", fields=[{"name": name, "type": "text"}])
    check_description(description)

    assert clean_answer(description, {name: "x"}) == {name: "x"}


def test_a_name_that_the_form_does_not_have_is_refused():
    with pytest.raises(InvalidInput, match=r"no field 'ti', '5'. The fields are: it\."):
        clean_answer(one_field("text"), {"it": "a", "ti": "b", 5: "c"})


@pytest.mark.parametrize("value", ["text", None, 5, ["it"], [("it", "a")]])
def test_the_answer_to_a_form_is_a_mapping(value):
    errors = errors_of(one_field("text"), value)

    [message] = errors["__all__"]
    assert message == (
        f"Give a mapping of field names to values, not {type(value).__name__}."
    )


# --- form classes ---------------------------------------------------------------------


def test_a_form_class_is_found_by_its_path():
    path = form_path(ShippingForm)

    assert path == "tests.test_forms.ShippingForm"
    assert form_class_for(asked("form", form=path)) is ShippingForm
    assert (
        form_class_for(asked("form", form=form_path(Outer.InnerForm)))
        is Outer.InnerForm
    )


def test_a_form_class_cleans_the_answer():
    description = asked("form", form=form_path(ShippingForm))

    assert clean_answer(description, {"street": " Main "}) == {
        "street": "Main",
        "on": None,
        "born": None,
    }
    assert errors_of(description, {}) == {"street": ["This field is required."]}
    assert errors_of(description, {"street": "nowhere"}) == {
        "__all__": ["We do not ship there."]
    }


def test_a_program_gives_whole_what_a_browser_posts_in_parts(settings):
    settings.TIME_ZONE = "UTC"
    description = asked("form", form=form_path(ShippingForm))
    moment, born = datetime(2024, 5, 8, 12, tzinfo=UTC), date(2000, 1, 2)
    parts = "on_0=2024-05-08&on_1=12:00&born_year=2000&born_month=1&born_day=2"
    cleaned = {"street": "Main", "on": moment, "born": born}

    assert (
        clean_answer(description, {"street": "Main", "on": moment, "born": born})
        == cleaned
    )
    assert clean_answer(description, QueryDict(f"street=Main&{parts}")) == cleaned


def test_fields_that_a_form_adds_when_it_is_made_count():
    assert clean_input(GrowingForm, {"late": "1"}) == {"late": 1}


def test_an_error_in_the_code_of_a_form_is_not_taken_for_a_wrong_answer():
    class Broken(forms.Form):
        it = forms.CharField()

        def clean(self) -> None:
            raise TypeError("a bug")

    with pytest.raises(TypeError, match="a bug"):
        clean_input(Broken, {"it": 5})


def test_a_model_form_validates_and_does_not_save(db):
    group = Group.objects.create(name="finance")
    description = asked("form", form=form_path(UserForm))

    cleaned = clean_answer(description, {"username": "ada", "groups": [group.pk]})

    assert cleaned["username"] == "ada"
    assert codec.decode(codec.encode(cleaned))["groups"] == [group]
    assert not User.objects.exists()

    User.objects.create(username="ada")
    assert errors_of(description, {"username": "ada"}) == {
        "username": ["A user with that username already exists."]
    }


# --- posts ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("description", "post", "answer"),
    [
        (asked("approval"), "value=approved", "approved"),
        (asked("choice", choices=[1, 2]), "value=2", 2),
        (asked("multi_choice", choices=[1, 2, 3]), "value=1&value=3", [1, 3]),
        (asked("text"), "value=hello", "hello"),
        (one_field("boolean", required=False), "", {"it": False}),
        (one_field("boolean", required=False), "it=on", {"it": True}),
        (one_field("multi_select", choices=[1, 2]), "it=1&it=2", {"it": [1, 2]}),
    ],
)
def test_a_post_is_an_answer_once_the_rest_is_left_out(description, post, answer):
    posted = QueryDict(f"csrfmiddlewaretoken=x&_save=1&{post}")

    assert clean_answer(description, posted_answer(description, posted)) == answer


class PackingForm(forms.Form):
    group = forms.ModelChoiceField(Group.objects.all())
    weight = forms.DecimalField()
    sizes = forms.MultipleChoiceField(choices=[("s", "S"), ("l", "L")])


@pytest.mark.django_db
def test_a_posted_form_may_choose_among_rows():
    group = Group.objects.create(name="pack")
    posted = QueryDict(f"_save=1&group={group.pk}&weight=1.50&sizes=s&sizes=l")

    given = posted_input(PackingForm, posted)

    assert clean_input(PackingForm, given) == {
        "group": group,
        "weight": Decimal("1.50"),
        "sizes": ["s", "l"],
    }


# --- descriptions ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "description",
    [
        asked("approval"),
        asked("text"),
        asked("choice", choices=["a"]),
        asked("choice", choices=Size.choices),
        asked("choice", choices=codec.encode(Size.choices)),
        asked("multi_choice", choices=((1, "One"), 2)),
        asked("form", form="tests.test_forms.ShippingForm"),
        one_field("select", choices=[1], label="It", help="Help", required=False),
    ],
)
def test_a_description_that_can_be_asked_is_accepted(description):
    check_description(description)


@pytest.mark.parametrize(
    ("description", "message"),
    [
        (asked("aproval"), "unknown type 'aproval'. Did you mean 'approval'"),
        (asked("single"), "Use one of: approval, choice, multi_choice, text, form."),
        ({}, "unknown type None"),
        (asked("choice"), "choice: give choices="),
        (asked("multi_choice", choices=[]), "multi_choice: give choices="),
        (asked("choice", choices="abc"), "choice: give choices="),
        (asked("choice", choices={"a": 1}), "choice: give choices="),
        (asked("choice", choices=[("a", "A", 1)]), "is no .value, label. pair"),
        (asked("choice", choices=["a", ""]), "an empty choice"),
        (asked("choice", choices=[None]), "an empty choice"),
        (asked("choice", choices=[3, "3"]), "several choices are posted as '3'"),
        (asked("form"), "form: give fields="),
        (asked("form", fields=[]), "form: give fields="),
        (asked("form", fields={"name": "a"}), "form: give fields="),
        (asked("form", fields=["a"]), 'each field is a mapping with "name" and "type"'),
        (asked("form", fields=[{"type": "text"}]), "each field is a mapping with"),
        (
            asked("form", fields=[{"name": 5, "type": "text"}]),
            "each field is a mapping",
        ),
        (one_field("txt"), "field 'it': unknown type 'txt'. Did you mean 'text'"),
        (asked("form", fields=[{"name": "it"}]), "field 'it': unknown type None"),
        (one_field("text", lable="x"), "unknown key 'lable'. Did you mean 'label'"),
        (one_field("select"), "field 'it': give choices="),
        (one_field("multi_select", choices=[1, "1"]), "posted as '1'"),
        (
            asked("form", fields=[{"name": "a", "type": "text"}] * 2),
            "two fields are named 'a'",
        ),
        (asked("form", form="tests.test_forms.Gone"), "cannot be imported"),
        (asked("form", form="gone.Form"), "cannot be imported"),
        (asked("form", form="not a path"), "cannot be imported"),
        (asked("form", form="tests.test_forms.Outer"), "is no Django form class"),
        (asked("form", form="tests.test_forms.asked"), "is no Django form class"),
    ],
)
def test_a_description_that_cannot_be_asked_says_what_is_wrong(description, message):
    with pytest.raises(ValueError, match=message):
        check_description(description)


def test_a_form_that_a_worker_could_not_import_has_no_path():
    class LocalForm(forms.Form): ...

    with pytest.raises(ValueError, match="LocalForm is defined inside a function"):
        form_path(LocalForm)

    shadowed = type("ShippingForm", (forms.Form,), {"__module__": __name__})
    with pytest.raises(ValueError, match="leads to another class"):
        form_path(shadowed)


@pytest.mark.parametrize("no_form", [Outer, 5, "tests.test_forms.ShippingForm"])
def test_what_is_no_form_class_has_no_path(no_form):
    with pytest.raises(ValueError, match="give a Django form class"):
        form_path(no_form)
