"""The page of workers: who lives, what each runs, what became of the work of the dead."""

from __future__ import annotations

from datetime import timedelta
from html import unescape

import pytest
from django.urls import reverse

import django_durable as durable
from django_durable import Workflow, clock, hours, minutes, seconds, step
from django_durable.models import Execution, Step, Worker
from django_durable.store import leases, losses, workers
from tests.factories import NOON, counted, drain

pytestmark = pytest.mark.django_db

ADDRESS = "/admin/django_durable/worker/"
HOSTILE = "<script>alert('x')</script>\"&"


class Mortal(Workflow):
    @step
    def work(self):
        return {}


@pytest.fixture(autouse=True)
def noon():
    with clock.freeze(NOON) as frozen:
        yield frozen


def worker(**columns) -> Worker:
    made = {
        "hostname": "web-1",
        "pid": 7,
        "queues": {"default": 4, "payments": 2},
        "started_at": NOON - hours(1),
        "beat_at": NOON - seconds(3),
        "expires_at": NOON + seconds(30),
        **columns,
    }
    return Worker.objects.create(**made)


def claim(owner: Worker, count: int = 1) -> list[Execution]:
    made = durable.start_many(Mortal, [None] * count)
    leases.claim(queue="default", worker_id=owner.pk, limit=50, using="default")
    return made


def page(browser, **query) -> str:
    answer = browser.get(ADDRESS, query)
    assert answer.status_code == 200
    return unescape(answer.text)


def part(found: str, id_: str) -> str:
    begin = found.index(f'id="{id_}"')
    return found[begin : found.index("</table>", begin)]


def test_a_living_worker_tells_its_load_its_slots_and_what_it_runs(boss):
    mine = worker()
    running = claim(mine, 2)

    living = part(page(boss), "durable-living")

    assert "web-1:7" in living
    assert 'data-status="alive"' in living
    assert "2 of 6" in living
    for queue, slots in mine.queues.items():
        assert f'{queue} <span class="durable-quiet">{slots}</span>' in living
    for one in running:
        assert str(one.pk) in living
    assert f'id="worker-{mine.pk}"' in living


def test_only_some_of_what_a_worker_runs_is_shown(boss):
    claim(worker(queues={"default": 9}), 8)

    living = part(page(boss), "durable-living")

    assert living.count("mortal") == 5
    assert "and 3 more" in living


def test_a_member_of_a_block_leads_to_its_execution(boss):
    owner = durable.start(Mortal)
    holder = worker()
    Execution.rows.filter(pk=owner.pk).update(available_at=None)
    [lane] = claim(holder)
    Execution.rows.filter(pk=lane.pk).update(is_lane=True, parent=owner)

    living = part(page(boss), "durable-living")

    assert str(owner.pk) in living
    assert str(lane.pk) not in living


def test_a_dead_worker_tells_what_became_of_its_work(boss, noon):
    mine = worker()
    lost = claim(mine)
    noon.advance(minutes(5))
    workers.bury_expired(using="default")
    workers.release_lost(using="default")
    noon.advance(minutes(5))
    drain()

    dead = part(page(boss), "durable-dead")

    assert "web-1:7" in dead
    assert 'data-status="dead"' in dead
    assert str(lost[0].pk) in dead
    assert "lost attempt 1; now" in dead
    assert 'data-status="completed"' in dead


def test_what_a_dead_worker_still_holds_is_told(boss, noon):
    claim(worker(), 2)
    noon.advance(minutes(5))

    found = page(boss)

    assert "2 executions are still held by it." in part(found, "durable-dead")
    assert "2 held by workers that are dead." in found
    assert "No worker is alive." in found


def test_a_dead_worker_that_held_nothing_says_so(boss):
    worker(is_dead=True, expires_at=NOON - hours(2))

    assert "It held nothing" in part(page(boss), "durable-dead")


def test_a_lost_attempt_is_that_of_the_last_worker_of_that_name(boss):
    first = worker(
        is_dead=True,
        started_at=NOON - hours(9),
        beat_at=NOON - hours(8),
        expires_at=NOON - hours(8),
    )
    second = worker(
        is_dead=True,
        started_at=NOON - hours(3),
        beat_at=NOON - hours(2),
        expires_at=NOON - hours(2),
    )
    for name, at in (("early", NOON - hours(7)), ("late", NOON - hours(1))):
        Step.objects.create(
            execution=durable.start(Mortal),
            path=name,
            kind="step",
            sequence=0,
            attempt=1,
            status="lost",
            error={"message": f"The worker {first} died, or hung."},
            started_at=at,
            completed_at=at,
        )

    found = page(boss)

    rows = found[found.index('id="durable-dead"') :]
    of_second = rows[rows.index(f"worker-{second.pk}") : rows.index(f"{first.pk}")]
    of_first = rows[rows.index(f"worker-{first.pk}") :]
    assert "late" in of_second
    assert "early" not in of_second
    assert "early" in of_first


