"""Starting an execution from the catalogue."""

from __future__ import annotations

import html
import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django import forms
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

import django_durable as durable
from django_durable import (
    Branch,
    Case,
    Each,
    Lane,
    Loop,
    Parallel,
    Sleep,
    WaitForApproval,
    WaitForText,
    Workflow,
    days,
    step,
)
from django_durable.admin.catalogue.example import example_of
from django_durable.models import Execution

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_registry")]

HOSTILE = "<script>alert('x')</script>"


class OrderForm(forms.Form):
    customer = forms.ModelChoiceField(Group.objects.all())
    price = forms.DecimalField(max_digits=8, decimal_places=2, help_text="In euros.")
    begins = forms.DateField()
    # As one of the options is called too.
    queue = forms.CharField(required=False)
    tags = forms.MultipleChoiceField(choices=[("a", "A"), ("b", "B")], required=False)

    def clean(self):
        found = super().clean()
        if found.get("price") == 13:
            raise forms.ValidationError("Not that one.")
        return found


class StartWithForm(Workflow, input_form=OrderForm):
    """Takes a form."""

    @step
    def work(self, customer): ...


class StartWithJson(Workflow, queue="slow", priority=2):
    @step
    def work(self, order_id: int, items, is_new: bool = True): ...


class EmptyForm(forms.Form):
    pass


class StartWithoutInput(Workflow, input_form=EmptyForm):
    @step
    def work(self): ...


def address_of(name: str) -> str:
    return reverse("admin:django_durable_workflow_start", args=[name])


@pytest.fixture
def sam(login) -> Client:
    return login("view_execution", "start_execution")


def page_of(execution: Execution) -> str:
    return reverse("admin:django_durable_execution_change", args=[execution.pk])


# --- With a form -------------------------------------------------------------------------


def test_the_form_of_the_workflow_is_shown_as_one_of_the_admin(sam):
    Group.objects.create(name=HOSTILE)

    page = sam.get(address_of("start_with_form")).text

    assert "Takes a form." in page
    assert HOSTILE not in page
    assert '<select name="customer"' in page
    assert '<input type="date" name="begins"' in page
    assert '<div class="help" id="id_price_helptext">In euros.</div>' in page
    assert 'name="queue"' in page
    assert 'name="durable-queue"' in page


def test_a_filled_form_starts_an_execution_and_leads_to_it(sam):
    group = Group.objects.create(name="zoe")

    done = sam.post(
        address_of("start_with_form"),
        {
            "customer": str(group.pk),
            "price": "9.90",
            "begins": "2030-03-01",
            "queue": "of the form",
            "tags": ["a", "b"],
        },
    )

    assert done.status_code == 302, re.findall("errorlist.*", done.text)
    execution = Execution.objects.get()
    assert done.url == page_of(execution)
    assert execution.input == {
        "customer": group,
        "price": Decimal("9.90"),
        "begins": date(2030, 3, 1),
        "queue": "of the form",
        "tags": ["a", "b"],
    }
    assert (execution.queue, execution.tags) == ("default", [])
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.action_flag) == (str(execution.pk), ADDITION)
    assert entry.get_change_message() == "Started"
    assert "Started: start_with_form." in sam.get(done.url).text


def test_errors_stand_at_their_fields_and_nothing_is_started(sam):
    page = sam.post(
        address_of("start_with_form"),
        {"price": "dear", "begins": "2030-02-30", "durable-tags": "kept"},
    ).text

    assert "Please correct what is marked below." in page
    price = page.partition("field-price errors")[2].partition("durable-field")[0]
    assert "Enter a number." in price
    assert 'value="dear"' in price
    assert 'value="kept"' in page
    assert re.search(r'<select name="customer"[^>]* autofocus', page)
    assert not Execution.objects.exists()
    assert not LogEntry.objects.exists()


def test_an_error_of_the_whole_form_is_shown_once(sam):
    group = Group.objects.create(name="zoe")

    page = sam.post(
        address_of("start_with_form"),
        {"customer": str(group.pk), "price": "13", "begins": "2030-03-01"},
    ).text

    assert page.count("Not that one.") == 1
    assert not Execution.objects.exists()


def test_a_workflow_that_takes_nothing_says_so(sam):
    assert "It takes no input." in sam.get(address_of("start_without_input")).text

    sam.post(address_of("start_without_input"))

    assert Execution.objects.get().input == {}


# --- With JSON ---------------------------------------------------------------------------


def test_without_a_form_the_field_holds_what_the_first_step_asks_for(sam):
    page = sam.get(address_of("start_with_json")).text

    text = re.search(r'<textarea name="input"[^>]*>(.*?)</textarea>', page, re.DOTALL)[
        1
    ]
    assert json.loads(html.unescape(text)) == {
        "order_id": 0,
        "items": None,
        "is_new": True,
    }


def test_json_starts_an_execution(sam):
    given = {"order_id": 7, "price": {"$type": "decimal", "value": "1.50"}}

    sam.post(address_of("start_with_json"), {"input": json.dumps(given)})

    execution = Execution.objects.get()
    assert execution.input == {"order_id": 7, "price": Decimal("1.50")}
    assert (execution.queue, execution.priority) == ("slow", 2)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ("", "Give a JSON object."),
        ("[1]", "Give a JSON object."),
        ("3", "Give a JSON object."),
        ("{", "Enter a valid JSON."),
        ("[" * 100_000, "This is no JSON that can be read."),
        ('{"a": {"$type": "unheard"}}', "unheard"),
        ('{"a": NaN}', "NaN"),
        ('{"a": "\\u0000"}', "it contains \\u0000"),
    ],
    ids=["empty", "list", "number", "broken", "deep", "unheard", "NaN", "NUL"],
)
def test_bad_json_is_refused_at_its_field(sam, given, error):
    page = sam.post(address_of("start_with_json"), {"input": given})

    assert page.status_code == 200
    field = page.text.partition("field-input errors")[2].partition("durable-options")[0]
    assert error in html.unescape(field)
    assert not Execution.objects.exists()


