"""The catalogue of workflows, and the page of each."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django import forms
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

import django_durable as durable
from django_durable import (
    Branch,
    Case,
    Default,
    Each,
    Fail,
    Loop,
    Parallel,
    Retry,
    WaitForApproval,
    WaitForEvent,
    Workflow,
    clock,
    days,
    decision,
    minutes,
    seconds,
    step,
)
from django_durable.models import Execution
from django_durable.store import catalogue
from tests.factories import NOON, drain

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_registry")]

LIST = reverse("admin:django_durable_workflow_changelist")
HOSTILE = "<script>alert('x')</script>"


class ToolForm(forms.Form):
    number = forms.IntegerField()


class CatalogueTour(Workflow, timeout=days(2), queue="slow", priority=3):
    """Goes past every kind of node.

    It has a second paragraph, <b>bold</b> in the code and plain here.
    """

    @step(retry=Retry(max_attempts=5, base=seconds(1)), timeout=minutes(2))
    def pack(self, parcel): ...

    @pack.compensate(retry=3)
    def unpack(self): ...

    @step(atomic=True, queue="special")
    def book(self):
        """Exactly once."""

    @decision(targets=["pack"])
    def again(self): ...

    class Way(Branch):
        def on(self, data):
            return "a"

        class Air(Case, when=["a", "b"]):
            go_ahead = WaitForApproval(group="finance", timeout=days(1))

        class Sea(Default):
            @step
            def swim(self): ...

    class Both(Parallel, on_error="complete_all"):
        @step
        def left(self): ...

        @step
        def right(self): ...

    class Parts(Each, max_concurrency=7):
        def items(self):
            return []

        @step
        def send(self, item): ...

    class Rounds(Loop, max_iterations=9):
        def condition(self):
            return False

        @step
        def turn(self): ...


class CatalogueWaits(Workflow):
    """Waits for an event."""

    paid = WaitForEvent("paid")


class CatalogueFails(Workflow):
    @step
    def fail(self):
        raise Fail("no")


class CatalogueParent(Workflow):
    class Both(Parallel):
        @step
        def one(self):
            durable.wait_for_event("never")

        @step
        def two(self):
            durable.wait_for_event("never")


class CatalogueForm(Workflow, input_form=ToolForm):
    @step
    def work(self, number): ...


class CatalogueOdd(Workflow, name='odd/_5F "name" <b> ?#'):
    @step
    def work(self): ...


def page_of(name: str) -> str:
    from django_durable.admin.catalogue.listing import url_of
    from django_durable.admin.instances import Place

    return url_of(name, Place("default", "admin"))


def rows_of(page: str) -> dict[str, str]:
    """Return the row of each workflow in the catalogue, as HTML."""
    found = re.findall(r'<tr data-workflow="([^"]*)">(.*?)</tr>', page, re.DOTALL)
    return dict(found)


def make_gone(count: int = 1, **fields: object) -> None:
    """Store executions of a workflow that this code does not have."""
    for _ in range(count):
        Execution.objects.create(
            workflow="gone_from_code",
            queue="default",
            home_queue="default",
            **{"status": "pending", "available_at": clock.now(), **fields},
        )


# --- The list ----------------------------------------------------------------------------


def test_the_list_says_what_there_is_and_how_it_fares(login):
    for _ in range(3):
        durable.start(CatalogueWaits)
    durable.start(CatalogueFails)
    drain()
    durable.start(CatalogueWaits)

    rows = rows_of(login("view_execution").get(LIST).text)

    assert "Waits for an event." in rows["catalogue_waits"]
    assert ">4</a>" in rows["catalogue_waits"]
    assert "workflow=catalogue_waits&amp;status=open" in rows["catalogue_waits"]
    assert ">1</a>" in rows["catalogue_fails"]
    assert "status=unsuccessful" in rows["catalogue_fails"]
    assert "<td>slow</td>" in rows["catalogue_tour"]
    assert "status=open" not in rows["catalogue_tour"]
    assert page_of("catalogue_tour") in rows["catalogue_tour"]


def test_members_of_a_block_are_not_counted_as_executions(login):
    durable.start(CatalogueParent)
    drain()

    rows = rows_of(login("view_execution").get(LIST).text)

    assert ">1</a>" in rows["catalogue_parent"]


@pytest.mark.parametrize("status", ["pending", "waiting", "paused", "compensating"])
def test_whatever_stands_still_is_counted_as_open(login, status):
    """Also what was paused before it waited for anything, which nothing wakes."""
    make_gone(2, status=status, available_at=None)
    make_gone(status="running", available_at=None, leased_by=uuid4())
    make_gone(status="completed", available_at=None)

    rows = rows_of(login("view_execution").get(LIST).text)

    assert ">3</a>" in rows["gone_from_code"]


def test_what_failed_long_ago_is_not_counted(login):
    with clock.freeze(datetime(2020, 1, 1, tzinfo=UTC)):
        durable.start(CatalogueFails)
        drain()

    assert catalogue.failed_by_workflow(using="default").counts == {}
    page = login("view_execution").get(LIST).text
    assert "status=unsuccessful" not in rows_of(page)["catalogue_fails"]


def test_counts_end_somewhere_and_say_so(login, monkeypatch):
    monkeypatch.setattr(catalogue, "MOST", 3)
    for _ in range(5):
        durable.start(CatalogueWaits)

    page = login("view_execution").get(LIST).text

    assert ">3+</a>" in rows_of(page)["catalogue_waits"]


def test_workflows_that_only_the_database_knows_are_listed_as_such(login):
    make_gone()
    sam = login("view_execution", "start_execution")

    page = sam.get(LIST).text
    missing = page.partition('id="durable-missing"')[2]
    assert "gone_from_code" in missing
    assert "catalogue_tour" not in missing

    own = sam.get(page_of("gone_from_code"))
    assert own.status_code == 200
    assert "not deployed here" in own.text
    assert "durable-drawing" not in own.text
    assert 'data-action="start"' not in own.text
    assert sam.get(page_of("gone_from_code") + "start/").status_code == 404


def test_schedules_are_shown_to_those_who_may_see_them(login):
    durable.schedule(CatalogueWaits, "0 9 * * MON-FRI", name="morning")
    durable.schedule(CatalogueWaits, "0 9 * * *", name="off", enabled=False)

    rows = rows_of(login("view_execution", name="zoe").get(LIST).text)
    assert "morning" not in rows["catalogue_waits"]
    sam = login("view_execution", "view_schedule")
    rows = rows_of(sam.get(LIST).text)
    assert "morning" in rows["catalogue_waits"]
    assert "Monday through Friday (UTC)" in rows["catalogue_waits"]
    assert "disabled" in rows["catalogue_waits"]
    assert "morning" in sam.get(page_of("catalogue_waits")).text


def test_the_list_costs_the_same_however_many_there_are(login):
    sam = login("view_execution", "view_schedule", "start_execution")

    def statements():
        sam.get(LIST)
        with CaptureQueriesContext(connection) as captured:
            sam.get(LIST)
        return len(captured)

    few = statements()
    for number in range(10):
        durable.start(CatalogueWaits)
        durable.schedule(CatalogueWaits, "0 9 * * *", name=f"schedule {number}")
    make_gone(3)

    assert statements() == few <= 12


# --- The page ----------------------------------------------------------------------------


@pytest.fixture
def tour(login) -> str:
    return login("view_execution").get(page_of("catalogue_tour")).text


def row_of(page: str, path: str) -> str:
    return page.partition(f'data-path="{path}">\n')[2].partition("</tr>")[0]


def test_the_page_says_what_the_code_says(tour):
    assert "<p>Goes past every kind of node.</p>" in tour
    assert "&lt;b&gt;bold&lt;/b&gt;" in tour
    assert "2 days" in tour
    assert "tests.admin.test_catalogue.CatalogueTour" in tour
    assert "not in QUEUES of the settings" in tour


def test_the_page_has_the_graph_whose_nodes_lead_to_their_rows(tour):
    assert 'class="durable-drawing durable-graph' in tour
    for path in ("pack", "way.air.go_ahead", "parts.send", "both"):
        assert f'href="#node-{path}"' in tour
        assert f'id="node-{path}"' in tour
    assert 'href="#node-(start)"' not in tour


@pytest.mark.parametrize(
    ("path", "options"),
    [
        (
            "pack",
            [
                "5 attempts, 2 seconds, 4 seconds, 8 seconds … apart",
                "at most 2 minutes an attempt",
                "undone by unpack, 3 attempts, 2 seconds, 4 seconds apart",
            ],
        ),
        ("book", ["atomic", "queue special", "Exactly once."]),
        ("again", ["may jump to pack"]),
        ("way.air", ["when a, b"]),
        ("way.air.go_ahead", ["approval by finance, at most 1 day"]),
        ("way.sea", ["in any other case"]),
        ("both", ["complete_all"]),
        ("parts", ["at most 7 at once"]),
        ("rounds", ["at most 9 rounds"]),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_every_node_is_listed_with_its_options(tour, path, options):
    row = row_of(tour, path)

    for option in options:
        assert option in row


def test_the_page_says_how_many_stand_where(login):
    for _ in range(2):
        durable.start(CatalogueWaits)
    drain()

    page = login("view_execution").get(page_of("catalogue_waits")).text

    row = row_of(page, "paid")
    assert ">2 waiting</a>" in row
    assert "workflow=catalogue_waits&amp;status=open&amp;q=step%3Apaid" in row
    assert "2 waiting" in page.partition("durable-drawing ")[2].partition("</svg>")[0]


def test_what_stands_in_a_member_of_a_block_is_found_by_its_execution(login):
    durable.start(CatalogueParent)
    drain()
    sam = login("view_execution")

    row = row_of(sam.get(page_of("catalogue_parent")).text, "both.one")

    address = re.search(r'href="([^"]*q=step[^"]*)"', row)[1].replace("&amp;", "&")
    assert "q=step%3Aboth" in address
    assert str(Execution.objects.get().pk) in sam.get(address).text


def test_the_newest_executions_are_on_the_page(login):
    started = [durable.start(CatalogueFails) for _ in range(12)]
    durable.start(CatalogueWaits)
    drain()

    page = login("view_execution").get(page_of("catalogue_fails")).text

    found = re.findall(r'title="([0-9a-f-]{36})"', page)
    assert found == [str(one.pk) for one in reversed(started)][:10]


def test_the_page_keeps_itself_up_to_date(login):
    sam = login("view_execution")
    address = page_of("catalogue_waits")
    region = sam.get(address, {"_live": "1"})
    assert region.text.startswith('<div id="durable-workflow" data-live="slow"')
    durable.start(CatalogueWaits)

    tag = {"If-None-Match": region["ETag"]}
    region = sam.get(address, {"_live": "1"}, headers=tag)
    assert 'data-live="on"' in region.text
    tag = {"If-None-Match": region["ETag"]}
    assert sam.get(address, {"_live": "1"}, headers=tag).status_code == 304
    assert sam.get(LIST, {"_live": "1"}).text.startswith('<div id="durable-workflows"')


def test_the_page_costs_the_same_however_many_executions_there_are(login):
    sam = login("view_execution", "view_schedule")
    address = page_of("catalogue_waits")

    def statements():
        sam.get(address)
        with CaptureQueriesContext(connection) as captured:
            sam.get(address)
        return len(captured)

    durable.start(CatalogueWaits)
    drain()
    few = statements()
    for _ in range(20):
        durable.start(CatalogueWaits)
    drain()

    assert statements() == few <= 16


def test_a_workflow_may_be_called_anything(boss):
    name = CatalogueOdd.definition.workflow

    page = boss.get(LIST).text
    assert "<b>" not in page
    [address] = re.findall(r'href="([^"]*odd[^"]*)">odd', page)
    own = boss.get(address)
    assert own.status_code == 200
    assert "<b>" not in own.text
    assert boss.get(address + "start/").status_code == 200
    started = boss.post(address + "start/", {"input": "{}"})
    assert Execution.objects.get().workflow == name
    assert str(Execution.objects.get().pk) in started.url


def test_an_unknown_workflow_is_not_found(boss):
    assert boss.get(page_of("unheard_of")).status_code == 404
    assert boss.get(page_of(HOSTILE)).status_code == 404
    assert boss.get(page_of("unheard_of") + "start/").status_code == 404


def test_what_the_database_holds_is_escaped(login):
    make_gone(
        status="failed",
        available_at=None,
        completed_at=clock.now(),
        error={"type": HOSTILE, "message": HOSTILE, "step": HOSTILE},
    )
    make_gone(waiting_for=HOSTILE)
    Execution.objects.update(workflow=HOSTILE)
    sam = login("view_execution")

    for address in (LIST, page_of(HOSTILE)):
        page = sam.get(address)
        assert page.status_code == 200
        assert HOSTILE not in page.text
        assert "&lt;script&gt;" in page.text


# --- Who gets in -------------------------------------------------------------------------


@pytest.mark.parametrize("address", [LIST, page_of("catalogue_waits")])
def test_only_those_who_may_see_executions_get_in(client, login, address):
    assert reverse("admin:login") in client.get(address).url
    for permission in (
        None,
        "provide_input",
        "start_execution",
        "view_payload",
        "operate_execution",
        "view_inputrequest",
        "view_schedule",
    ):
        browser: Client = login(
            *([permission] if permission else []), name=str(permission)
        )
        assert browser.get(address).status_code == 403
        assert browser.get(address, {"_live": "1"}).status_code == 403
        assert "Workflows</a>" not in browser.get(reverse("admin:index")).text
    sam = login("view_execution")
    assert sam.get(address).status_code == 200
    assert "Workflows</a>" in sam.get(reverse("admin:index")).text


def test_starting_is_offered_to_those_who_may(login):
    for name, permissions, is_offered in (
        ("looker", ["view_execution", "operate_execution"], False),
        ("starter", ["view_execution", "start_execution"], True),
    ):
        browser = login(*permissions, name=name)
        assert ("Start catalogue_waits" in browser.get(LIST).text) is is_offered
        page = browser.get(page_of("catalogue_waits")).text
        assert ('data-action="start"' in page) is is_offered


def test_it_is_frozen_time_that_counts(login):
    with clock.freeze(NOON):
        durable.start(CatalogueFails)
        drain()

        assert catalogue.failed_by_workflow(using="default").counts == {
            "catalogue_fails": 1
        }
