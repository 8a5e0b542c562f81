"""Whatever users store, a page shows it as text."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.urls import reverse

from django_durable.codec.refusals import MAX_DEPTH
from tests.admin.rows import (
    act_url,
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
)

pytestmark = pytest.mark.django_db

# A sum that is nothing else in a page, whatever the time.
SUM = "{{ 7|add:7654321 }}"
EVIL = f"""</code></pre></textarea><b class="evil">'"><script>evil()</script>{SUM}"""
LONE = "\ud800 \u202e\u2028".encode("utf-8", "backslashreplace").decode()
TABS = ("graph", "timeline", "steps", "logs", "data", "family", "events", "history")


def error(kind: str = EVIL) -> dict[str, object]:
    return {
        "type": kind,
        "message": EVIL,
        "step": EVIL,
        "traceback": f'Traceback:\n  File "{EVIL}", line 1, in {EVIL}\n    {EVIL}\n{EVIL}',
        "details": {EVIL: EVIL},
    }


@pytest.fixture
def hostile(boss):
    """An execution with something hostile in every field that is shown."""
    parent = make_execution(workflow=EVIL, status="failed", error=error())
    worker = make_worker(hostname=EVIL, queues={EVIL: 1})
    execution = make_execution(
        workflow=EVIL,
        status="running",
        parent=parent,
        queue=EVIL[:100],
        home_queue=EVIL[:100],
        input={EVIL: [EVIL, {EVIL: EVIL}]},
        data={EVIL: EVIL, "$type": EVIL},
        error=error(),
        progress={"done": 1, "total": 2, "message": EVIL},
        tags=[EVIL, LONE],
        idempotency_key=EVIL,
        current_step=EVIL,
        waiting_for=EVIL,
        leased_by=worker.pk,
        attempt=2,
    )
    child = make_execution(
        workflow=EVIL, parent=execution, status="failed", error=error()
    )
    make_execution(workflow=EVIL, parent=child, waiting_for=EVIL, status="waiting")
    make_execution(
        parent=execution,
        is_lane=True,
        scope=EVIL,
        status="failed",
        error=error(),
        current_step=EVIL,
    )
    step = make_step(execution, path=EVIL, output={EVIL: EVIL}, error=error())
    make_step(execution, path=EVIL, status=EVIL[:20], kind=EVIL[:20])
    make_log(execution, EVIL, step=EVIL, logger=EVIL, level=EVIL[:20])
    wait = make_wait(execution, path=EVIL, name=EVIL, sentence=EVIL, names=[EVIL])
    answered = {
        "prompt": EVIL,
        "metadata": {EVIL: EVIL},
        "username": EVIL,
        "group": EVIL[:150],
        "permission": EVIL,
        "name": EVIL,
        "path": EVIL,
        "type": EVIL[:20],
        "answer": {EVIL: EVIL},
        "answered_by": User.objects.create(username="<b class=evil>"),
    }
    make_input(execution, wait, status="satisfied", **answered)
    event = make_event(execution, name=EVIL, payload={EVIL: EVIL})
    LogEntry.objects.log_actions(
        user_id=User.objects.get(username="boss").pk,
        queryset=[execution],
        action_flag=CHANGE,
        change_message=EVIL,
    )
    return execution, step, event


def assert_harmless(html: str) -> None:
    assert "evil" in html
    for tag, attributes in elements(html):
        assert attributes.get("class") != "evil", (tag, attributes)
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        if tag == "script":
            assert attributes.get("src"), "a script in the page"
        if tag == "a":
            assert not (attributes.get("href") or "").startswith("javascript:")
    assert "<script>evil" not in html
    assert "7654328" not in html


@pytest.mark.parametrize("live", [{}, {"_live": "1"}], ids=["page", "region"])
@pytest.mark.parametrize("tab", TABS)
def test_the_page_of_an_execution_is_harmless(boss, hostile, tab, live):
    found = boss.get(page_url(hostile[0], tab=tab, **live))

    assert found.status_code == 200
    assert_harmless(found.text)


@pytest.mark.parametrize(
    "status", ["pending", "waiting", "paused", "failed", "cancelled"]
)
def test_sentences_are_harmless(boss, hostile, status):
    execution = hostile[0]
    execution.status = status
    execution.save()

    assert_harmless(boss.get(page_url(execution)).text)
    assert_harmless(boss.get(list_url(status=status)).text)


