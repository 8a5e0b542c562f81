"""A signed link answers one question, once, and shows it to whoever has the link."""

from __future__ import annotations

import logging
import re
import threading
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

import pytest
from django import forms
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.core.signing import Signer
from django.db import connection, connections, transaction
from django.test import Client

import django_durable as durable
from django_durable import (
    WaitForApproval,
    Workflow,
    clock,
    days,
    hours,
    step,
    wait_for_input,
)
from django_durable.doors import answer_link
from django_durable.models import Execution, InputRequest
from django_durable.store import retention
from tests.factories import NOON, drain, finish, fresh, wait_until_somebody_waits

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"


@pytest.fixture(autouse=True)
def time(settings):
    settings.DURABLE = {"default": {"ANSWER_LINKS": {"max_age": days(3)}}}
    with clock.freeze(NOON) as frozen:
        yield frozen


class ShippingForm(forms.Form):
    street = forms.CharField(max_length=20, help_text="And number.")
    weight = forms.DecimalField(required=False)
    comment = forms.CharField(required=False)


class Decides(Workflow, name="doors_decides"):
    decision = WaitForApproval(
        prompt="Refund {total}?",
        metadata=lambda total: {"total": total, "items": ["a", "b"]},
        group="finance",
        timeout=hours(9),
    )


class Asks(Workflow, name="doors_asks"):
    @step
    def ask(self, options):
        if options.get("form"):
            options["form"] = ShippingForm
        return {"got": wait_for_input("answer", **options)}


class AsksTwice(Workflow, name="doors_asks_twice"):
    @step
    def ask(self):
        return {"answers": [wait_for_input("answer") for _ in range(2)]}


def asked(workflow=Decides, /, **given) -> InputRequest:
    """Start an execution and return what it asks."""
    given = given or {"total": 12}
    execution = finish(durable.start(workflow, given))
    assert execution.error is None
    return InputRequest.objects.get(execution=execution, status="open")


def result(request: InputRequest):
    return finish(request.execution).result


class Page(HTMLParser):
    """What a browser finds on a page: tags with attributes, and texts."""

    def __init__(self, response):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(response.content.decode())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def named(self, name: str) -> list[dict[str, str | None]]:
        return [attrs for _, attrs in self.tags if attrs.get("name") == name]


# --- Looking --------------------------------------------------------------------------


def test_the_page_shows_the_question_and_what_a_person_should_see(client):
    response = client.get(answer_link(asked()))

    page = Page(response)
    assert response.status_code == 200
    assert "Refund 12?" in page.text
    assert "total" in page.text
    assert '"a"' in page.text
    assert "March 1, 2030, 9 p.m." in page.text
    assert [one["value"] for one in page.named("value")] == ["approved", "rejected"]
    assert page.named("csrfmiddlewaretoken")


def test_to_look_never_answers(client):
    request = asked()
    link = answer_link(request)

    for _ in range(3):
        client.get(link)
        client.head(link)
        client.get(f"{link}&value=approved&done=1")

    assert InputRequest.objects.get().status == "open"
    assert client.put(link).status_code == 405
    assert client.options(link).status_code == 405


def test_the_page_is_kept_from_caches_frames_and_other_sites(client):
    for link in (answer_link(asked()), "/durable/answer/?token=x"):
        response = client.get(link)

        assert "no-store" in response["Cache-Control"]
        assert response["X-Frame-Options"] == "DENY"
        # With "no-referrer" a browser sends `Origin: null`, which CSRF protection refuses.
        assert response["Referrer-Policy"] == "same-origin"
        assert "noindex" in response["X-Robots-Tag"]


def test_the_pages_need_no_inline_style_or_script_and_load_nothing_from_elsewhere(
    client,
):
    request = asked(Asks, options={"type": "form", "form": True})
    link = answer_link(request)
    pages = [client.get(link), client.post(link, {}), client.get(f"{link}x")]
    client.post(link, {"street": "Main"})
    pages.append(client.get(f"{link}&done=1"))

    for response in pages:
        for tag, attributes in Page(response).tags:
            assert tag not in ("script", "style")
            assert not any(name.startswith("on") for name in attributes)
            assert "style" not in attributes
            for name in ("href", "src", "action"):
                assert not (attributes.get(name) or "/").startswith(("http", "//"))