@pytest.mark.parametrize("error", [None, {}, {"message": None}, {"message": ["x"]}])
def test_an_attempt_that_does_not_tell_its_worker_is_nobodys(error):
    step = Step(error=error, completed_at=NOON)

    assert not losses.is_lost_with(step, Worker(hostname="w", pid=1, started_at=NOON))


def test_what_died_longer_ago_is_left_out(boss):
    worker(
        is_dead=True, beat_at=NOON - timedelta(hours=25), expires_at=NOON - hours(25)
    )

    found = page(boss)

    assert "web-1:7" not in found
    assert "None. A worker that is stopped in good order" in found


def test_a_queue_with_work_and_no_worker_is_told_of(boss):
    worker()
    durable.start(Mortal, queue="forgotten")

    found = page(boss)

    assert "Queue <strong>forgotten</strong> has 1 due and no worker." in found
    assert "manage.py runworkers --queues forgotten" in found


def test_the_region_is_answered_alone_and_not_twice(boss):
    worker()

    first = boss.get(ADDRESS, {"_live": "1"})
    again = boss.get(ADDRESS, {"_live": "1"}, headers={"If-None-Match": first["ETag"]})

    assert first.text.startswith('<div id="durable-workers"')
    assert 'data-live="on"' in first.text
    assert again.status_code == 304


def test_a_heartbeat_alone_changes_what_is_shown_but_its_words_do_not(boss, noon):
    worker()
    first = boss.get(ADDRESS, {"_live": "1"})

    noon.advance(seconds(1))
    same = boss.get(ADDRESS, {"_live": "1"}, headers={"If-None-Match": first["ETag"]})
    Worker.objects.update(beat_at=NOON)
    other = boss.get(ADDRESS, {"_live": "1"}, headers={"If-None-Match": first["ETag"]})

    assert same.status_code == 304
    assert other.status_code == 200


# --- Who may --------------------------------------------------------------------------


def test_who_is_not_logged_in_is_sent_to_the_door(client):
    answer = client.get(ADDRESS)

    assert answer.status_code == 302
    assert answer["Location"].startswith(reverse("admin:login"))


@pytest.mark.parametrize(
    ("permissions", "status"),
    [
        ((), 403),
        (("view_execution", "operate_execution", "view_schedule"), 403),
        (("view_worker",), 200),
    ],
)
@pytest.mark.parametrize("region", [{}, {"_live": "1"}])
def test_it_takes_the_permission_to_see_workers(login, permissions, status, region):
    assert login(*permissions).get(ADDRESS, region).status_code == status


def test_executions_are_named_only_to_those_who_may_see_them(login, noon):
    mine = worker()
    lost = claim(mine)
    noon.advance(minutes(5))
    workers.bury_expired(using="default")
    workers.release_lost(using="default")
    held = claim(worker(pid=8, expires_at=NOON + hours(1)))
    some = page(login("view_worker", name="some"))
    more = page(login("view_worker", "view_execution", name="more"))

    for one in (*lost, *held):
        assert str(one.pk) not in some
        assert str(one.pk) in more
    assert "1 attempt was lost and given back." in some
    assert "execution/" not in some[some.index('id="durable-workers"') :]


def test_hostile_names_are_escaped(boss):
    claim(worker(hostname=HOSTILE, queues={HOSTILE: 1}))
    worker(hostname=HOSTILE, queues={HOSTILE: 1}, is_dead=True)
    Execution.rows.update(current_step=HOSTILE, workflow=HOSTILE)

    answer = boss.get(ADDRESS)

    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert" in answer.text


def test_nothing_is_changed_here(boss):
    mine = worker()

    for name in ("add", f"{mine.pk}/change", f"{mine.pk}/delete"):
        assert boss.get(f"{ADDRESS}{name}/").status_code == 404
    assert boss.post(ADDRESS, {"action": "delete_selected"}).status_code == 200
    assert Worker.objects.exists()


@pytest.mark.parametrize("count", [1, 20])
def test_the_number_of_queries_does_not_follow_that_of_workers(boss, noon, count):
    for number in range(count):
        claim(worker(pid=number))
    noon.advance(minutes(5))
    workers.bury_expired(using="default")
    workers.release_lost(using="default")
    for number in range(count):
        claim(worker(pid=100 + number, expires_at=NOON + hours(1)))
    boss.get(ADDRESS)

    with counted() as whole:
        boss.get(ADDRESS)

    assert len(whole.queries) <= 11
