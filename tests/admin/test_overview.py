"""The first page of the app: what it tells, to whom, and what it costs."""

from __future__ import annotations

from datetime import timedelta
from html import unescape
from uuid import UUID

import pytest
from django.urls import reverse

import django_durable as durable
from django_durable import Workflow, clock, hours, minutes, seconds, step
from django_durable.admin.overview.alarms import Alarm, alarms
from django_durable.admin.sentences import plain
from django_durable.models import Schedule, Worker
from django_durable.store.overview import Overview, QueueCounts
from tests.factories import NOON, counted, drain, stored

ADDRESS = "/admin/django_durable/overview/"
HOSTILE = "<script>alert('x')</script>\"&"


class Overlooked(Workflow):
    @step
    def ask(self):
        return {"go": durable.wait_for_approval("go", group="finance")}


@pytest.fixture(autouse=True)
def noon():
    with clock.freeze(NOON) as frozen:
        yield frozen


def failed(**error):
    error = {"type": "ConnectionError", "message": "no answer", "step": "pay", **error}
    return stored(status="failed", completed_at=NOON - minutes(5), error=error)


def worker(**columns) -> Worker:
    made = {
        "hostname": "web-1",
        "pid": 7,
        "queues": {"default": 4},
        "started_at": NOON - hours(1),
        "beat_at": NOON - seconds(3),
        "expires_at": NOON + seconds(30),
        **columns,
    }
    return Worker.objects.create(**made)


def page(browser, address: str = ADDRESS, **query) -> str:
    answer = browser.get(address, query)
    assert answer.status_code == 200
    return unescape(answer.text)


# --- Alarms: values alone -------------------------------------------------------------


def overview_of(*queues: QueueCounts, workers=(), running=None) -> Overview:
    return Overview(
        at=NOON,
        queues=queues,
        workers=tuple(workers),
        running=running or {},
        open={},
        ended={},
        schedules_due=0,
        failures=0,
    )


def said(found: list[Alarm]) -> list[str]:
    return [plain(one.sentence, now=NOON) for one in found]


def living(**queues: int) -> Worker:
    return Worker(id=UUID(int=1), hostname="w", pid=1, queues=queues)


def test_all_is_well_when_what_is_due_has_a_worker():
    busy = QueueCounts(name="default", claimable=3, oldest=NOON - seconds(9))

    assert alarms(overview_of(busy, workers=[living(default=2)]), []) == []


def test_a_queue_with_work_and_no_worker_raises_the_alarm():
    lonely = QueueCounts(name="reports", claimable=12, oldest=NOON - minutes(40))

    [alarm] = alarms(overview_of(lonely, workers=[living(default=2)]), [])

    assert said([alarm]) == [
        "Queue reports has 12 due and no worker. The first has been due for 40 min."
    ]
    assert alarm.command == "manage.py runworkers --queues reports"
    assert alarm.query == {"queue": "reports", "status": "open"}
    assert alarm.is_grave


def test_what_is_copied_into_a_shell_is_quoted():
    odd = QueueCounts(name="x; rm -rf /", claimable=1)

    [alarm] = alarms(overview_of(odd, workers=[living(default=2)]), [])

    assert alarm.command == "manage.py runworkers --queues 'x; rm -rf /'"


def test_without_any_worker_it_is_one_alarm_for_all_queues():
    queues = [
        QueueCounts(name="a", claimable=10_000, oldest=NOON - minutes(2)),
        QueueCounts(name="b", claimable=5, oldest=NOON - hours(3)),
        QueueCounts(name="c"),
    ]

    found = alarms(overview_of(*queues), [])

    assert said(found) == [
        "No worker is alive, and 10,000+ due. The first has been due for 3 h."
    ]


def test_without_any_worker_what_waits_raises_the_alarm_too():
    waiting = [QueueCounts(name="a", waiting=9), QueueCounts(name="b", waiting=3)]

    [alarm] = alarms(overview_of(*waiting), [])

    assert said([alarm]) == ["No worker is alive, and 12 waiting."]
    assert alarm.command == "manage.py runworkers"
    assert alarms(overview_of(QueueCounts(name="a")), []) == []
    assert alarms(overview_of(*waiting, workers=[living(c=1)]), []) == []


def test_a_queue_that_is_behind_says_whether_its_slots_are_busy():
    late = {"claimable": 9, "oldest": NOON - minutes(6)}
    full = QueueCounts(name="default", running=2, **late)
    stuck = QueueCounts(name="default", running=1, **late)
    workers = [living(default=2)]

    [tired] = alarms(overview_of(full, workers=workers), [])
    [idle] = alarms(overview_of(stuck, workers=workers), [])

    assert "all 2 slots are busy" in said([tired])[0]
    assert not tired.is_grave
    assert "free slots" in idle.remedy
    assert idle.is_grave