def test_whatever_a_workflow_says_is_shown_and_never_run(client):
    request = asked(
        Asks,
        options={
            "type": "choice",
            "prompt": HOSTILE,
            "choices": [["x", HOSTILE]],
            "metadata": {HOSTILE: HOSTILE, "deep": {"er": [HOSTILE]}},
        },
    )
    link = answer_link(request)
    fields = [{"name": "a", "type": "text", "label": HOSTILE, "help": HOSTILE}]
    form = asked(Asks, options={"type": "form", "fields": fields})

    for response in (
        client.get(link),
        client.post(link, {"value": HOSTILE, "durable_comment": HOSTILE}),
        client.get(answer_link(form)),
        client.post(answer_link(form), {"a": "", "durable_comment": HOSTILE}),
        client.get("/durable/answer/", {"token": HOSTILE}),
    ):
        page = Page(response)
        assert not {"script", "img"} & {tag for tag, _ in page.tags}
        assert response.content.count(b"<script") == 0
    assert InputRequest.objects.filter(status="open").count() == 2


def test_what_a_person_should_see_may_be_any_value(client):
    for metadata in ("a text", ["a", "list"], 7, {"n": None}):
        request = asked(Asks, options={"metadata": metadata})

        assert client.get(answer_link(request)).status_code == 200


# --- Answering ------------------------------------------------------------------------

ANSWERS = {
    "approval": ({"type": "approval"}, {"value": "rejected"}, "rejected"),
    "choice": ({"type": "choice", "choices": [1, 2]}, {"value": "2"}, 2),
    "choices": (
        {"type": "multi_choice", "choices": ["a", "b", "c"]},
        {"value": ["a", "c"]},
        ["a", "c"],
    ),
    "text": ({"type": "text"}, {"value": "fine"}, "fine"),
    "fields": (
        {"type": "form", "fields": [{"name": "value", "type": "integer"}]},
        {"value": "3"},
        {"value": 3},
    ),
    "form": (
        {"type": "form", "form": True},
        {"street": "Main 1", "comment": "its own", "durable_comment": "ours"},
        {"street": "Main 1", "weight": None, "comment": "its own"},
    ),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_each_kind_of_question_is_answered_on_its_page(client, kind):
    options, posted, expected = ANSWERS[kind]
    request = asked(Asks, options=options)
    link = answer_link(request)
    names = {attrs.get("name") for _, attrs in Page(client.get(link)).tags}

    response = client.post(link, posted, follow=True)

    assert set(posted) <= names
    assert response.status_code == 200
    assert "Thank you" in Page(response).text
    assert result(request)["got"] == expected


def test_who_the_link_was_made_for_is_recorded_with_the_comment(client):
    ann = User.objects.create_user("ann")
    request = asked()

    client.post(
        answer_link(request, user=ann),
        {"value": "approved", "durable_comment": "Of course."},
    )

    request.refresh_from_db()
    assert request.answered_by == ann
    assert request.comment == "Of course."
    assert request.closed_at == NOON
    assert result(request) == {"total": 12, "decision": "approved"}


def test_the_link_is_the_permission(client):
    """Neither its user nor whoever is logged in may answer otherwise."""
    ann, eve = User.objects.create_user("ann"), User.objects.create_user("eve")
    client.force_login(eve)
    request, other = asked(), asked()

    client.post(answer_link(request, user=ann), {"value": "approved"})
    client.post(answer_link(other), {"value": "approved"})

    request.refresh_from_db()
    other.refresh_from_db()
    assert request.answered_by == ann
    assert (other.status, other.answered_by) == ("satisfied", None)


def test_an_answer_that_is_not_valid_is_shown_again_with_its_faults(client):
    request = asked(Asks, options={"type": "form", "form": True})

    response = client.post(
        answer_link(request),
        {"street": "x" * 30, "weight": "heavy", "durable_comment": "Hm."},
    )

    page = Page(response)
    assert "at most 20 characters" in page.text
    assert "Enter a number" in page.text
    assert page.named("street")[0]["value"] == "x" * 30
    assert page.named("street")[0]["aria-invalid"] == "true"
    assert "Hm." in page.text
    assert "Error:" in page.text
    assert InputRequest.objects.get().status == "open"


@pytest.mark.parametrize(
    "posted", [{}, {"value": "perhaps"}, {"value": ""}, {"other": "approved"}]
)
def test_no_decision_is_no_answer(client, posted):
    request = asked()

    response = client.post(answer_link(request), posted)

    assert response.status_code == 200
    assert 'role="alert"' in response.content.decode()
    assert InputRequest.objects.get().status == "open"


@pytest.mark.parametrize("posted", ["a\u0000b", "x" * 5_000_000])
def test_what_cannot_be_stored_is_told_on_the_page(client, settings, posted):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = None
    request = asked(Asks, options={})

    for given in (
        {"value": posted},
        {"value": "fine", "durable_comment": posted},
    ):
        response = client.post(answer_link(request), given)

        assert response.status_code == 200
        assert "errorlist" in response.content.decode()
    assert InputRequest.objects.get().status == "open"


def test_an_answer_needs_the_token_of_its_page():
    client = Client(enforce_csrf_checks=True)
    link = answer_link(asked())

    assert client.post(link, {"value": "approved"}).status_code == 403
    assert InputRequest.objects.get().status == "open"
    [token] = Page(client.get(link)).named("csrfmiddlewaretoken")
    posted = {"value": "approved", "csrfmiddlewaretoken": token["value"]}
    assert client.post(link, posted).status_code == 302
    assert InputRequest.objects.get().status == "satisfied"


def test_a_project_may_have_pages_of_its_own(client, settings, tmp_path):
    folder = tmp_path / "django_durable"
    folder.mkdir()
    (folder / "answer.html").write_text("Ours: {{ title }} {{ form }}")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]

    response = client.get(answer_link(asked()))

    assert response.content.decode().startswith("Ours: Refund 12?")


