"""The list of what people are asked: whose it is, in which order, and who sees what."""

from __future__ import annotations

import re
from decimal import Decimal
from uuid import uuid4

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

import django_durable as durable
from django_durable import Workflow, clock, hours, step, wait_for_input
from django_durable.models import InputRequest
from tests.admin.rows import text_of
from tests.factories import NOON, finish

pytestmark = pytest.mark.django_db

LIST = reverse("admin:django_durable_inputrequest_changelist")
INDEX = reverse("admin:index")
HOSTILE = "<script>alert('x')</script>"


class InboxAsks(Workflow, name="inbox_asks"):
    @step
    def ask(self, options):
        wait = options.pop("hours", None)
        timeout = None if wait is None else hours(wait)
        name = options.pop("name", "question")
        return {"answer": wait_for_input(name, timeout=timeout, **options)}


def ask(prompt: str, **options) -> InputRequest:
    """Ask something, and return the question."""
    execution = durable.start(InboxAsks, {"options": {"prompt": prompt, **options}})
    assert finish(execution).status == "waiting"
    return InputRequest.objects.get(execution=execution)


def page_of(question: InputRequest) -> str:
    return reverse("admin:django_durable_inputrequest_change", args=[question.pk])


def shown(browser: Client, **query) -> list[str]:
    """Return the questions of the list, as one reads them from top to bottom."""
    found = browser.get(LIST, query)
    assert found.status_code == 200
    return re.findall(r'<h2><a href="[^"]*">(.*?)</a></h2>', found.text)


# --- Whose, and in which order ----------------------------------------------------------


def test_mine_comes_first_and_then_what_times_out_soonest(login):
    sam = login("provide_input", groups=("finance",))
    with clock.freeze(NOON):
        ask("open to all, in 1 h", hours=1)
        ask("of his group, in 5 h", group="finance", hours=5)
        ask("his, at no time", user="sam")
        ask("open to all")
        ask("his, in 2 h", user="sam", hours=2)
        ask("of others", group="pirates")

        assert shown(sam) == [
            "his, in 2 h",
            "of his group, in 5 h",
            "his, at no time",
            "open to all, in 1 h",
            "open to all",
        ]
        assert "3 questions wait for you." in sam.get(LIST).text


def test_the_list_can_be_narrowed(login):
    sam = login("provide_input")
    ask("mine", user="sam")
    ask("anyone's")
    ask("yes or no", type="approval")
    ask("a text of Zoë's order")

    assert shown(sam, show="mine") == ["mine"]
    assert shown(sam, type="approval") == ["yes or no"]
    assert shown(sam, q="order") == ["a text of Zoë&#x27;s order"]
    assert len(shown(sam, workflow="inbox_asks")) == 4
    assert shown(sam, workflow="another") == []


def test_what_is_closed_has_lists_of_its_own(login):
    sam = login("provide_input", "view_inputrequest")
    for name in ("first", "second", "third"):
        ask(name)
    first, second, _ = InputRequest.objects.order_by("id")
    user = User.objects.get(username="sam")
    durable.provide_input(first.execution_id, "question", "yes", user=user)
    durable.provide_input(second.execution_id, "question", "no")

    assert shown(sam) == ["third"]
    assert shown(sam, show="answered") == ["first"]
    assert shown(sam, show="closed") == ["second", "first"]
    closed = sam.get(LIST, {"show": "closed"}).text
    assert "by sam" in text_of(closed)
    assert "by code, or through a link" in text_of(closed)


def test_whoever_may_see_all_sees_what_is_for_others_too(login):
    ask("of others", group="pirates", metadata={"treasure": "under the palm tree"})

    seer = login("view_inputrequest", name="seer")
    sam = login("provide_input")

    assert shown(seer) == []
    assert shown(seer, show="all") == ["of others"]
    # Metadata is for those who may answer.
    assert "palm tree" not in seer.get(LIST, {"show": "all"}).text
    assert shown(sam, show="all") == []
    assert 'show=all"' not in sam.get(LIST).text
    assert 'show=closed"' not in sam.get(LIST).text


def test_closed_questions_of_others_are_for_those_who_may_see_all(login):
    question = ask("secret?", group="pirates")
    durable.provide_input(question.execution_id, "question", "arr")

    assert shown(login("provide_input"), show="closed") == []