def test_what_the_dead_hold_raises_the_alarm():
    held = {UUID(int=9): 3}

    [alone] = alarms(overview_of(running=held), [])
    [soon] = alarms(overview_of(running=held, workers=[living(default=2)]), [])

    assert said([alone]) == ["3 held by workers that are dead."]
    assert alone.is_grave
    assert not soon.is_grave


def test_schedules_that_nobody_fires_or_that_wore_out_raise_the_alarm():
    late = [
        Schedule(name=name, enabled=True, next_fire_at=NOON - minutes(9))
        for name in ("nightly", "weekly")
    ]
    worn_out = Schedule(name="hourly", enabled=False, failure_count=5)
    failing = Schedule(name="daily", enabled=True, failure_count=2)

    found = alarms(overview_of(), [*late, worn_out, failing])

    assert said(found) == [
        "Schedule nightly should have fired 9 min ago (and 1 more), and no worker "
        "fires schedules.",
        "Schedule hourly was disabled, for it could start nothing.",
    ]


# --- The page -------------------------------------------------------------------------


@pytest.mark.django_db
def test_numbers_lead_to_what_they_count(boss):
    stored(3, status="pending", available_at=NOON)
    stored(2, status="completed", completed_at=NOON - hours(2))
    worker()

    found = page(boss)

    for query in ("status=pending", "status=completed&q=ended%3A24h"):
        assert f"/admin/django_durable/execution/?{query}" in found
    listed = boss.get(
        "/admin/django_durable/execution/", {"status": "completed", "q": "ended:24h"}
    )
    assert listed.context["cl"].result_count == 2


@pytest.mark.django_db
def test_what_ended_before_or_is_a_child_is_not_in_the_list_that_a_number_leads_to(
    boss,
):
    stored(1, status="failed", completed_at=NOON - hours(25))
    stored(1, status="failed", completed_at=NOON - hours(1), parent_id=UUID(int=5))
    address = "/admin/django_durable/execution/"

    assert boss.get(address, {"q": "ended:24h"}).context["cl"].result_count == 0
    assert boss.get(address, {"q": "ended:nonsense"}).context["cl"].result_count == 0


@pytest.mark.django_db
def test_failures_are_grouped_and_lead_to_their_list_and_to_the_newest(boss):
    for _ in range(2):
        failed()
    [newest] = failed(message="gone")

    found = page(boss)

    assert "ConnectionError" in found
    assert "gone" in found
    assert str(newest.pk) in found
    query = "status=unsuccessful&workflow=stored&q=ended%3A24h+error%3A%22Connection"
    assert query in found
    words = {"status": "unsuccessful", "q": 'ended:24h error:"ConnectionError"'}
    listed = boss.get("/admin/django_durable/execution/", words)
    assert listed.context["cl"].result_count == 3


@pytest.mark.django_db
def test_a_queue_without_worker_is_marked_and_told_of(boss):
    stored(2, queue="reports", available_at=NOON - minutes(7))
    worker()

    found = page(boss)

    assert "no worker" in found
    assert "manage.py runworkers --queues reports" in found
    assert "Alarms: 1." in found


@pytest.mark.django_db
def test_a_bounded_count_says_so(boss, monkeypatch):
    from django_durable.console import words
    from django_durable.store import bounded

    monkeypatch.setattr(bounded.CountUpTo.__init__, "__defaults__", (2,))
    monkeypatch.setattr(words.up_to, "__defaults__", (2,))
    stored(3, status="waiting")

    assert '<span class="durable-figure">2+</span>' in page(boss)


@pytest.mark.django_db
def test_questions_are_counted_for_the_reader_and_in_all(login):
    durable.start_many(Overlooked, [None] * 3)
    drain()
    from django.contrib.auth.models import Group, User

    browser = login("view_execution", "view_inputrequest", name="fiona")
    other = login("view_execution", name="otto")
    User.objects.get(username="fiona").groups.add(Group.objects.create(name="finance"))

    found = page(browser)

    assert "3 for you" in found
    assert "3 in all" in found
    assert "0 for you" in page(other)
    assert "in all" not in page(other)


@pytest.mark.django_db
def test_the_most_of_the_past_hour_may_be_in_the_minute_that_is_not_over(boss):
    stored(2, status="completed", completed_at=NOON - minutes(2))
    stored(3, status="completed", completed_at=NOON)

    assert "At most 3, so far." in page(boss)