# --- Options -----------------------------------------------------------------------------


def test_options_are_taken(sam):
    sam.post(
        address_of("start_with_json"),
        {
            "input": "{}",
            "durable-queue": "payments",
            "durable-priority": "-5",
            "durable-scheduled_at": "2030-03-01T12:30",
            "durable-tags": " vip, shop,vip ,",
            "durable-idempotency_key": "order 7",
        },
    )

    execution = Execution.objects.get()
    assert execution.queue == "payments"
    assert execution.priority == -5
    assert execution.scheduled_at == datetime(2030, 3, 1, 12, 30, tzinfo=UTC)
    assert execution.tags == ["vip", "shop"]
    assert execution.idempotency_key == "order 7"


def test_a_priority_of_zero_is_a_priority(sam):
    sam.post(address_of("start_with_json"), {"input": "{}", "durable-priority": "0"})

    assert Execution.objects.get().priority == 0


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("queue", "x" * 101, "at most 100 characters"),
        ("queue", "a\0b", "Null characters"),
        ("priority", "high", "Enter a whole number."),
        ("priority", str(2**40), "less than or equal to"),
        ("scheduled_at", "soon", "Enter a valid date/time."),
        ("tags", "x" * 600, "give 1 to 500 characters"),
        ("idempotency_key", "x" * 300, "at most 255 characters"),
    ],
)
def test_a_bad_option_is_refused_at_its_field(sam, option, value, error):
    page = sam.post(
        address_of("start_with_json"), {"input": "{}", f"durable-{option}": value}
    ).text

    assert '<details class="durable-options" open>' in page
    field = page.partition(f"field-{option} errors")[2].partition("durable-field")[0]
    assert error in field
    assert not Execution.objects.exists()


def test_a_key_that_is_known_leads_to_what_it_has_started(sam):
    first = durable.start(StartWithJson, {}, idempotency_key="order 7")

    done = sam.post(
        address_of("start_with_json"),
        {"input": '{"order_id": 8}', "durable-idempotency_key": "order 7"},
        follow=True,
    )

    assert done.redirect_chain == [(page_of(first), 302)]
    assert "This key is known" in done.text
    assert Execution.objects.count() == 1
    assert not LogEntry.objects.exists()


def test_the_queues_of_the_settings_are_suggested(sam, settings):
    settings.DURABLE = {"default": {"QUEUES": {"payments": {"concurrency": 1}}}}

    page = sam.get(address_of("start_with_json")).text

    assert re.findall(r'<option value="(\w+)"></option>', page) == ["payments", "slow"]
    assert 'list="durable-queues"' in page


# --- Who may -----------------------------------------------------------------------------


def test_only_those_who_may_see_and_start_do(client, login):
    address = address_of("start_with_json")
    sent = {"input": "{}"}
    assert reverse("admin:login") in client.post(address, sent).url
    for permissions in (
        [],
        ["start_execution"],
        ["view_execution"],
        ["view_execution", "operate_execution", "view_payload", "provide_input"],
    ):
        browser = login(*permissions, name=" ".join(permissions) or "nobody")
        assert browser.get(address).status_code == 403
        assert browser.post(address, sent).status_code == 403
    assert not Execution.objects.exists()


def test_the_form_needs_the_token_against_forgery(sam):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(User.objects.get(username="sam"))

    sent = browser.post(address_of("start_with_json"), {"input": "{}"})

    assert sent.status_code == 403
    assert not Execution.objects.exists()


# --- The example -------------------------------------------------------------------------


class ExampleOfParallel(Workflow):
    class Both(Parallel):
        @step
        def one(self, a: str, ctx): ...

        class Lanes(Lane):
            @step
            def two(self, b: list[int], data): ...

            @step
            def three(self, late): ...


class ExampleOfBranch(Workflow):
    class Way(Branch):
        def on(self, kind: str | None): ...

        class One(Case, when="one"):
            @step
            def one(self, late): ...


class ExampleOfEach(Workflow):
    class Parts(Each):
        def items(self, parts: dict): ...

        @step
        def send(self, item, late): ...


class ExampleOfLoop(Workflow):
    class Rounds(Loop):
        def condition(self, tries: float = 1.5): ...

        @step
        def turn(self, late): ...


class ExampleAfterWaits(Workflow):
    pause = Sleep(days(1))
    go_ahead = WaitForApproval()

    @step
    def work(self, go_ahead, total: Decimal, when: date): ...


class ExampleOfWaits(Workflow):
    name_of_it = WaitForText()


@pytest.mark.parametrize(
    ("workflow", "example"),
    [
        (ExampleOfParallel, {"a": "", "b": []}),
        (ExampleOfBranch, {"kind": ""}),
        (ExampleOfEach, {"parts": {}}),
        (ExampleOfLoop, {"tries": 1.5}),
        (
            ExampleAfterWaits,
            {
                "total": {"$type": "decimal", "value": "0.00"},
                "when": {"$type": "date", "value": "2030-03-01"},
            },
        ),
        (ExampleOfWaits, {}),
    ],
)
def test_the_example_has_what_is_asked_for_first(workflow, example):
    from django_durable import clock
    from tests.factories import NOON

    with clock.freeze(NOON):
        assert example_of(workflow.definition) == example