# --- Links that do not answer (any more) ------------------------------------------------


def test_a_link_answers_once(client):
    request = asked()
    first, second = answer_link(request), answer_link(request)
    client.post(first, {"value": "approved"})

    for link in (first, second):
        page = client.get(link)
        assert page.status_code == 200
        assert "answered already" in Page(page).text
        assert not Page(page).named("value")
        again = client.post(link, {"value": "rejected"})
        assert again.status_code == 409
        assert "Your answer was not taken" in Page(again).text
    assert result(request)["decision"] == "approved"


def test_a_link_does_not_answer_the_next_question_of_the_same_name(client):
    request = asked(AsksTwice)
    link = answer_link(request)
    client.post(link, {"value": "one"})
    drain()
    assert InputRequest.objects.filter(status="open").count() == 1

    assert client.post(link, {"value": "two"}).status_code == 409

    assert InputRequest.objects.filter(status="open").count() == 1


def test_a_link_expires(client, time):
    request = asked(Asks, options={})
    link, short = answer_link(request), answer_link(request, max_age=hours(1))
    too_long = answer_link(request, max_age=days(300))

    time.advance(hours(1))
    assert client.get(short).status_code == 410
    assert client.post(short, {"value": "x"}).status_code == 410
    time.advance(days(3) - hours(1) - hours(0.01))
    assert client.get(link).status_code == client.get(too_long).status_code == 200
    time.advance(hours(0.01))
    for expired in (link, too_long):
        response = client.post(expired, {"value": "x"})
        assert response.status_code == 410
        assert "has expired" in Page(response).text
    assert InputRequest.objects.get().status == "open"


def test_links_that_are_out_expire_when_the_setting_is_lowered(client, settings, time):
    link = answer_link(asked())
    time.advance(hours(2))

    settings.DURABLE = {"default": {"ANSWER_LINKS": {"max_age": hours(2)}}}

    assert client.get(link).status_code == 410


def test_a_question_that_timed_out_or_was_withdrawn_is_not_answered(client, time):
    late, withdrawn = asked(), asked()
    durable.cancel(withdrawn.execution)
    links = {answer_link(withdrawn): "not needed", answer_link(late): "too late"}
    time.advance(hours(9))
    drain()

    for link, says in links.items():
        for response in (client.get(link), client.post(link, {"value": "approved"})):
            assert response.status_code == 410
            assert says in Page(response).text


def test_a_link_ends_with_the_account_it_was_made_for(client):
    ann, ben = User.objects.create_user("ann"), User.objects.create_user("ben")
    links = [answer_link(asked(), user=user) for user in (ann, ben)]
    User.objects.filter(pk=ann.pk).update(is_active=False)
    ben.delete()

    for link in links:
        assert client.get(link).status_code == 403
        assert client.post(link, {"value": "approved"}).status_code == 403
    assert set(InputRequest.objects.values_list("status", flat=True)) == {"open"}


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_question_whose_form_is_gone_from_the_code_waits_for_it(
    client, caplog, method
):
    request = asked(Asks, options={"type": "form", "form": True})
    InputRequest.objects.update(form="shop.forms.Gone")

    response = getattr(client, method)(answer_link(request))

    assert response.status_code == 503
    assert "open the link again later" in Page(response).text
    assert "shop.forms.Gone" in caplog.text
    assert "Gone" not in Page(response).text
    request.refresh_from_db()
    assert request.status == "open"


