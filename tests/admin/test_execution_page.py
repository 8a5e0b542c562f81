"""The page of an execution: its head, its tabs, what it costs, how it stays up to date."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

import django_durable as durable
from django_durable import (
    CallWorkflow,
    Each,
    Parallel,
    Retry,
    Sleep,
    WaitForApproval,
    WaitForEvent,
    Workflow,
    clock,
    days,
    hours,
    seconds,
    step,
)
from django_durable.models import Event, Execution, Log, Step
from tests.admin.rows import (
    elements,
    list_url,
    make_event,
    make_execution,
    make_input,
    make_log,
    make_step,
    make_wait,
    make_worker,
    page_url,
    stored_url,
    text_of,
)
from tests.factories import NOON, drain, fresh

pytestmark = pytest.mark.django_db

TABS = ("graph", "timeline", "steps", "logs", "data", "family", "events", "history")


@pytest.fixture
def at_noon() -> Iterator[None]:
    with clock.freeze(NOON):
        yield


def shown(client, execution, **query) -> str:
    return text_of(client.get(page_url(execution, **query)).text)


class Refusing(Workflow, name="admin_refusing"):
    @step(retry=Retry(max_attempts=5, base=seconds(40), jitter=0))
    def charge(self, order, data):
        raise ConnectionError(f"refused {order}")


class Asking(Workflow, name="admin_asking"):
    manager = WaitForApproval(
        prompt="Spend it?", group="Finance", metadata={"sum": 7}, timeout=days(1)
    )


class Resting(Workflow, name="admin_resting"):
    rest = Sleep(days(3))


class Waiting(Workflow, name="admin_waiting"):
    paid = WaitForEvent("paid", timeout=hours(2))


class Calling(Workflow, name="admin_calling"):
    helper = CallWorkflow(Waiting)


class Fanning(Workflow, name="admin_fanning"):
    class Both(Parallel):
        left = WaitForEvent("left")

        @step
        def right(self): ...


# --- The sentence ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("workflow", "text"),
    [
        (
            Asking,
            "Waits for approval manager by group Finance since 3 h , gives up in 21 h .",
        ),
        (Waiting, "Waits for the event paid since 3 h , gives up now"),
        (Resting, "Sleeps at rest , wakes up in 2 d ."),
        (Calling, "Waits for its child admin_waiting since 3 h ."),
        (
            Fanning,
            "Waits for 1 member of both since 3 h . "
            "It waits for the event left since 3 h .",
        ),
    ],
)
def test_the_sentence_says_what_is_waited_for(boss, workflow, text):
    with clock.freeze(NOON) as frozen:
        execution = durable.start(workflow)
        drain()
        frozen.advance(hours(3))

        assert text in shown(boss, execution)


def test_the_sentence_says_when_the_next_attempt_is(boss):
    with clock.freeze(NOON):
        execution = durable.start(Refusing, {"order": 7})
        drain()

        text = shown(boss, execution)

    assert "Attempt 2 of 5 of charge in 1 min after ConnectionError: refused 7." in text
    assert "refused 7" in text
    assert 'raise ConnectionError(f"refused {order}")' in text


def test_the_sentence_says_who_runs_it_and_for_how_long(boss):
    with clock.freeze(NOON):
        worker = make_worker(hostname="web-1", pid=42)
        execution = make_execution(
            status="running",
            current_step="charge",
            leased_by=worker.pk,
            step_started_at=NOON - seconds(12),
        )

        assert "Runs charge for 12 s , on web-1:42." in shown(boss, execution)


def test_the_sentence_says_that_a_worker_is_dead(boss):
    with clock.freeze(NOON):
        worker = make_worker(
            beat_at=NOON - seconds(50), expires_at=NOON - seconds(20), pid=42
        )
        execution = make_execution(status="running", leased_by=worker.pk)

        assert "which gave no sign of life for 50 s" in shown(boss, execution)


@pytest.mark.parametrize(
    ("queues", "text"),
    [
        ({}, "but no worker takes the queue default"),
        ({"mail": 1}, "but no worker takes the queue default"),
        ({"default": 1}, "for a free worker of queue default to run ship"),
    ],
)
def test_the_sentence_says_whether_there_is_a_worker(boss, queues, text):
    execution = make_execution(
        status="pending", available_at=clock.now() - seconds(9), completed_at=None
    )
    if queues:
        make_worker(queues=queues)

    assert text in shown(boss, execution)


def test_a_failed_one_shows_error_source_and_trace(boss):
    traceback = (
        "Traceback (most recent call last):\n"
        '  File "shop.py", line 3, in ship\n'
        "    parcel.send(now=True)\n"
        "ConnectionError: refused\n"
    )
    error = {
        "type": "ConnectionError",
        "message": "refused",
        "step": "ship",
        "traceback": traceback,
        "details": {"carrier": "north"},
    }
    execution = make_execution(status="failed", error=error)

    html = boss.get(page_url(execution)).text

    assert "Failed at ship : ConnectionError: refused." in text_of(html)
    assert "<code>parcel.send(now=True)</code>" in html
    assert (
        '<span class="durable-trace-failing">    parcel.send(now=True)</span>' in html
    )
    assert "north" in html


# --- Head -----------------------------------------------------------------------------


def test_the_head_holds_the_facts(boss):
    parent = make_execution(workflow="trip")
    execution = make_execution(
        parent=parent,
        tags=["vip"],
        idempotency_key="order-7",
        priority=5,
        queue="mail",
        status="running",
        progress={"done": 40, "total": 100, "message": "pages"},
    )

    html = boss.get(page_url(execution)).text

    text = text_of(html)
    assert str(execution.pk) in text
    assert "Queue mail priority 5" in text
    assert "Key order-7" in text
    assert "Tags vip" in text
    assert "Parent trip" in text
    assert ("progress", {"max": "100", "value": "40"}) in [
        (tag, {key: attributes[key] for key in ("max", "value") if key in attributes})
        for tag, attributes in elements(html)
    ]


def test_progress_is_written_for_browsers_in_any_language(boss, settings):
    settings.LANGUAGE_CODE = "de"
    settings.USE_THOUSAND_SEPARATOR = True
    told = {"done": 1.5, "total": 2000, "message": ""}
    execution = make_execution(status="running", progress=told)

    html = boss.get(page_url(execution)).text

    [bar] = [attributes for tag, attributes in elements(html) if tag == "progress"]
    assert (bar["max"], bar["value"]) == ("2000", "1.5")


def test_only_what_the_status_allows_is_offered(boss):
    offers = {
        "running": {"cancel", "pause", "send-event", "start-again"},
        "paused": {"cancel", "resume", "send-event", "start-again"},
        "failed": {"retry", "start-again", "delete"},
        "completed": {"start-again", "delete"},
    }
    for status, expected in offers.items():
        execution = make_execution(workflow="admin_waiting", status=status)
        html = boss.get(page_url(execution)).text
        offered = {
            attributes["data-action"]
            for _, attributes in elements(html)
            if "data-action" in attributes
        }
        assert offered - {"run-now"} == expected, status


def test_what_is_not_deployed_here_cannot_be_started_again(boss):
    execution = make_execution(workflow="gone", status="failed")

    assert 'data-action="start-again"' not in boss.get(page_url(execution)).text


def test_a_lane_leads_to_the_steps_of_its_execution(boss):
    execution = make_execution()
    lane = make_execution(parent=execution, is_lane=True, scope="items[3]")

    found = boss.get(page_url(lane))

    assert found.status_code == 302
    assert found.headers["Location"] == page_url(
        execution, tab="steps", path="items[3]"
    )


@pytest.mark.parametrize("live", [{}, {"_live": "1"}])
def test_what_is_not_there_is_not_found(boss, live):
    assert boss.get(page_url(uuid4(), **live)).status_code == 404


def test_what_is_no_id_is_not_found(boss):
    address = reverse("admin:django_durable_execution_change", args=["xyz"])

    assert boss.get(address).status_code == 404


def test_the_history_of_django_leads_to_the_tab(boss):
    execution = make_execution()
    address = reverse("admin:django_durable_execution_history", args=[execution.pk])

    assert boss.get(address).headers["Location"] == page_url(execution, tab="history")


def test_nothing_is_added_changed_or_deleted_by_hand(boss):
    execution = make_execution()

    add = boss.get(reverse("admin:django_durable_execution_add"))
    delete = boss.post(
        reverse("admin:django_durable_execution_delete", args=[execution.pk]),
        {"post": "yes"},
    )
    boss.post(page_url(execution), {"status": "cancelled"})

    assert (add.status_code, delete.status_code) == (403, 403)
    assert fresh(execution).status == "completed"


# --- Tabs -----------------------------------------------------------------------------


def test_steps_show_attempts_with_what_they_read_and_gave(boss):
    execution = durable.start(Refusing, {"order": 7})
    drain()
    make_step(execution, path="pack", output={"parcel": "P-1"})

    text = shown(boss, execution, tab="steps")

    assert "charge reads order failed attempt 1" in text
    assert "ConnectionError refused 7" in text
    assert '"parcel" : "P-1"' in text


def test_steps_are_narrowed_by_path_and_failure(boss):
    execution = make_execution()
    make_step(execution, path="items[3].send")
    make_step(execution, path="items[30].send", status="failed")

    def paths(**query):
        html = boss.get(page_url(execution, tab="steps", **query)).text
        return [
            attributes["data-path"]
            for tag, attributes in elements(html)
            if tag == "tr" and "data-path" in attributes
        ]

    assert paths() == ["items[3].send", "items[30].send"]
    assert paths(path="items[3]") == ["items[3].send"]
    assert paths(only="failed") == ["items[30].send"]
    assert paths(path="nowhere") == []


def test_steps_come_in_pages_the_newest_first(boss):
    execution = make_execution()
    began = clock.now() - hours(1)
    Step.objects.bulk_create(
        Step(
            execution=execution,
            path=f"poll[{number}]",
            kind="step",
            sequence=number,
            attempt=1,
            status="completed",
            started_at=began + seconds(number),
            completed_at=began + seconds(number),
        )
        for number in range(250)
    )

    newest = shown(boss, execution, tab="steps")
    oldest = shown(boss, execution, tab="steps", page=5)

    assert newest.index("poll[200]") < newest.index("poll[249]")
    assert "poll[199]" not in newest
    assert "Earlier attempts" in newest
    assert "Later attempts" not in newest
    assert oldest.index("poll[0]") < oldest.index("poll[49]")
    assert "Later attempts" in oldest
    assert "Earlier attempts" not in oldest
    assert "No attempt" in shown(boss, execution, tab="steps", page="99999999999999")


def test_compensations_are_told_apart(boss):
    execution = make_execution()
    make_step(execution, path="charge", kind="compensation")

    assert "charge undo" in shown(boss, execution, tab="steps")


def test_logs_are_filtered_by_level_and_step(boss):
    execution = make_execution()
    make_log(execution, "first", step="charge")
    make_log(execution, "second", step="ship", level="WARNING")
    make_log(execution, "third", step="ship", level="ERROR", attempt=2)

    def lines(**query):
        text = shown(boss, execution, tab="logs", **query)
        return [word for word in ("first", "second", "third") if word in text]

    assert lines() == ["first", "second", "third"]
    assert lines(level="WARNING") == ["second", "third"]
    assert lines(step="ship", level="ERROR") == ["third"]
    assert lines(step="charge") == ["first"]


def test_logs_show_the_newest_lines_and_lead_to_earlier_ones(boss):
    execution = make_execution()
    Log.objects.bulk_create(
        Log(
            execution=execution,
            step="ship",
            sequence=0,
            attempt=1,
            level="INFO",
            logger="",
            message=f"line-{number}.",
            created_at=clock.now(),
        )
        for number in range(450)
    )

    html = boss.get(page_url(execution, tab="logs")).text
    assert "line-449." in html
    assert "line-250." in html
    assert "line-249." not in html
    (earlier,) = [
        attributes["href"]
        for tag, attributes in elements(html)
        if attributes.get("rel") == "prev"
    ]

    text = boss.get(earlier).text
    assert "line-249." in text
    assert "line-50." in text
    assert "line-250." not in text


def test_data_is_shown_as_it_is_stored(boss):
    execution = make_execution(
        status="running",
        input={"when": NOON, "b": 1, "a": 2},
        data={"gone": {"$type": "dataclass", "class": "gone:Gone", "fields": {}}},
    )

    html = boss.get(page_url(execution, tab="data")).text

    text = text_of(html)
    assert '"$type" : "datetime"' in text
    assert text.index('"a" : 2') < text.index('"b" : 1')
    assert "Data now" in text
    assert "gone:Gone" in text
    assert "Result" in shown(boss, make_execution(), tab="data")


def test_a_long_payload_is_cut_with_a_link_to_all_of_it(boss):
    words = {f"key {number:05}": "x" * 20 for number in range(900)}
    execution = make_execution(input=words, data={})

    html = boss.get(page_url(execution, tab="data")).text

    assert "This is only the beginning." in html
    assert "key 00100" in html
    assert "key 00899" not in html
    address = stored_url(execution, "input")
    assert address in html
    assert boss.get(address).json() == words


def test_a_huge_payload_is_only_named(boss):
    execution = make_execution(input={"text": "x" * 100_000}, data={})

    html = boss.get(page_url(execution, tab="data")).text

    assert len(html) < 60_000
    assert "Show all" in html
    assert stored_url(execution, "input") in html


def test_a_payload_of_another_execution_is_not_found(boss):
    one, two = make_execution(), make_execution()
    made = make_step(two)

    assert boss.get(stored_url(one, "step", made.pk)).status_code == 404
    assert boss.get(stored_url(one, "nonsense")).status_code == 404
    assert boss.get(stored_url(one, "input", made.pk)).status_code == 404
    assert boss.get(stored_url(one, "step")).status_code == 404


def test_the_family_is_a_tree(boss):
    parent = make_execution(workflow="trip")
    execution = make_execution(workflow="flight", parent=parent)
    child = make_execution(workflow="seat", parent=execution, status="waiting")
    make_execution(workflow="meal", parent=child)
    for number in range(3):
        make_execution(
            parent=execution,
            is_lane=True,
            scope=f"bags[{number}]",
            status="failed" if number == 2 else "completed",
            error={"type": "E", "message": "too heavy"} if number == 2 else None,
        )

    text = shown(boss, execution, tab="family")

    assert "Parent completed trip" in text
    assert "Children waiting seat" in text
    assert text.index("seat") < text.index("meal")
    assert "2 completed 1 failed" in text
    assert "bags[2] failed" in text
    assert "E: too heavy" in text
    assert "bags[1]" not in text


@pytest.mark.usefixtures("at_noon")
def test_events_and_inputs(boss):
    execution = make_execution(status="waiting")
    wait = make_wait(execution)
    answered = make_wait(execution, kind="input", status="satisfied", ordinal=1)
    make_input(
        execution,
        answered,
        status="satisfied",
        prompt="Spend it?",
        group="finance",
        answer="approved",
        answered_by=User.objects.get(username="boss"),
        closed_at=clock.now(),
    )
    make_event(execution, taken_by=wait)
    make_event(execution, name="late")

    text = shown(boss, execution, tab="events")

    assert "ask the event paid" in text
    assert "manager approval, ask satisfied" in text
    assert "group finance Spend it?" in text
    assert '"approved"' in text
    assert ", boss" in text
    assert "paid 0 s ago yes" in text
    assert "late 0 s ago not yet" in text


def test_the_history_says_who_did_what(boss):
    execution = make_execution()
    LogEntry.objects.log_actions(
        user_id=User.objects.get(username="boss").pk,
        queryset=[execution],
        action_flag=CHANGE,
        change_message="Cancelled: by mistake",
    )

    assert "boss Cancelled: by mistake" in shown(boss, execution, tab="history")
    other = make_execution()
    assert "Nobody has done anything" in shown(boss, other, tab="history")


def test_an_unknown_tab_is_the_first(boss):
    html = boss.get(page_url(make_execution(workflow="gone"), tab="nonsense")).text

    assert 'id="durable-tab-timeline"' in html


def test_tabs_without_content_are_not_offered(boss):
    html = boss.get(page_url(make_execution())).text

    for tab in ("logs", "family", "events"):
        assert page_url(Execution.objects.get(), tab=tab) not in html


# --- Costs ----------------------------------------------------------------------------


@pytest.fixture
def large():
    """500 steps, 200 lanes, children, logs, events, inputs."""
    worker = make_worker()
    parent = make_execution()
    execution = make_execution(
        status="running", parent=parent, leased_by=worker.pk, attempt=2
    )
    now = clock.now()
    Step.objects.bulk_create(
        Step(
            execution=execution,
            sequence=number,
            path=f"poll[{number}]",
            kind="step",
            attempt=1,
            status="completed",
            output={"n": number},
            started_at=now,
            completed_at=now,
        )
        for number in range(500)
    )
    Execution.rows.bulk_create(
        Execution(
            workflow="w",
            queue="q",
            home_queue="q",
            parent=execution,
            is_lane=number > 20,
            scope=f"items[{number}]",
            status="failed" if number % 2 else "completed",
        )
        for number in range(220)
    )
    make_log(execution, "a line")
    Event.objects.bulk_create(
        Event(execution=execution, name="paid", created_at=now) for _ in range(120)
    )
    for number in range(20):
        wait = make_wait(execution, ordinal=number)
        user = User.objects.create(username=f"user {number}")
        make_input(execution, wait, status="satisfied", answered_by=user)
    return execution


@pytest.mark.parametrize("live", [{}, {"_live": "1"}], ids=["page", "region"])
@pytest.mark.parametrize("status", ["running", "pending", "waiting", "failed"])
@pytest.mark.parametrize("tab", TABS)
def test_fifteen_queries_are_enough(login, large, tab, status, live):
    client = login(
        "view_execution", "view_payload", "operate_execution", "start_execution"
    )
    Execution.rows.filter(pk=large.pk).update(status=status, current_step="poll[499]")
    LogEntry.objects.log_actions(
        user_id=User.objects.get(username="sam").pk,
        queryset=[large],
        action_flag=CHANGE,
        change_message="x",
    )
    address = page_url(large, tab=tab, **live)
    client.get(address)

    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200

    assert len(captured) <= 15, [query["sql"] for query in captured.captured_queries]


def test_lists_on_the_page_are_bounded(boss, large):
    for tab, row in (("family", "<tr>"), ("events", "<tr>"), ("steps", "<tr ")):
        html = boss.get(page_url(large, tab=tab, _live="1")).text
        assert 50 <= html.count(row) <= 150, tab


# --- Live -----------------------------------------------------------------------------


def test_the_region_is_live_until_the_execution_has_ended(boss):
    execution = make_execution(status="running")

    assert 'data-live="on"' in boss.get(page_url(execution)).text

    Execution.rows.filter(pk=execution.pk).update(status="completed")
    assert 'data-live="ended"' in boss.get(page_url(execution, _live="1")).text


def test_the_region_tells_nothing_new_without_a_body(boss):
    with clock.freeze(NOON) as frozen:
        execution = make_execution(status="running", step_started_at=NOON)
        address = page_url(execution, tab="logs", _live="1")
        first = boss.get(address)
        known = {"If-None-Match": first.headers["ETag"]}

        frozen.advance(timedelta(seconds=7))
        later = boss.get(address, headers=known)
        make_log(execution, "a new line")
        changed = boss.get(address, headers=known)

    assert "<html" not in first.text
    assert first.text.startswith('<div id="durable-execution"')
    assert later.status_code == 304
    assert changed.status_code == 200
    assert "a new line" in changed.text


def test_the_region_keeps_tab_and_filters(boss):
    execution = make_execution()

    html = boss.get(page_url(execution, tab="logs", level="ERROR")).text

    (address,) = [
        attributes["data-hx-get"]
        for _, attributes in elements(html)
        if attributes.get("id") == "durable-execution"
    ]
    assert address == page_url(execution, tab="logs", level="ERROR", _live="1")


def test_the_way_to_a_page_is_shown(boss):
    execution = make_execution()

    html = boss.get(page_url(execution)).text

    links = [attributes.get("href") for _, attributes in elements(html)]
    assert list_url() in links
    assert '<h1><span class="durable-workflow">admin_rows</span>' in html


class Many(Workflow, name="admin_many"):
    class Items(Each):
        def items(self):
            return list(range(3))

        @step
        def send(self, item, index): ...


def test_steps_of_items_do_not_say_that_they_read_item_and_index(boss):
    execution = durable.start(Many)
    drain()

    text = shown(boss, execution, tab="steps")

    assert "items[0].send completed" in text
    assert "reads" not in text


def test_pictures_come_before_all_other_tabs_and_lead_to_steps(boss):
    execution = durable.start(Many)
    drain()

    html = boss.get(page_url(execution)).text
    tabs = [
        str(attributes["href"]).rpartition("tab=")[2]
        for tag, attributes in elements(html.partition('class="durable-tabs"')[2])
        if tag == "a" and "tab=" in str(attributes.get("href"))
    ]
    assert tabs[:3] == ["graph", "timeline", "steps"]
    leads_to = page_url(execution, tab="steps", path="items.send")
    assert leads_to in html.replace("&amp;", "&")
    assert "items[0].send" in shown(boss, execution, tab="steps", path="items.send")

    html = boss.get(page_url(execution, tab="timeline")).text
    assert "<svg" in html
    assert page_url(execution, tab="timeline", time="all") in html.replace("&amp;", "&")


def test_of_a_workflow_that_is_not_deployed_there_is_no_graph(boss):
    execution = make_execution(workflow="gone")

    assert "tab=graph" not in boss.get(page_url(execution)).text
    assert "no such workflow" in shown(boss, execution, tab="graph")