@pytest.mark.parametrize("live", [{}, {"_live": "1"}], ids=["page", "region"])
def test_the_list_is_harmless(boss, hostile, live):
    assert_harmless(boss.get(list_url(**live)).text)


@pytest.mark.parametrize("name", ["cancel", "pause", "send-event", "start-again"])
def test_pages_that_ask_are_harmless(boss, hostile, name):
    found = boss.get(act_url(hostile[0], name))

    assert found.status_code == 200
    assert_harmless(found.text)


def test_a_form_that_comes_back_is_harmless(boss, hostile):
    given = {"name": EVIL, "payload": EVIL + "{"}

    assert_harmless(boss.post(act_url(hostile[0], "send-event"), given).text)


def test_pages_about_several_are_harmless(boss, hostile):
    given = {"action": "cancel_selected", "_selected_action": [hostile[0].pk]}

    found = boss.post(list_url(), {**given, "index": "0"})

    assert found.status_code == 200
    assert_harmless(found.text)


@pytest.mark.parametrize("key", ["q", "status", "workflow", "queue", "tag", "created"])
def test_what_is_in_the_address_is_harmless(boss, hostile, key):
    assert_harmless(boss.get(list_url(**{key: EVIL}), follow=True).text + "evil")


@pytest.mark.parametrize(
    "key", ["path", "only", "page", "tab", "level", "step", "before"]
)
def test_what_is_in_the_address_of_a_page_is_harmless(boss, hostile, key):
    for tab in ("steps", "logs"):
        found = boss.get(page_url(hostile[0], **{"tab": tab, key: EVIL}))
        assert found.status_code == 200
        assert_harmless(found.text)


def test_a_whole_payload_is_no_page(boss, hostile):
    execution, step, event = hostile
    for address in (
        stored_url(execution, "input"),
        stored_url(execution, "data"),
        stored_url(execution, "step", step.pk),
        stored_url(execution, "event", event.pk),
    ):
        found = boss.get(address)
        assert found.headers["Content-Type"] == "application/json"
        assert found.headers["X-Content-Type-Options"] == "nosniff"
        assert "evil" in found.text


def test_no_page_needs_inline_scripts_or_styles(boss, hostile):
    """Ours do not; those of a theme around them are left out."""
    for address in (list_url(), *(page_url(hostile[0], tab=tab) for tab in TABS)):
        html = boss.get(address + ("&" if "?" in address else "?") + "_live=1").text
        for tag, attributes in elements(html):
            assert tag not in ("script", "style")
            assert "style" not in attributes


@pytest.mark.parametrize(
    "parameter", ["q", "status", "workflow", "tag", "path", "_live"]
)
def test_nul_in_the_address_is_refused(boss, hostile, parameter):
    query = {parameter: "a\x00b"}

    assert boss.get(list_url(**query)).status_code == 400
    assert boss.get(page_url(hostile[0], **query)).status_code == 400


MEGABYTE = "x" * 1_000_000


def test_a_page_stays_small_whatever_users_store(boss):
    """A list asks for itself again every two seconds."""
    told = {"type": "cancelled", "message": MEGABYTE}
    for _ in range(3):
        make_execution(status="cancelled", error=told)
    running = make_execution(
        status="running",
        progress={"done": 1, "total": 2, "message": MEGABYTE},
        input={"a": MEGABYTE},
        data={MEGABYTE: 1},
    )
    make_step(running, output={"a": MEGABYTE})
    make_event(running, payload=MEGABYTE)
    waiting = make_execution(status="waiting", parent=running, waiting_for=MEGABYTE)
    make_wait(waiting)
    asking = make_wait(running, name="ask")
    make_input(running, asking, prompt=MEGABYTE, metadata={"a": MEGABYTE})
    overview = reverse("admin:django_durable_overview_changelist")
    inbox = reverse("admin:django_durable_inputrequest_changelist")

    for address in (
        list_url(),
        overview,
        inbox,
        *(page_url(one, tab=tab) for tab in TABS for one in (running, waiting)),
    ):
        assert len(boss.get(address).content) < 200_000, address


def test_what_is_nested_as_deep_as_can_be_stored_is_shown(boss):
    tree: object = "x"
    for _ in range(MAX_DEPTH - 1):
        tree = {"a": tree}
    execution = make_execution(input=tree, data=tree)
    make_step(execution, output=tree)

    for address in (
        page_url(execution, tab="data"),
        page_url(execution, tab="steps"),
        stored_url(execution, "data"),
    ):
        assert boss.get(address).status_code == 200
