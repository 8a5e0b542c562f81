"""The list of executions: what it shows, finds, and costs."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_durable import clock, minutes
from django_durable.admin.keyset import MOST_SELECTED
from django_durable.models import Execution
from django_durable.types import ExecutionStatus
from tests.admin.rows import (
    elements,
    list_url,
    make_execution,
    make_step,
    page_url,
    text_of,
)
from tests.factories import NOON

pytestmark = pytest.mark.django_db

REFUSED = {"type": "ConnectionError", "message": "refused by the bank", "step": "ship"}


def shown(client, **query) -> set[Execution]:
    """Return the executions that the list shows."""
    html = client.get(list_url(**query)).text
    links = {attributes.get("href") for _, attributes in elements(html)}
    return {row for row in Execution.rows.all() if page_url(row) in links}


def queries(client, address: str) -> int:
    client.get(address)
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200
    return len(captured)


# --- What it shows --------------------------------------------------------------------


def test_a_row_says_what_an_execution_is_and_does(boss):
    with clock.freeze(NOON):
        make_execution(
            workflow="booking",
            status="waiting",
            current_step="ask_boss",
            waiting_for="approval boss by group finance",
            parent=make_execution(workflow="trip"),
            tags=["vip"],
        )

        text = text_of(boss.get(list_url(status="waiting")).text)

    assert "booking vip" in text
    assert "child of trip" in text
    assert "waiting Waits for approval boss by group finance. ask_boss" in text
    assert "5 s ago" in text


def test_lanes_are_left_out(boss):
    execution = make_execution()
    make_execution(parent=execution, is_lane=True, scope="checks.fraud")

    assert shown(boss) == {execution}


def test_an_empty_list_says_so(boss):
    assert "No execution matches." in boss.get(list_url()).text


def test_links_in_the_list_lead_somewhere(boss):
    execution = make_execution(tags=["a tag"])

    html = boss.get(list_url()).text
    links = [attributes["href"] for tag, attributes in elements(html) if tag == "a"]

    assert page_url(execution) in links
    assert list_url(tag="a tag") in links


# --- Filters --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("open", {"pending", "running", "waiting", "paused", "compensating"}),
        ("unsuccessful", {"failed", "compensated", "compensation_failed"}),
        ("failed", {"failed"}),
        ("nonsense", set()),
    ],
)
def test_by_status(boss, value, expected):
    for status in ExecutionStatus:
        make_execution(status=status.value)

    assert {row.status for row in shown(boss, status=value)} == expected


def test_by_workflow_queue_and_tag(boss):
    one = make_execution(workflow="a", queue="mail", home_queue="mail", tags=["vip"])
    two = make_execution(workflow="b", home_queue="mail", tags=["vip", "new"])
    three = make_execution(workflow="b", tags=["vip-2"])

    assert shown(boss, workflow="b") == {two, three}
    assert shown(boss, queue="mail") == {one, two}
    assert shown(boss, tag="vip") == {one, two}
    assert shown(boss, tag="vip", workflow="b") == {two}


def test_by_time(boss):
    new = make_execution()
    make_execution(created_at=clock.now() - minutes(90))

    assert shown(boss, created="1h") == {new}
    assert len(shown(boss, created="24h")) == 2


def test_by_failed_attempts(boss):
    execution = make_execution(status="completed")
    make_step(execution, status="failed")
    make_step(execution, attempt=2)
    make_step(make_execution())

    assert shown(boss, failed_steps="yes") == {execution}


def test_no_column_can_be_asked_for_that_is_not_a_filter(boss):
    for lookup in ("nonsense", "data__card", "error__message__contains"):
        assert boss.get(list_url(**{lookup: "1"})).status_code == 400


# --- Search ---------------------------------------------------------------------------


def test_words_without_key_are_looked_for_everywhere(boss):
    by_key = make_execution(idempotency_key="order-7")
    by_tag = make_execution(
        tags=["vip"], id=UUID("01900000-abcd-7000-8000-0123456789ab")
    )
    by_error = make_execution(status="failed", error=REFUSED)
    by_workflow = make_execution(workflow="import_mail")

    assert shown(boss, q="order-7") == {by_key}
    assert shown(boss, q="vip") == {by_tag}
    assert shown(boss, q="BANK") == {by_error}
    assert shown(boss, q="connectionerror") == {by_error}
    assert shown(boss, q="import_mail") == {by_workflow}
    assert shown(boss, q=str(by_tag.pk)) == {by_tag}
    assert shown(boss, q=str(by_tag.pk)[:23]) == {by_tag}
    assert shown(boss, q=by_tag.pk.hex.upper()) == {by_tag}
    assert shown(boss, q="vip order-7") == set()
    assert shown(boss, q="nowhere") == set()


@pytest.mark.parametrize(
    "text",
    [
        "status:failed",
        "status:failed,cancelled",
        "workflow:trip",
        "queue:mail",
        "tag:vip",
        'tag:"very important"',
        "key:order-",
        'error:"by the bank"',
        "error:ConnectionError",
        "step:book",
        "waiting:finance",
        "since:1h",
        "workflow:trip status:failed tag:vip",
    ],
)
def test_words_with_a_key_narrow(boss, text):
    execution = make_execution(
        workflow="trip",
        status="failed",
        queue="mail",
        tags=["vip", "very important"],
        idempotency_key="order-7",
        error=REFUSED,
        current_step="book.hotel",
        waiting_for="approval by group finance",
    )
    make_execution(
        created_at=clock.now() - timedelta(days=2), error={"type": "E", "message": "x"}
    )

    assert shown(boss, q=text) == {execution}


def test_times_and_ids_in_the_search(boss):
    new = make_execution(id=UUID("01900000-abcd-7000-8000-0123456789ab"))
    old = make_execution(created_at=clock.now() - timedelta(days=40))

    assert shown(boss, q="until:30d") == {old}
    assert shown(boss, q=f"id:{str(new.pk)[:24]}") == {new}
    assert shown(boss, q="id:ffff") == set()


@pytest.mark.parametrize(
    "text",
    [
        'tag:"',
        'error:"unended',
        ":",
        "::",
        "status:",
        "since:yesterday",
        "until:99999999999999d",
        "id:xyz",
        "http://example.org/?a=b",
        "%_\\",
        "' OR 1=1 --",
        "a" * 5000,
    ],
)
def test_odd_searches_find_nothing(boss, text):
    make_execution()

    assert shown(boss, q=text) == set()


def test_a_word_with_an_unknown_key_stands_for_itself(boss):
    execution = make_execution(tags=["schedule:nightly"])

    assert shown(boss, q="schedule:nightly") == {execution}


# --- Pages ----------------------------------------------------------------------------


@pytest.fixture
def many():
    """More than two pages, oldest first."""
    rows = [
        Execution(
            workflow="admin_rows",
            status="completed",
            queue="default",
            home_queue="default",
            completed_at=clock.now(),
        )
        for _ in range(120)
    ]
    return Execution.rows.bulk_create(rows)


def turned(client, address: str, rel: str) -> str | None:
    html = client.get(address).text
    for tag, attributes in elements(html):
        if tag == "a" and attributes.get("rel") == rel:
            return list_url() + str(attributes["href"])
    return None


def ids(client, address: str) -> list[str]:
    html = client.get(address).text
    return [
        str(attributes["title"])
        for _, attributes in elements(html)
        if attributes.get("class") == "durable-id"
    ]


def test_pages_follow_each_other_without_gap_or_overlap(boss, many):
    newest_first = [str(row.pk) for row in reversed(many)]

    first = list_url()
    second = turned(boss, first, "next")
    third = turned(boss, second, "next")

    assert ids(boss, first) == newest_first[:50]
    assert ids(boss, second) == newest_first[50:100]
    assert ids(boss, third) == newest_first[100:]
    assert turned(boss, third, "next") is None
    assert ids(boss, turned(boss, third, "prev")) == newest_first[50:100]
    back = turned(boss, turned(boss, third, "prev"), "prev")
    assert ids(boss, back) == newest_first[:50]
    assert turned(boss, first, "prev") is None


def test_what_starts_meanwhile_does_not_shift_the_pages(boss, many):
    second = turned(boss, list_url(), "next")
    before = ids(boss, second)

    make_execution()

    assert ids(boss, second) == before


def test_pages_keep_the_filters(boss, many):
    Execution.rows.update(tags=["vip"])

    second = turned(boss, list_url(tag="vip"), "next")

    assert "tag=vip" in second
    assert len(ids(boss, second)) == 50


def test_the_first_page_is_full_although_little_is_newer(boss, many):
    before = list_url(before=many[-5].pk)

    assert len(ids(boss, before)) == 50


@pytest.mark.parametrize("query", [{"after": "x"}, {"before": "x"}, {"after": ""}])
def test_a_page_that_is_none_is_the_first(boss, many, query):
    assert len(ids(boss, list_url(**query))) == 50


def test_all_that_match_can_be_selected_up_to_a_limit(boss, many):
    assert "Select all 120 executions" in text_of(boss.get(list_url()).text)

    Execution.rows.bulk_create(
        Execution(workflow="w", queue="q", home_queue="q") for _ in range(450)
    )

    text = text_of(boss.get(list_url()).text)
    assert f"Select all {MOST_SELECTED} executions" in text


# --- Costs ----------------------------------------------------------------------------


@pytest.mark.parametrize("query", [{}, {"status": "failed"}, {"q": "vip"}])
def test_eight_queries_are_enough_whatever_the_number_of_rows(login, query):
    client = login("view_execution", "operate_execution", "delete_execution")
    parent = make_execution(status="failed", tags=["vip"])
    few = queries(client, list_url(**query))

    for _ in range(60):
        make_execution(
            parent=parent, status="failed", tags=["vip"], workflow="w", error=REFUSED
        )

    assert queries(client, list_url(**query)) == few
    assert queries(client, list_url(**query)) <= 8


def test_nothing_is_counted_and_no_payload_is_read(boss, many):
    with CaptureQueriesContext(connection) as captured:
        boss.get(list_url())

    asked = [
        query["sql"]
        for query in captured.captured_queries
        if Execution._meta.db_table in query["sql"]
    ]
    assert asked
    assert not any("COUNT(" in sql for sql in asked)
    assert not any('."data"' in sql or '."input"' in sql for sql in asked)


# --- Live -----------------------------------------------------------------------------


def test_the_region_is_asked_for_alone(boss):
    execution = make_execution()

    found = boss.get(list_url(_live="1"))

    assert found.text.startswith('<div id="durable-list"')
    assert str(execution.pk) in found.text
    assert "<html" not in found.text
    assert "csrfmiddlewaretoken" not in found.text


def test_the_region_costs_less_than_the_page(boss):
    make_execution()

    assert queries(boss, list_url(_live="1")) <= queries(boss, list_url())


def test_nothing_new_is_told_without_a_body(boss):
    execution = make_execution(status="running")
    first = boss.get(list_url(_live="1"))
    known = {"If-None-Match": first.headers["ETag"]}

    same = boss.get(list_url(_live="1"), headers=known)
    Execution.rows.filter(pk=execution.pk).update(status="paused")
    changed = boss.get(list_url(_live="1"), headers=known)

    assert (same.status_code, same.content) == (304, b"")
    assert changed.status_code == 200
    assert changed.headers["ETag"] != first.headers["ETag"]


@pytest.mark.parametrize(
    ("status", "query", "state"),
    [
        ("running", {}, "on"),
        ("completed", {}, "slow"),
        ("completed", {"after": "ffffffff-ffff-7fff-bfff-ffffffffffff"}, "ended"),
    ],
)
def test_a_list_is_live_while_something_may_change(boss, status, query, state):
    make_execution(status=status)

    assert f'data-live="{state}"' in boss.get(list_url(**query)).text


def test_the_address_of_the_region_keeps_filters_and_page(boss):
    html = boss.get(list_url(status="open", q="tag:vip")).text

    (address,) = [
        attributes["data-hx-get"]
        for _, attributes in elements(html)
        if attributes.get("id") == "durable-list"
    ]
    assert address == list_url(status="open", q="tag:vip", _live="1")