def test_a_long_list_is_turned(login, monkeypatch):
    from django_durable.admin.inbox.admin import InputRequestAdmin

    monkeypatch.setattr(InputRequestAdmin, "list_per_page", 2)
    sam = login("provide_input")
    for number in range(5):
        ask(f"question {number}")

    assert shown(sam) == ["question 0", "question 1"]
    assert shown(sam, p=2) == ["question 2", "question 3"]
    assert shown(sam, p=3) == ["question 4"]
    assert shown(sam, p=4) == []
    assert 'rel="next"' in sam.get(LIST).text
    assert 'rel="prev"' not in sam.get(LIST).text
    last = sam.get(LIST, {"p": 3}).text
    assert 'rel="next"' not in last
    assert 'rel="prev"' in last
    assert shown(sam, p="x") == shown(sam, p="-3") == shown(sam)


def test_the_list_costs_the_same_however_long_it_is(login):
    sam = login("provide_input", "view_execution", groups=("finance",))

    def statements():
        sam.get(LIST)  # What is cached by then is cached for both.
        with CaptureQueriesContext(connection) as captured:
            assert sam.get(LIST).status_code == 200
        return len(captured)

    ask("one", metadata={"total": 1})
    few = statements()
    for _ in range(20):
        ask("more", group="finance", metadata={"total": Decimal("1.50")})

    assert statements() == few
    assert few <= 12


# --- What is shown of a question ---------------------------------------------------------


def test_metadata_and_who_may_answer_are_in_the_list(login):
    login("provide_input", name="boss")
    fiona = login(name="fiona", groups=("finance",))
    with clock.freeze(NOON):
        ask(
            "Go ahead?",
            group="finance",
            hours=30,
            metadata={
                "total": Decimal("1822.00"),
                "customer_name": "Zoë",
                "is_new": True,
                "lines": [1, 2],
            },
        )
        page = fiona.get(LIST).text

    assert "<dt>Total</dt><dd>1822.00</dd>" in page
    assert "<dt>Customer name</dt><dd>Zoë</dd>" in page
    assert "<dt>Is new</dt><dd>Yes</dd>" in page
    assert "<dt>Lines</dt>" not in page
    assert "group <strong>finance</strong>" in page
    assert ">in 30 h</time>" in page


def test_what_is_urgent_is_marked_with_more_than_a_colour(login):
    sam = login("provide_input")
    with clock.freeze(NOON):
        ask("now", hours=0.5)
        ask("today", hours=20)
        ask("some time", hours=50)
        page = sam.get(LIST).text

    marks = re.findall(r'durable-due( durable-\w+)?">\s*(<svg)?', page)
    assert marks == [(" durable-soon", "<svg"), (" durable-today", "<svg"), ("", "")]


def test_all_that_users_have_written_is_escaped(login):
    sam = login("provide_input")
    ask(
        HOSTILE,
        name=HOSTILE,
        user="sam",
        group=HOSTILE,
        permission=HOSTILE,
        metadata={HOSTILE: HOSTILE},
    )

    page = sam.get(LIST).text

    assert HOSTILE not in page
    assert page.count("&lt;script&gt;") >= 6


# --- Who gets in -------------------------------------------------------------------------


def test_anonymous_visitors_are_sent_to_the_login(client):
    question = ask("?")

    for address in (LIST, page_of(question)):
        found = client.get(address)
        assert found.status_code == 302
        assert reverse("admin:login") in found.url


def test_who_is_not_of_the_staff_has_no_inbox(client):
    question = ask("?", user="zoe")
    client.force_login(User.objects.create_user("zoe"))

    assert client.get(LIST).status_code == 302
    assert client.get(page_of(question)).status_code == 302


@pytest.mark.parametrize(
    "who",
    [{"user": "sam"}, {"group": "finance"}, {"permission": "auth.view_group"}],
    ids=str,
)
def test_who_is_named_finds_the_inbox_without_any_permission_of_ours(login, who):
    sam = login(groups=("finance",))
    user = User.objects.get(username="sam")
    user.user_permissions.add(Permission.objects.get(codename="view_group"))

    assert "Inputs" not in sam.get(INDEX).text

    ask("for him", **who)
    page = sam.get(INDEX).text
    assert "Inputs" in page
    assert LIST in page
    assert "Executions" not in page
    assert shown(sam) == ["for him"]


def test_staff_without_anything_to_do_find_an_empty_list(login):
    ask("of others", group="pirates")
    sam = login()

    assert "Inputs" not in sam.get(INDEX).text
    found = sam.get(LIST)
    assert found.status_code == 200
    assert "Nobody asks you anything" in found.text