@pytest.mark.django_db
def test_the_past_hour_is_drawn_and_told_in_a_table(boss):
    stored(
        2,
        status="completed",
        started_at=NOON - minutes(3),
        created_at=NOON - minutes(4),
        completed_at=NOON - minutes(1),
    )

    found = page(boss)

    assert found.count('<svg class="durable-spark"') == 3
    assert "Completed per minute: 2 in the last minute, at most 11:59: 2." in found
    assert "<title>11:59: 2</title>" in found
    row = found[found.index('<th scope="row">11:59</th>') :]
    assert ">2</td>" in row
    assert ">1m</td>" in row
    assert ">2m</td>" in row


@pytest.mark.django_db
def test_a_region_is_answered_alone_and_not_twice(boss):
    stored(1, status="waiting")

    standing = boss.get(ADDRESS, {"_live": "1"})
    rates = boss.get(ADDRESS, {"_live": "rates"})
    again = boss.get(
        ADDRESS, {"_live": "1"}, headers={"If-None-Match": standing["ETag"]}
    )

    assert standing.text.startswith('<div id="durable-standing"')
    assert rates.text.startswith('<section id="durable-rates"')
    assert 'data-hx-get="/admin/django_durable/overview/?_live=rates"' in rates.text
    assert again.status_code == 304


@pytest.mark.django_db
def test_it_looks_again_soon_while_something_moves_and_seldom_otherwise(boss):
    assert 'data-live="slow"' in boss.get(ADDRESS, {"_live": "1"}).text

    stored(1, available_at=NOON)

    assert 'data-live="on"' in boss.get(ADDRESS, {"_live": "1"}).text


@pytest.mark.django_db
def test_it_is_the_first_page_of_the_app(boss):
    found = boss.get("/admin/django_durable/")

    [app] = found.context["app_list"]
    assert app["models"][0]["name"].strip() == "Overview"


# --- Who sees what --------------------------------------------------------------------


@pytest.mark.django_db
def test_who_is_not_logged_in_is_sent_to_the_door(client):
    answer = client.get(ADDRESS)

    assert answer.status_code == 302
    assert answer["Location"].startswith(reverse("admin:login"))


@pytest.mark.django_db
@pytest.mark.parametrize("region", [{}, {"_live": "1"}, {"_live": "rates"}])
@pytest.mark.parametrize(
    ("permissions", "status"),
    [
        ((), 403),
        (("view_worker", "view_schedule", "view_inputrequest", "view_payload"), 403),
        (("view_execution",), 200),
    ],
)
def test_it_takes_the_permission_to_see_executions(login, permissions, status, region):
    assert login(*permissions).get(ADDRESS, region).status_code == status


@pytest.mark.django_db
def test_workers_and_schedules_are_shown_to_those_who_may_see_them(login):
    worker()
    durable.schedule(Overlooked, "0 3 * * *", name="nightly")
    Schedule.objects.update(
        enabled=False, failure_count=5, disabled_reason="It failed.", last_error="boom"
    )
    some = page(login("view_execution", name="some"))
    every = page(login("view_execution", "view_worker", "view_schedule", name="every"))

    assert "web-1:7" not in some
    assert "nightly" not in some
    assert "web-1:7" in every
    assert "nightly" in every
    assert "1 of 4" not in every
    assert "0 of 4" in every


@pytest.mark.django_db
def test_hostile_names_are_escaped(boss):
    stored(1, queue=HOSTILE[:100], available_at=NOON - hours(1))
    failed(type=HOSTILE, message=HOSTILE, step=HOSTILE)
    worker(hostname=HOSTILE, queues={HOSTILE: 1})
    durable.schedule(Overlooked, "0 3 * * *", name=HOSTILE)
    Schedule.objects.update(failure_count=1, last_error=HOSTILE)

    answer = boss.get(ADDRESS)

    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert" in answer.text


@pytest.mark.django_db
def test_a_nul_in_the_address_is_refused_and_an_unknown_instance_is_not_found(boss):
    assert boss.get(f"{ADDRESS}?x=%00").status_code == 400
    assert boss.get(ADDRESS, {"durable": "nowhere"}).status_code == 404


# --- What it costs --------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("count", [1, 60])
def test_the_number_of_queries_does_not_follow_what_is_stored(boss, count):
    stored(count, status="pending", available_at=NOON)
    stored(count, status="waiting")
    for number in range(count):
        failed(type=f"Error{number}")
        worker(pid=number)
    stored(count, status="completed", completed_at=NOON - timedelta(minutes=count % 60))
    boss.get(ADDRESS)

    with counted() as whole:
        boss.get(ADDRESS)
    with counted() as standing:
        boss.get(ADDRESS, {"_live": "1"})
    with counted() as rates:
        boss.get(ADDRESS, {"_live": "rates"})

    # Two of each are the session and the user.
    assert len(standing.queries) == 12
    assert len(rates.queries) == 4
    assert len(whole.queries) == 14
