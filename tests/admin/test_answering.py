"""The page on which a question is answered: its form, and whom and what it refuses."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django import forms
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

import django_durable as durable
from django_durable import Parallel, Workflow, clock, hours, step, wait_for_input
from django_durable.models import InputRequest
from tests.factories import NOON, drain, finish, fresh

pytestmark = pytest.mark.django_db

LIST = reverse("admin:django_durable_inputrequest_changelist")
HOSTILE = "<script>alert('x')</script>"


class ShippingForm(forms.Form):
    """Widgets of every sort that a form of a project may bring."""

    group = forms.ModelChoiceField(Group.objects.all())
    weight = forms.DecimalField(max_digits=6, decimal_places=2, help_text="In kg.")
    leaves_on = forms.DateField()
    called_at = forms.DateTimeField(required=False)
    split = forms.SplitDateTimeField(required=False)
    at = forms.TimeField(required=False)
    is_gift = forms.BooleanField(required=False, label="It is a present")
    sizes = forms.MultipleChoiceField(
        choices=[("s", "Small"), ("l", "Large")], required=False
    )
    way = forms.ChoiceField(
        choices=[("air", "By air"), ("sea", "By sea")], widget=forms.RadioSelect
    )
    hidden = forms.CharField(widget=forms.HiddenInput, required=False, initial="shh")

    def clean(self):
        found = super().clean()
        if found.get("way") == "sea" and found.get("is_gift"):
            raise forms.ValidationError("Presents do not go by sea.")
        return found


class PageAsks(Workflow, name="page_asks"):
    @step
    def ask(self, options):
        wait = options.pop("hours", None)
        if options.pop("has_form", False):
            options["form"] = ShippingForm
        timeout = None if wait is None else hours(wait)
        return {"answer": wait_for_input("question", timeout=timeout, **options)}


def ask(prompt: str = "Go ahead?", **options) -> InputRequest:
    """Ask something, and return the question."""
    options = {"prompt": prompt, "type": "approval", **options}
    execution = finish(durable.start(PageAsks, {"options": options}))
    assert execution.status == "waiting", execution.error
    return InputRequest.objects.get(execution=execution)


def page_of(question: InputRequest, **query: str) -> str:
    return reverse(
        "admin:django_durable_inputrequest_change", args=[question.pk], query=query
    )


def send(browser: Client, question: InputRequest, **data):
    return browser.post(page_of(question), data)


def answer_of(question: InputRequest) -> object:
    return InputRequest.objects.get(pk=question.pk).answer


def permit(name: str, codename: str) -> None:
    user = User.objects.get(username=name)
    user.user_permissions.add(Permission.objects.get(codename=codename))


# --- Answering ---------------------------------------------------------------------------


def test_an_approval_is_two_buttons_and_a_comment(login):
    sam = login(groups=("finance",))
    question = ask(group="finance")

    page = sam.get(page_of(question)).text
    assert '<h1 class="durable-prompt">Go ahead?</h1>' in page
    assert re.findall(r'<button type="submit" name="value" value="(\w+)"', page) == [
        "approved",
        "rejected",
    ]
    assert 'name="durable_comment"' in page
    assert 'type="radio"' not in page

    with clock.freeze(NOON):
        done = sam.post(
            page_of(question),
            {"value": "approved", "durable_comment": "It is fine."},
            follow=True,
        )
        drain()

    assert done.redirect_chain == [(LIST, 302)]
    assert "Answered: Go ahead?" in done.text
    question.refresh_from_db()
    assert (question.answer, question.comment) == ("approved", "It is fine.")
    assert (question.answered_by.username, question.closed_at) == ("sam", NOON)
    assert fresh(question.execution).result["answer"] == "approved"


@pytest.mark.parametrize(
    ("options", "sent", "answer"),
    [
        (
            {"type": "choice", "choices": [("a", "Apples"), (2, "Pears")]},
            {"value": "2"},
            2,
        ),
        (
            {"type": "multi_choice", "choices": ["a", "b", "c"]},
            {"value": ["a", "c"]},
            ["a", "c"],
        ),
        ({"type": "text"}, {"value": " Well\nmade. "}, "Well\nmade."),
        (
            {
                "type": "form",
                "fields": [
                    {"name": "amount", "type": "decimal"},
                    {"name": "day", "type": "date"},
                    {"name": "sure", "type": "boolean", "required": False},
                    {"name": "kind", "type": "select", "choices": ["x", "y"]},
                    {"name": "tags", "type": "multi_select", "choices": ["s", "t"]},
                ],
            },
            {"amount": "1.50", "day": "2030-03-01", "kind": "y", "tags": ["s", "t"]},
            {
                "amount": Decimal("1.50"),
                "day": date(2030, 3, 1),
                "sure": False,
                "kind": "y",
                "tags": ["s", "t"],
            },
        ),
    ],
    ids=["choice", "multi_choice", "text", "fields"],
)
def test_every_type_is_asked_for_and_answered(login, options, sent, answer):
    sam = login("provide_input")
    question = ask("What then?", **options)
    page = sam.get(page_of(question)).text
    for name in sent:
        assert f'name="{name}"' in page

    assert send(sam, question, **sent).status_code == 302

    assert answer_of(question) == answer


def test_choices_are_seen_at_once_and_none_is_chosen(login):
    sam = login("provide_input")
    one = ask(type="choice", choices=["a", "b"])
    several = ask(type="multi_choice", choices=["a", "b"])

    page = sam.get(page_of(one)).text
    assert page.count('type="radio"') == 2
    assert "checked" not in page
    assert "<legend>Your answer" in page
    assert sam.get(page_of(several)).text.count('type="checkbox"') == 2


def test_many_choices_are_in_a_box_that_opens(login):
    question = ask(type="choice", choices=[str(number) for number in range(40)])

    page = login("provide_input").get(page_of(question)).text

    assert "<select" in page
    assert 'type="radio"' not in page


def test_a_form_class_looks_like_a_form_of_the_admin(login):
    Group.objects.create(name=HOSTILE)
    question = ask(type="form", has_form=True)

    page = login("provide_input").get(page_of(question)).text

    assert HOSTILE not in page
    assert re.search(r'<input type="date" name="leaves_on"', page)
    assert re.search(r'<input type="datetime-local" name="called_at"', page)
    assert re.search(r'<input type="time" name="at"', page)
    assert re.search(
        r'<label for="id_weight">\s*Weight<span class="durable-required"', page
    )
    assert re.search(r'<label for="id_called_at">\s*Called at\s*</label>', page)
    assert '<div class="help" id="id_weight_helptext">In kg.</div>' in page
    assert 'aria-describedby="id_weight_helptext"' in page
    assert re.search(
        r'<label for="id_is_gift">\s*<input type="checkbox"[^>]*> It is a', page
    )
    assert '<input type="hidden" name="hidden" value="shh"' in page
    assert page.count("<legend>") == 3


def test_a_filled_form_class_is_cleaned(login):
    group = Group.objects.create(name="pack")
    sam = login("provide_input")
    question = ask(type="form", has_form=True)

    done = send(
        sam,
        question,
        group=str(group.pk),
        weight="1.50",
        leaves_on="2030-03-01",
        called_at="2030-03-01T12:30",
        split_0="2030-03-02",
        split_1="08:00",
        at="09:15",
        is_gift="on",
        sizes=["s", "l"],
        way="air",
        hidden="shh",
    )

    assert done.status_code == 302, re.findall("errorlist.*", done.text)
    found = answer_of(question)
    assert found["group"] == group
    assert found["weight"] == Decimal("1.50")
    assert found["leaves_on"] == date(2030, 3, 1)
    assert found["called_at"] == datetime(2030, 3, 1, 12, 30, tzinfo=UTC)
    assert found["split"] == datetime(2030, 3, 2, 8, 0, tzinfo=UTC)
    assert (found["is_gift"], found["sizes"]) == (True, ["s", "l"])


def test_errors_stand_at_their_fields_and_what_was_entered_stays(login):
    sam = login("provide_input")
    question = ask(type="form", has_form=True)

    page = send(sam, question, weight="heavy", leaves_on="2030-02-30", way="air").text

    assert "Please correct what is marked below." in page
    weight = page.partition("field-weight errors")[2].partition("durable-field")[0]
    assert "Enter a number." in weight
    assert 'value="heavy"' in weight
    assert 'aria-invalid="true"' in weight
    leaves_on = page.partition("field-leaves_on errors")[2]
    assert "Enter a valid date." in leaves_on.partition("durable-field")[0]
    # The page opens at the first one.
    assert page.count("autofocus") == 1
    assert re.search(r'<select name="group"[^>]* autofocus', page)
    assert question.status == fresh_status(question) == "open"
    assert not LogEntry.objects.exists()


def fresh_status(question: InputRequest) -> str:
    return InputRequest.objects.get(pk=question.pk).status


def test_an_error_of_the_whole_form_is_shown_and_focused(login):
    group = Group.objects.create(name="pack")
    sam = login("provide_input")
    question = ask(type="form", has_form=True)

    page = send(
        sam,
        question,
        group=str(group.pk),
        weight="1",
        leaves_on="2030-03-01",
        is_gift="on",
        way="sea",
    ).text

    assert page.count("Presents do not go by sea.") == 1
    assert re.search(r'class="errornote" role="alert"\s+tabindex="-1" autofocus', page)


@pytest.mark.parametrize(
    ("options", "sent", "error"),
    [
        ({}, {}, "This field is required."),
        ({}, {"value": "perhaps"}, "Select a valid choice."),
        ({"type": "text"}, {"value": "  "}, "This field is required."),
        (
            {"type": "choice", "choices": ["a"]},
            {"value": "b"},
            "Select a valid choice.",
        ),
        ({"type": "multi_choice", "choices": ["a"]}, {}, "This field is required."),
        ({"type": "text"}, {"value": "a\0b"}, "Null characters are not allowed."),
    ],
)
def test_a_bad_answer_is_refused_where_it_was_given(login, options, sent, error):
    sam = login("provide_input")
    question = ask(**options)

    page = send(sam, question, **sent)

    assert page.status_code == 200
    assert error in page.text
    assert fresh_status(question) == "open"


def test_a_comment_is_judged_too(login):
    sam = login("provide_input")
    question = ask()

    page = send(sam, question, value="approved", durable_comment="a\0b")

    assert "Null characters are not allowed." in page.text
    assert fresh_status(question) == "open"


def test_a_text_needs_no_comment(login):
    question = ask(type="text")

    page = login("provide_input").get(page_of(question)).text

    assert "durable_comment" not in page


def test_who_answered_is_in_the_history_of_the_execution(login):
    sam = login("provide_input")
    question = ask()

    send(sam, question, value="rejected", durable_comment="No.")

    entry = LogEntry.objects.get()
    assert entry.user.username == "sam"
    assert entry.object_id == str(question.execution_id)
    assert entry.get_change_message() == "Answered question"


def test_a_form_that_this_code_does_not_have_cannot_be_filled_in(login):
    sam = login("provide_input")
    question = ask(type="form", has_form=True)
    InputRequest.objects.update(form="tests.admin.test_answering.GoneForm")

    page = sam.get(page_of(question))
    assert "cannot be imported" in page.text
    assert "<form method" not in page.text.partition("content-main")[2]
    assert send(sam, question, weight="1").status_code == 200
    assert fresh_status(question) == "open"


# --- What is closed ----------------------------------------------------------------------


def test_of_two_answers_the_second_is_refused_and_told_of_the_first(login):
    sam, zoe = login("provide_input"), login("provide_input", name="zoe")
    question = ask()
    with clock.freeze(NOON):
        send(sam, question, value="approved")

        late = zoe.post(page_of(question), {"value": "rejected"}, follow=True)

    assert late.redirect_chain == [(page_of(question), 302)]
    assert "It was closed before your answer came." in late.text
    assert "Answered by <strong>sam</strong>" in late.text
    assert "2030-03-01 12:00:00 UTC" in late.text
    assert '<button type="submit" name="value"' not in late.text
    assert answer_of(question) == "approved"
    assert LogEntry.objects.count() == 1


def test_to_press_the_button_twice_is_harmless(login):
    sam = login("provide_input")
    question = ask()
    send(sam, question, value="approved", durable_comment="first")

    again = sam.post(page_of(question), {"value": "rejected"}, follow=True)

    assert "You have answered this already; that answer stays." in again.text
    question.refresh_from_db()
    assert (question.answer, question.comment) == ("approved", "first")
    assert LogEntry.objects.count() == 1


def test_what_has_timed_out_or_was_cancelled_says_so(login):
    sam = login("provide_input")
    with clock.freeze(NOON) as frozen:
        late = ask(hours=1, timeout_value="rejected")
        frozen.advance(hours(2))
        drain()
    dropped = ask()
    durable.cancel(dropped.execution)

    for question, words in (
        (late, "Nobody answered in time"),
        (dropped, "It was cancelled with what had asked for it"),
    ):
        page = sam.get(page_of(question)).text
        assert words in page
        assert "Approve" not in page
        refused = sam.post(page_of(question), {"value": "approved"}, follow=True)
        assert "It was closed before your answer came." in refused.text
        assert words in refused.text
    assert answer_of(late) is None


def test_the_page_says_at_once_that_somebody_else_was_faster(login):
    sam, zoe = login("provide_input"), login("provide_input", name="zoe")
    question = ask()
    region = sam.get(page_of(question), {"_live": "1"})
    assert region.text.startswith('<div id="durable-question" data-status="open"')
    assert "<form" not in region.text
    tag = {"If-None-Match": region["ETag"]}
    assert sam.get(page_of(question), {"_live": "1"}, headers=tag).status_code == 304

    send(zoe, question, value="approved")

    closed = sam.get(page_of(question), {"_live": "1"}, headers=tag).text
    assert "Answered by <strong>zoe</strong>" in closed
    assert 'data-live="ended"' in closed
    assert 'data-announce="This question is closed."' in closed


class TwoAtOnce(Workflow, name="page_asks_two_at_once"):
    class Both(Parallel):
        @step
        def first(self):
            return {"answer": wait_for_input("same", prompt="The first?")}

        @step
        def second(self):
            return {"answer": wait_for_input("same", prompt="The second?")}


def test_of_two_questions_of_one_name_the_one_on_the_page_is_answered(login):
    sam = login("provide_input")
    execution = durable.start(TwoAtOnce)
    drain()
    second = InputRequest.objects.get(prompt="The second?")

    send(sam, second, value="to the second")

    assert answer_of(second) == "to the second"
    assert InputRequest.objects.get(prompt="The first?").answer is None
    assert fresh(execution).status == "waiting"


# --- Whom it is for ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "who",
    [{"user": "sam"}, {"group": "finance"}, {"permission": "auth.view_group"}],
    ids=str,
)
def test_who_is_named_answers_without_any_permission_of_ours(login, who):
    sam = login(groups=("finance",))
    permit("sam", "view_group")
    question = ask(**who, metadata={"total": 12})

    page = sam.get(page_of(question))
    assert "<dt>Total</dt><dd>12</dd>" in page.text
    assert str(question.execution_id) not in page.text
    assert send(sam, question, value="approved").status_code == 302
    assert answer_of(question) == "approved"


@pytest.mark.parametrize(
    "permission",
    [
        None,
        "provide_input",
        "operate_execution",
        "start_execution",
        "delete_execution",
        "view_payload",
        "view_schedule",
        "view_worker",
    ],
)
def test_what_is_for_others_is_refused_and_not_shown(login, permission):
    sam = login(*([permission] if permission else []))
    question = ask(group="pirates", metadata={"treasure": "gold"})

    for found in (sam.get(page_of(question)), send(sam, question, value="approved")):
        assert found.status_code == 403
        said = "sam may not answer &#x27;question&#x27;; it is for group pirates."
        assert said in found.text
        assert "Go ahead?" not in found.text
        assert "gold" not in found.text
    region = sam.get(page_of(question), {"_live": "1"})
    assert region.status_code == 403
    assert "Go ahead?" not in region.text
    assert fresh_status(question) == "open"


@pytest.mark.parametrize("permission", ["view_execution", "view_inputrequest"])
def test_who_may_only_look_sees_the_question_and_no_form(login, permission):
    sam = login(permission)
    question = ask(group="pirates", metadata={"treasure": "gold"})

    page = sam.get(page_of(question)).text
    assert "Go ahead?" in page
    assert "You may look at it, and not answer." in page
    assert "gold" not in page
    assert 'name="value"' not in page
    assert send(sam, question, value="approved").status_code == 403
    assert fresh_status(question) == "open"


def test_metadata_and_answers_of_others_take_the_permission_to_see_payloads(login):
    question = ask(type="text", group="pirates", metadata={"treasure": "gold"})
    durable.provide_input(question.execution_id, "question", "arr", comment="ahoy")
    sam = login("view_execution")

    page = sam.get(page_of(question)).text
    assert "Answered by code, or through a link" in page
    assert not re.search("gold|>arr<|ahoy", page)
    permit("sam", "view_payload")
    page = sam.get(page_of(question)).text
    assert "<dd>gold</dd>" in page
    assert "<dd>arr</dd>" in page
    assert "ahoy" in page


def test_whoever_has_answered_sees_their_own_answer(login):
    sam = login("provide_input")
    other = login("provide_input", name="zoe")
    question = ask(type="text")
    send(sam, question, value="mine alone")

    assert "<dd>mine alone</dd>" in sam.get(page_of(question)).text
    page = other.get(page_of(question)).text
    assert "mine alone" not in page
    assert "Answered by <strong>sam</strong>" in page


@pytest.mark.parametrize(
    ("options", "sent", "shown"),
    [
        ({}, {"value": "rejected"}, "<dd>Rejected</dd>"),
        (
            {"type": "choice", "choices": [("a", "Apples"), (Decimal("2.5"), "Pears")]},
            {"value": "2.5"},
            "<dd>Pears</dd>",
        ),
        (
            {"type": "multi_choice", "choices": [("a", "Apples"), ("b", "Pears"), "c"]},
            {"value": ["a", "c"]},
            "<dd>Apples, c</dd>",
        ),
    ],
    ids=["approval", "choice", "multi_choice"],
)
def test_an_answer_is_shown_as_it_was_chosen(login, options, sent, shown):
    sam = login("provide_input")
    question = ask(**options)

    send(sam, question, **sent)

    assert shown in sam.get(page_of(question)).text


def test_an_answer_is_shown_though_its_choices_can_be_read_no_more(login):
    sam = login("provide_input")
    question = ask(type="choice", choices=["a", "b"])
    send(sam, question, value="b")
    InputRequest.objects.update(choices=[{"$type": "enum", "class": "gone"}])

    assert "<dd>b</dd>" in sam.get(page_of(question)).text


def test_the_form_needs_the_token_against_forgery(login):
    login("provide_input")
    question = ask()
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(User.objects.get(username="sam"))

    assert send(browser, question, value="approved").status_code == 403
    assert fresh_status(question) == "open"


# --- What is on the page -----------------------------------------------------------------


def test_all_that_users_have_written_is_escaped(login):
    sam = login("provide_input", "view_execution", "view_payload")
    Group.objects.create(name=HOSTILE)
    question = ask(
        HOSTILE,
        type="form",
        fields=[
            {"name": "a", "type": "text", "label": HOSTILE, "help": HOSTILE},
            {"name": "b", "type": "select", "choices": [(HOSTILE, HOSTILE)]},
        ],
        user="sam",
        group=HOSTILE,
        metadata={HOSTILE: HOSTILE, "deep": [{HOSTILE: [HOSTILE]}]},
    )

    page = sam.get(page_of(question)).text
    assert HOSTILE not in page
    page = send(sam, question, a=HOSTILE, b="other", durable_comment=HOSTILE).text
    assert HOSTILE not in page
    send(sam, question, a=HOSTILE, b=HOSTILE, durable_comment=HOSTILE)
    assert fresh_status(question) == "satisfied"
    page = sam.get(page_of(question), follow=True).text
    assert HOSTILE not in page
    assert page.count("&lt;script&gt;") > 8


def test_a_prompt_keeps_its_lines_and_may_be_missing(login):
    sam = login("provide_input")
    long, none = ask("First.\n\nSecond."), ask("")

    assert "First.\n\nSecond.</h1>" in sam.get(page_of(long)).text
    assert "<h1>question</h1>" in sam.get(page_of(none)).text


def test_metadata_that_is_too_large_is_not_read(login):
    sam = login("provide_input")
    question = ask(metadata={"text": "x" * 100_000})

    page = sam.get(page_of(question)).text

    assert "too large to be shown here" in page
    assert "xxx" not in page


def test_the_page_costs_the_same_whatever_is_asked(login):
    sam = login("provide_input", "view_execution")
    small = ask(metadata={"a": 1})
    large = ask(
        type="form",
        fields=[{"name": f"f{number}", "type": "text"} for number in range(50)],
        metadata={f"key {number}": [number] for number in range(200)},
    )

    def statements(question):
        sam.get(page_of(question))
        with CaptureQueriesContext(connection) as captured:
            assert sam.get(page_of(question)).status_code == 200
        return len(captured)

    assert statements(small) == statements(large) <= 9


# --- The page of the execution ------------------------------------------------------------


def test_the_execution_leads_to_what_it_asks_and_back(login):
    sam = login("provide_input", "view_execution")
    question = ask()
    execution = reverse(
        "admin:django_durable_execution_change", args=[question.execution_id]
    )
    address = page_of(question, back="execution")

    page = sam.get(execution).text
    assert re.search(
        rf'href="{re.escape(address)}"\s+data-action="answer">Answer question</a>', page
    )
    done = sam.post(address, {"value": "approved"})
    assert done.url == execution
    assert 'data-action="answer"' not in sam.get(execution).text


def test_the_execution_offers_an_answer_only_to_those_who_may_give_it(login):
    sam = login("view_execution")
    question = ask(group="pirates")
    execution = reverse(
        "admin:django_durable_execution_change", args=[question.execution_id]
    )

    assert 'data-action="answer"' not in sam.get(execution).text
    tab = sam.get(execution, {"tab": "events"}).text
    assert page_of(question, back="execution") in tab


def test_the_execution_shows_who_answered_what_and_why(login):
    question = ask(type="text")
    user = User.objects.create_user("zoe", is_superuser=True)
    durable.provide_input(
        question.execution_id, "question", "forty-two", user=user, comment="I asked."
    )
    execution = reverse(
        "admin:django_durable_execution_change", args=[question.execution_id]
    )
    sam = login("view_execution")

    page = sam.get(execution, {"tab": "events"}).text
    assert "zoe" in page
    assert not re.search("forty-two|I asked", page)
    permit("sam", "view_payload")
    page = sam.get(execution, {"tab": "events"}).text
    assert "forty-two" in page
    assert "I asked." in page