@pytest.mark.parametrize(
    "permission",
    [
        "view_execution",
        "view_payload",
        "operate_execution",
        "start_execution",
        "delete_execution",
        "view_schedule",
        "view_worker",
    ],
)
def test_other_permissions_show_nothing_in_the_list(login, permission):
    ask("open to those who may answer")
    ask("of others", group="pirates")
    sam = login(permission)

    for show in ("", "mine", "all", "answered", "closed"):
        assert shown(sam, show=show) == []
    assert shown(login("provide_input", name="may")) == ["open to those who may answer"]


def test_the_execution_is_a_link_only_for_those_who_may_see_it(login):
    question = ask("?", user="sam")
    address = reverse(
        "admin:django_durable_execution_change", args=[question.execution_id]
    )

    assert address not in login(name="other").get(LIST).text
    sam = login()
    assert address not in sam.get(LIST).text
    assert str(question.execution_id) not in sam.get(LIST).text
    User.objects.get(username="sam").user_permissions.add(
        Permission.objects.get(codename="view_execution")
    )
    assert address in sam.get(LIST).text


@pytest.mark.parametrize(
    "query",
    [
        {"answer__contains": "yes"},
        {"metadata__icontains": "a"},
        {"execution__input__icontains": "a"},
        {"answered_by__password__startswith": "p"},
        {"comment__gte": "a"},
    ],
    ids=str,
)
def test_no_column_can_be_asked_for_in_the_address(login, query):
    assert login("provide_input").get(LIST, query).status_code == 400


def test_what_is_for_others_is_in_no_list_that_django_makes_of_questions(login):
    """It proposes rows for a foreign key of a project, for example, by no filter."""
    ask("for him", user="other")
    mine = ask("for her", user="sam")
    anybody = ask("for anybody")

    def seen(*permissions: str, name: str) -> list[InputRequest]:
        login(*permissions, name=name)
        request = RequestFactory().get(LIST)
        request.user = User.objects.get(username=name)
        rows = admin.site.get_model_admin(InputRequest).get_queryset(request)
        return list(rows.order_by("id"))

    assert seen(name="nobody") == []
    assert seen(name="sam") == [mine]
    assert seen("provide_input", name="zoe") == [anybody]
    assert len(seen("view_inputrequest", name="boss")) == 3


@pytest.mark.parametrize("query", [{"show": HOSTILE}, {"type": HOSTILE}, {"q": '"'}])
def test_odd_addresses_are_harmless(login, query):
    ask("?")

    found = login("provide_input").get(LIST, query)

    assert found.status_code == 200
    assert HOSTILE not in found.text


def test_nothing_is_added_changed_or_deleted_by_hand(boss):
    question = ask("?")

    for name in ("add/", f"{question.pk}/delete/", f"{question.pk}/history/"):
        assert boss.get(f"{LIST}{name}").status_code == 404


# --- The count, and the region ------------------------------------------------------------


def test_the_number_of_mine_stands_beside_the_entry_in_the_list_of_the_app(login):
    sam = login(groups=("finance",))
    app = reverse("admin:app_list", args=["django_durable"])
    ask("one", user="sam")
    ask("two", group="finance")

    for address in (LIST, app):
        page = sam.get(address).text
        assert re.search(r'Inputs <span class="durable-count"[^>]*>.*?>2<', page)
        assert "(2 questions wait for you)" in page


def test_without_anything_of_mine_there_is_no_number(login):
    sam = login("provide_input")
    ask("anyone's")

    assert "durable-count" not in sam.get(LIST).text
    assert (
        "durable-count"
        not in sam.get(reverse("admin:app_list", args=["django_durable"])).text
    )


def test_more_than_can_be_counted_soon_is_said_to_be_more(login, monkeypatch):
    from django_durable.admin.inbox import counting, questions

    for module in (counting, questions):
        monkeypatch.setattr(module, "MOST_COUNTED", 3)
    sam = login()
    for _ in range(4):
        ask("?", user="sam")

    assert "3+ questions wait for you" in sam.get(LIST).text


def test_the_list_keeps_itself_up_to_date(login):
    sam = login("provide_input")
    ask("the first")
    region = sam.get(LIST, {"_live": "1"})
    assert region.text.startswith('<div id="durable-inbox" data-live="on"')
    assert "<html" not in region.text

    tag = {"If-None-Match": region["ETag"]}
    assert sam.get(LIST, {"_live": "1"}, headers=tag).status_code == 304
    ask("the second")
    assert "the second" in sam.get(LIST, {"_live": "1"}, headers=tag).text


def test_an_input_that_is_gone_leads_back_to_the_list(login):
    found = login("provide_input").get(
        reverse("admin:django_durable_inputrequest_change", args=[uuid4()]), follow=True
    )

    assert found.redirect_chain == [(LIST, 302)]
    assert "This question is gone" in found.text