def test_what_was_not_signed_here_opens_nothing(client):
    link = answer_link(asked())
    token = parse_qs(urlsplit(link).query)["token"][0]
    body, _, signature = token.rpartition(":")
    forged = [
        "",
        "x",
        "a:b:c",
        "\u0000",
        "ö:ü",
        body,
        f"{body}:{'A' * len(signature)}",
        f"{body}x:{signature}",
        f"{body[:-1]}:{signature}",
        Signer(salt="elsewhere").sign_object(["a" * 32, "default", None, 0, 9]),
    ]

    for one in forged:
        response = client.post(
            "/durable/answer/", {"value": "approved"}, query_params={"token": one}
        )
        assert response.status_code == 404
        assert "not valid" in Page(response).text
    assert client.get("/durable/answer/").status_code == 404
    assert InputRequest.objects.get().status == "open"


def test_a_secret_key_that_was_rotated_still_opens_links(client, settings):
    link = answer_link(asked())
    old = settings.SECRET_KEY

    settings.SECRET_KEY = "another one"  # noqa: S105
    assert client.get(link).status_code == 404
    settings.SECRET_KEY_FALLBACKS = [old]
    assert client.get(link).status_code == 200


def test_a_question_that_is_deleted_is_no_valid_link_any_more(client):
    request = asked()
    link = answer_link(request)
    durable.cancel(request.execution)
    chosen = retention.select([request.execution_id], using="default")
    list(retention.delete(chosen, using="default"))

    assert client.get(link).status_code == 404
    assert not Execution.objects.exists()


def test_no_token_is_written_to_a_log(client, caplog):
    caplog.set_level(logging.DEBUG)
    request = asked()
    link = answer_link(request)
    token = parse_qs(urlsplit(link).query)["token"][0]
    client.raise_request_exception = False

    Client(enforce_csrf_checks=True).post(link, {"value": "approved"})
    client.get(link)
    client.put(link)
    client.post(link, {})
    client.post(link, {"value": "approved"})
    client.post(link, {"value": "approved"})

    text = "\n".join(
        f"{record.getMessage()} {record.__dict__.get('args')}"
        for record in caplog.records
        if not record.name.startswith("django.db")
    )
    assert "Forbidden" in text
    assert "Conflict" in text
    assert token not in text
    assert token.rpartition(":")[2] not in text


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(
    connection.vendor != "postgresql", reason="a transaction locks all of SQLite"
)
def test_of_two_links_that_are_used_at_once_one_answers():
    request = asked()
    links = [answer_link(request), answer_link(request)]
    codes: list[int] = []

    def answer(link):
        try:
            codes.append(Client().post(link, {"value": "rejected"}).status_code)
        finally:
            connections.close_all()

    with transaction.atomic():
        durable.provide_input(request.execution, "decision", "approved")
        threads = [threading.Thread(target=answer, args=(link,)) for link in links]
        for thread in threads:
            thread.start()
        wait_until_somebody_waits()
    for thread in threads:
        thread.join(20)

    assert codes == [409, 409]
    assert fresh(request.execution).inputs.get().answer == "approved"


# --- The switch -----------------------------------------------------------------------


def test_without_the_setting_there_is_no_door(client, settings):
    request = asked()
    link = answer_link(request)
    settings.DURABLE = {}

    for path in (link, "/durable/answer/"):
        assert client.get(path).status_code == 404
        assert client.post(path, {"value": "approved"}).status_code == 404
    with pytest.raises(ImproperlyConfigured, match=r'has no ANSWER_LINKS.*"ANSWER'):
        answer_link(request)
    assert InputRequest.objects.get().status == "open"


@pytest.mark.parametrize(
    "base", ["https://shop.example.com", "https://shop.example.com/", "http://x/sub"]
)
def test_a_link_for_a_mail_names_the_site(settings, base):
    settings.DURABLE = {"default": {"ANSWER_LINKS": {"base_url": base}}}

    link = answer_link(asked())

    assert link.startswith(f"{base.rstrip('/')}/durable/answer/?token=")
    assert re.fullmatch(r"[\w:/.?=%-]+", link)


def test_without_a_url_that_leads_to_the_door_no_link_is_made(settings):
    settings.ROOT_URLCONF = "django.contrib.auth.urls"

    with pytest.raises(ImproperlyConfigured, match=r'include\("django_durable\.urls"'):
        answer_link(asked())
