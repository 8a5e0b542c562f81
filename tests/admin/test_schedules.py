"""Schedules in the admin: looked at, switched, triggered, edited, made and deleted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html import unescape
from uuid import uuid4

import pytest
from django import forms
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils import timezone

import django_durable as durable
from django_durable import Workflow, clock, hours, minutes, step
from django_durable.admin.schedules import timetable
from django_durable.api.schedules import register_code_schedules
from django_durable.models import Execution, Schedule
from django_durable.models.fields import Encoded
from django_durable.store import schedules as store
from django_durable.store.firing import fire_key
from tests.factories import NOON, counted, drain

pytestmark = pytest.mark.django_db

LIST = "/admin/django_durable/schedule/"
ADD = f"{LIST}add/"
HOSTILE = "<script>alert('x')</script>\"&"


class Days(forms.Form):
    days = forms.IntegerField(required=False, initial=1)


class Way(forms.Form):
    way = forms.ChoiceField(choices=[("air", "By air"), ("sea", "By sea")])


class Choosy(Workflow, name="choosy_schedule", input_form=Way):
    @step
    def send(self, way): ...


class Digested(Workflow, input_form=Days):
    @step
    def write(self, data):
        return {"pages": 2}


class Stranded(Workflow):
    @step
    def write(self, data):
        raise ValueError("no paper")


@pytest.fixture(autouse=True)
def noon():
    with clock.freeze(NOON) as frozen:
        yield frozen


@pytest.fixture
def nightly() -> Schedule:
    return durable.schedule(
        Digested,
        "0 3 * * *",
        name="nightly",
        timezone="Europe/Berlin",
        input={"days": 7},
        overlap="skip",
    )


def address_of(row: Schedule, operation: str = "") -> str:
    if operation:
        return reverse("admin:django_durable_schedule_act", args=[row.pk, operation])
    return reverse("admin:django_durable_schedule_change", args=[row.pk])


def text_of(answer) -> str:
    """Return a page as it is, blanks made one."""
    assert answer.status_code == 200
    return " ".join(unescape(answer.text).split())


def fresh(row: Schedule) -> Schedule:
    return Schedule.objects.get(pk=row.pk)


def history() -> list[str]:
    return list(
        LogEntry.objects.order_by("pk").values_list("change_message", flat=True)
    )


def edited(row: Schedule, **changes: str) -> dict[str, str]:
    """Return what a browser sends of the form, with what was there when it was opened."""
    as_it_was = {
        "cron": row.cron,
        "timezone": row.timezone,
        "input": '{"days": 7}',
        "queue": "",
        "overlap": row.overlap,
        "catch_up": row.catch_up,
        "jitter": "",
    }
    before = {f"initial-{name}": value for name, value in as_it_was.items()}
    return {**as_it_was, **before, **changes}


# --- The list -------------------------------------------------------------------------


def test_the_list_tells_when_each_fires_and_how_it_fared(boss, nightly):
    durable.trigger_schedule("nightly")
    drain()

    found = text_of(boss.get(LIST))

    assert "At 03:00" in found
    assert "0 3 * * *" in found
    assert "Europe/Berlin" in found
    assert 'data-status="completed"' in found
    assert 'role="switch" aria-checked="true"' in found
    assert "14 h" in found


def test_one_that_was_only_triggered_says_so_beside_its_last_execution(boss, nightly):
    durable.trigger_schedule("nightly")

    found = text_of(boss.get(LIST))

    assert "pending</span> triggered" in found


def test_a_schedule_and_its_workflow_lead_to_each_other(boss, nightly):
    workflow = reverse("admin:django_durable_workflow_change", args=[nightly.workflow])
    Schedule.objects.filter(pk=nightly.pk).update(failure_count=2)

    assert f'<a href="{workflow}">' in text_of(boss.get(address_of(nightly)))
    for page in (workflow, reverse("admin:django_durable_workflow_changelist")):
        found = text_of(boss.get(page))
        assert f'<a href="{address_of(nightly)}">nightly</a>' in found
        assert "failing" in found


def test_a_schedule_that_fails_says_why_in_the_list_and_is_found_by_its_state(
    boss, nightly
):
    durable.schedule(Digested, "0 4 * * *", name="sound")
    Schedule.objects.filter(name="nightly").update(
        failure_count=3, last_error="no such workflow"
    )

    found = text_of(boss.get(LIST))
    troubled = boss.get(LIST, {"state": "trouble"}).context["cl"]

    assert "3 failures in a row: no such workflow" in found
    assert [row.name for row in troubled.result_list] == ["nightly"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"state": "enabled"}, ["nightly"]),
        ({"state": "disabled"}, ["off"]),
        ({"state": "trouble"}, []),
        ({"origin": "code"}, []),
        ({"origin": "database"}, ["nightly", "off"]),
        ({"workflow": "stranded"}, ["off"]),
        ({"q": "0 3"}, ["nightly"]),
    ],
)
def test_the_list_is_narrowed_by_state_origin_and_workflow(boss, nightly, query, names):
    durable.schedule(Stranded, "0 4 * * *", name="off", enabled=False)

    found = boss.get(LIST, query).context["cl"].result_list

    assert [row.name for row in found] == names


@pytest.mark.parametrize(
    ("columns", "is_troubled"),
    [
        ({}, False),
        ({"failure_count": 1}, True),
        ({"enabled": False, "failure_count": 5, "disabled_reason": "worn out"}, True),
        ({"enabled": False, "failure_count": 2}, False),
        ({"enabled": False, "disabled_reason": "", "failure_count": 0}, False),
        (
            {
                "enabled": False,
                "failure_count": 1,
                "disabled_reason": "It is no longer in the code.",
            },
            False,
        ),
        ({"next_fire_at": NOON - minutes(2)}, True),
        ({"next_fire_at": NOON - minutes(2), "enabled": False}, False),
    ],
)
def test_in_trouble_is_what_fails_wore_out_or_is_not_fired(
    nightly, columns, is_troubled
):
    Schedule.objects.update(**columns)

    assert store.rows("default").in_trouble().exists() is is_troubled


@pytest.mark.parametrize("count", [1, 25])
def test_the_number_of_queries_does_not_follow_that_of_schedules(boss, count):
    for number in range(count):
        durable.schedule(Digested, "0 3 * * *", name=f"schedule {number}")
        durable.trigger_schedule(f"schedule {number}")
    boss.get(LIST)

    with counted() as whole:
        boss.get(LIST)

    assert len(whole.queries) <= 9


def test_the_region_of_the_list_is_answered_alone(boss, nightly):
    first = boss.get(LIST, {"_live": "1"})

    assert first.text.startswith('<div id="durable-schedules"')
    again = boss.get(LIST, {"_live": "1"}, headers={"If-None-Match": first["ETag"]})
    assert again.status_code == 304


# --- The page -------------------------------------------------------------------------


def test_the_page_tells_the_next_fire_times_in_both_zones(boss, nightly):
    with timezone.override("America/New_York"):
        found = text_of(boss.get(address_of(nightly)))

    assert "Your time, America/New_York" in found
    assert "Sat 2030-03-02 03:00 CET" in found
    assert "Fri 2030-03-01 21:00" in found
    assert found.count('data-relative="until"') >= 5


def test_one_zone_is_enough_where_both_are_the_same(boss):
    row = durable.schedule(Digested, "0 3 * * *", name="here")

    found = text_of(boss.get(address_of(row)))

    assert "Your time, UTC" in found
    assert '<th scope="col">UTC</th>' not in found


def test_last_fire_times_are_told_with_what_they_started(boss, nightly, noon):
    Schedule.objects.update(created_at=NOON - timedelta(days=3, hours=12))
    late = datetime(2030, 2, 28, 2, 0, tzinfo=UTC)
    durable.start("digested", {"days": 1}, idempotency_key=fire_key("nightly", late))
    drain()
    triggered = durable.trigger_schedule("nightly")

    rows = timetable.firings(fresh(nightly), using="default")
    found = text_of(boss.get(address_of(nightly)))

    assert [(row.at, row.execution and row.execution.status) for row in rows] == [
        (None, "pending"),
        (datetime(2030, 3, 1, 2, 0, tzinfo=UTC), None),
        (late, "completed"),
        (datetime(2030, 2, 27, 2, 0, tzinfo=UTC), None),
        (datetime(2030, 2, 26, 2, 0, tzinfo=UTC), None),
    ]
    assert "triggered" in found
    assert str(triggered.pk) in found
    assert "nothing" in found


@pytest.mark.parametrize("count", [1, 10])
def test_the_number_of_queries_of_the_page_does_not_follow_what_it_started(
    boss, nightly, count
):
    Schedule.objects.update(created_at=NOON - timedelta(days=40))
    for at in timetable.past(fresh(nightly), count):
        durable.start("digested", {}, idempotency_key=fire_key("nightly", at))
    boss.get(address_of(nightly))

    with counted() as whole:
        boss.get(address_of(nightly))

    assert len(whole.queries) <= 9


def test_an_expression_that_means_nothing_is_shown_all_the_same(boss, nightly):
    Schedule.objects.update(cron="nonsense", timezone="Mars/Olympus")

    found = text_of(boss.get(address_of(nightly)))

    assert "means nothing" in found
    assert "nonsense" in found
    assert "nonsense" in text_of(boss.get(LIST))


def test_what_differs_from_the_code_is_told_and_can_be_set_back(boss, own_registry):
    @durable.schedule("0 9 * * *", name="coded", jitter=minutes(5), input={"days": 2})
    class Coded(Workflow):
        @step
        def work(self): ...

    register_code_schedules("default")
    durable.update_schedule("coded", cron="0 10 * * *", jitter=None, input={"days": 3})
    row = Schedule.objects.get(name="coded")

    found = text_of(boss.get(address_of(row)))
    answer = boss.post(address_of(row, "follow-code"))

    assert "Changed by hand" in found
    assert '"0 9 * * *"' in found
    assert answer.status_code == 302
    row = fresh(row)
    assert (row.cron, row.jitter, row.input) == ("0 9 * * *", minutes(5), {"days": 2})
    assert store.changed_by_hand(row) == {}
    assert "Changed by hand" not in text_of(boss.get(address_of(row)))


def test_what_was_made_by_hand_differs_from_no_code(nightly):
    assert store.changed_by_hand(nightly) == {}


def test_the_page_looks_again_soon_while_what_it_started_is_open(boss, nightly):
    assert 'data-live="slow"' in boss.get(address_of(nightly)).text

    durable.trigger_schedule("nightly")

    assert 'data-live="on"' in boss.get(address_of(nightly)).text


# --- Switching, triggering, editing, deleting -----------------------------------------


def test_the_switch_of_the_list_disables_and_enables(boss, nightly):
    off = boss.post(address_of(nightly, "disable"), {"back": "list"})
    assert not fresh(nightly).enabled
    on = boss.post(address_of(nightly, "enable"))

    assert off["Location"] == LIST
    assert on["Location"] == address_of(nightly)
    assert fresh(nightly).enabled
    assert history() == ["Disabled", "Enabled"]


def test_a_look_at_the_address_of_the_switch_changes_nothing(boss, nightly):
    assert "Disable" in text_of(boss.get(address_of(nightly, "disable")))
    assert fresh(nightly).enabled


def test_what_is_enabled_already_is_not_enabled_again(boss, nightly):
    found = text_of(boss.post(address_of(nightly, "enable")))

    assert "nothing to be done" in found
    assert history() == []


def test_a_schedule_is_triggered_with_its_input(boss, nightly):
    answer = boss.post(
        address_of(nightly, "trigger"),
        {"input": '{"days": 7}', "initial-input": '{"days": 7}', "reason": "asked"},
    )

    [started] = durable.list_executions()
    assert started.input == {"days": 7}
    assert str(started.pk) in answer["Location"]
    assert history() == [f"Triggered: asked ({started.pk})"]
    assert fresh(nightly).next_fire_at == nightly.next_fire_at


def test_a_schedule_is_triggered_with_another_input(boss, nightly):
    boss.post(
        address_of(nightly, "trigger"),
        {"input": '{"days": 30}', "initial-input": '{"days": 7}'},
    )

    [started] = durable.list_executions()
    assert started.input == {"days": 30}
    assert fresh(nightly).input == {"days": 7}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"days": "many"}', "Enter a whole number"),
        ("[1]", "Give a JSON object"),
        ("{", "valid JSON"),
        ('{"days": {"$type": "nonsense"}}', "does not know"),
    ],
)
def test_an_input_that_is_refused_is_told_beside_its_field(boss, nightly, text, said):
    answer = boss.post(address_of(nightly, "trigger"), {"input": text})

    assert said in str(answer.context["form"].errors["input"])
    assert not Execution.rows.exists()
    assert history() == []


def test_an_edit_changes_what_was_changed_and_nothing_else(boss, nightly):
    sent = edited(nightly, cron="*/15 * * * *", jitter="0:02:00")
    # Somebody else is faster.
    durable.update_schedule("nightly", overlap="allow", input={"days": 1})

    answer = boss.post(address_of(nightly, "edit"), sent)

    assert answer.status_code == 302
    row = fresh(nightly)
    assert (row.cron, row.jitter) == ("*/15 * * * *", minutes(2))
    assert (row.overlap, row.input) == ("allow", {"days": 1})
    assert row.next_fire_at == NOON + minutes(15)
    assert history() == ["Changed cron, jitter"]


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"cron": "61 * * * *"}, "cron", "the minute (field 1)"),
        ({"cron": "* * *"}, "cron", "Give five"),
        ({"cron": ""}, "cron", "required"),
        ({"timezone": "Europe/Berln"}, "timezone", "Did you mean 'Europe/Berlin'?"),
        ({"input": '{"days": "x"}'}, "input", "Enter a whole number"),
        ({"input": "{"}, "input", "valid JSON"),
        ({"overlap": "maybe"}, "overlap", "valid choice"),
        ({"catch_up": "some"}, "catch_up", "valid choice"),
        ({"jitter": "-0:01:00"}, "jitter", "not negative"),
        ({"jitter": "soon"}, "jitter", "valid duration"),
        ({"queue": "q" * 101}, "queue", "at most 100"),
    ],
)
def test_what_is_wrong_is_told_beside_its_field(boss, nightly, changes, field, said):
    answer = boss.post(address_of(nightly, "edit"), edited(nightly, **changes))

    assert said in unescape(str(answer.context["form"].errors[field]))
    assert fresh(nightly).revision == nightly.revision
    assert history() == []


def test_an_expression_is_shown_in_words_before_it_is_stored(boss, nightly):
    sent = edited(nightly, cron="0 9 * * MON", timezone="Asia/Tokyo")

    found = text_of(boss.post(address_of(nightly, "edit"), {**sent, "preview": "yes"}))

    assert "At 09:00, only on Monday (Asia/Tokyo)" in found
    assert "Mon 2030-03-04 09:00 JST" in found
    assert "Nothing has been stored yet." in found
    assert fresh(nightly).cron == "0 3 * * *"


def test_a_schedule_is_deleted_and_what_is_in_the_code_says_that_it_comes_back(
    boss, nightly
):
    Schedule.objects.update(code={"cron": "0 3 * * *"})

    asked = text_of(boss.get(address_of(nightly, "delete")))
    answer = boss.post(address_of(nightly, "delete"), {"reason": "old"})

    assert "brings it back" in asked
    assert answer["Location"] == LIST
    assert not Schedule.objects.exists()
    assert history() == ["Deleted: old"]


def test_the_address_that_django_has_for_deleting_asks_the_same(boss, nightly):
    found = boss.get(reverse("admin:django_durable_schedule_delete", args=[nightly.pk]))

    assert "What it started stays." in text_of(found)


# --- Adding ---------------------------------------------------------------------------

NEW = {
    "workflow": "digested",
    "name": "",
    "cron": "@daily",
    "timezone": "UTC",
    "input": "{}",
    "queue": "",
    "overlap": "skip",
    "catch_up": "one",
    "jitter": "",
    "enabled": "on",
}


def test_a_schedule_is_added(boss):
    answer = boss.post(ADD, {**NEW, "name": "new", "queue": "slow", "input": ""})

    row = Schedule.objects.get()
    assert answer["Location"] == address_of(row)
    assert (row.name, row.workflow, row.cron) == ("new", "digested", "@daily")
    assert (row.queue, row.overlap, row.enabled) == ("slow", "skip", True)
    assert row.next_fire_at == datetime(2030, 3, 2, tzinfo=UTC)
    assert history() == ["Added."]


def test_without_a_name_it_has_that_of_its_workflow(boss):
    boss.post(ADD, {key: value for key, value in NEW.items() if key != "enabled"})

    row = Schedule.objects.get()
    assert (row.name, row.enabled) == ("digested", False)


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"name": "nightly"}, "name", "already"),
        ({"workflow": "nobody"}, "workflow", "valid choice"),
        ({"cron": "x"}, "cron", "Give five"),
        ({"input": '{"days": "x"}'}, "input", "Enter a whole number"),
    ],
)
def test_one_that_cannot_be_added_says_why(boss, nightly, changes, field, said):
    answer = boss.post(ADD, {**NEW, **changes})

    assert said in str(answer.context["form"].errors[field])
    assert Schedule.objects.count() == 1


def test_a_new_one_is_shown_in_words_before_it_is_stored(boss):
    found = text_of(boss.post(ADD, {**NEW, "cron": "0 9 1 * *", "preview": "yes"}))

    assert "At 09:00, on day 1 of the month (UTC)" in found
    assert not Schedule.objects.exists()


# --- Many -----------------------------------------------------------------------------


def act(browser, name: str, rows, **given):
    ids = [str(row.pk) for row in rows]
    sent = {"action": f"{name}_selected", "_selected_action": ids, **given}
    return browser.post(LIST, sent)


def test_many_are_disabled_and_enabled_at_once(boss, nightly):
    other = durable.schedule(Stranded, "0 4 * * *", name="other", enabled=False)

    act(boss, "disable", [nightly, other])
    assert not Schedule.objects.filter(enabled=True).exists()
    act(boss, "enable", [nightly, other])

    assert not Schedule.objects.filter(enabled=False).exists()
    assert history() == ["Disabled", "Enabled", "Enabled"]


def test_those_that_an_action_does_not_suit_are_told(boss, nightly):
    off = durable.schedule(Stranded, "0 4 * * *", name="other", enabled=False)

    answer = act(boss, "disable", [nightly, off])
    said = text_of(boss.get(answer["Location"]))
    assert "Disabled 1 schedule." in said
    assert "1 schedule was left out: it is so already." in said

    said = text_of(boss.get(act(boss, "disable", [off])["Location"]))
    assert "Disabled" not in said
    assert "left out" in said


def test_many_are_triggered_once_that_is_confirmed(boss, nightly):
    other = durable.schedule(Stranded, "0 4 * * *", name="other")

    asked = text_of(act(boss, "trigger", [nightly, other]))
    assert "2 executions start now" in asked
    assert not Execution.rows.exists()
    act(boss, "trigger", [nightly, other], confirmed="yes", reason="month's end")

    assert {one.workflow for one in durable.list_executions()} == {
        "digested",
        "stranded",
    }
    assert all(entry.startswith("Triggered: month's end (") for entry in history())


def test_one_that_cannot_be_triggered_does_not_keep_back_the_others(boss, nightly):
    other = durable.schedule(Stranded, "0 4 * * *", name="broken")
    Schedule.objects.filter(name="broken").update(workflow="gone")

    answer = act(boss, "trigger", [nightly, other], confirmed="yes")

    [started] = durable.list_executions()
    assert started.workflow == "digested"
    said = unescape(boss.get(answer["Location"]).text)
    assert "Schedule broken: No workflow is called 'gone'" in said
    assert "Triggered 1 schedule." in said


# --- Who may --------------------------------------------------------------------------

OPERATIONS = ("enable", "disable", "trigger", "edit", "follow-code", "delete")
ALL = ("view_schedule", "add_schedule", "change_schedule", "delete_schedule")


def test_who_is_not_logged_in_is_sent_to_the_door(client, nightly):
    stored = reverse("admin:django_durable_schedule_stored", args=[nightly.pk])
    addresses = [LIST, ADD, address_of(nightly), stored]
    addresses += [address_of(nightly, name) for name in OPERATIONS]

    for address in addresses:
        for answer in (client.get(address), client.post(address)):
            assert answer.status_code == 302
            assert answer["Location"].startswith(reverse("admin:login"))
    assert fresh(nightly).revision == nightly.revision


@pytest.mark.parametrize(
    ("permissions", "allowed"),
    [
        ((), set()),
        (("change_schedule", "delete_schedule", "add_schedule"), set()),
        (("view_execution", "operate_execution", "start_execution"), set()),
        (("view_schedule",), {"list", "page"}),
        (("view_schedule", "view_payload"), {"list", "page", "stored"}),
        (("view_schedule", "add_schedule"), {"list", "page", "add"}),
        (
            ("view_schedule", "change_schedule"),
            {"list", "page", "enable", "disable", "trigger", "edit", "follow-code"},
        ),
        (("view_schedule", "delete_schedule"), {"list", "page", "delete"}),
    ],
)
def test_each_page_takes_its_permission(login, nightly, permissions, allowed):
    browser = login(*permissions)
    addresses = {
        "list": LIST,
        "page": address_of(nightly),
        "add": ADD,
        "stored": reverse("admin:django_durable_schedule_stored", args=[nightly.pk]),
        **{name: address_of(nightly, name) for name in OPERATIONS},
    }

    for name, address in addresses.items():
        expected = 200 if name in allowed else 403
        assert browser.get(address).status_code == expected, name
        if expected == 403:
            assert browser.post(address).status_code == 403, name
    assert fresh(nightly).revision == nightly.revision
    assert not Execution.rows.exists()


def test_what_one_may_not_do_is_not_offered(login, nightly):
    browser = login("view_schedule")

    listed, shown = browser.get(LIST).text, browser.get(address_of(nightly)).text

    assert "durable-switch" not in listed
    assert "trigger_selected" not in listed
    assert 'data-status="enabled"' in listed
    assert "data-action" not in shown
    act(browser, "disable", [nightly])
    assert fresh(nightly).enabled


def test_payloads_are_hidden_from_those_who_may_not_see_them(login, nightly):
    durable.update_schedule("nightly", input={"days": 4711})
    Schedule.objects.update(code={"input": {"days": 4712}})
    browser = login("view_schedule", "change_schedule")

    for address in (
        address_of(nightly),
        address_of(nightly, "trigger"),
        address_of(nightly, "edit"),
    ):
        assert "471" not in browser.get(address).text.replace(str(nightly.pk), "")
    browser.post(address_of(nightly, "trigger"), {"input": '{"days": 1}'})

    [started] = durable.list_executions()
    assert started.input == {"days": 4711}


def test_what_is_wrong_with_a_hidden_input_is_told_without_its_values(login):
    row = durable.schedule(Choosy, "0 3 * * *", name="choosy", input={"way": "air"})
    Schedule.objects.update(input=Encoded({"way": "sesame"}))
    browser = login("view_schedule", "change_schedule")

    answer = browser.post(address_of(row, "trigger"), {"confirmed": "yes"})

    assert "refuses this input: way." in unescape(answer.text)
    assert "sesame" not in answer.text
    assert not Execution.objects.exists()


def test_executions_are_linked_for_those_who_may_see_them(login, nightly):
    started = durable.trigger_schedule("nightly")
    some = login("view_schedule", name="some").get(address_of(nightly)).text
    more = login("view_schedule", "view_execution", name="more")

    assert str(started.pk) not in some
    assert str(started.pk) in more.get(address_of(nightly)).text


def test_a_change_without_its_token_is_refused(nightly, boss):
    from django.contrib.auth.models import User
    from django.test import Client

    browser = Client(enforce_csrf_checks=True)
    browser.force_login(User.objects.get(username="boss"))

    for name in OPERATIONS:
        assert browser.post(address_of(nightly, name)).status_code == 403
    assert browser.post(ADD, NEW).status_code == 403
    assert fresh(nightly).revision == nightly.revision


def test_what_is_not_there_is_not_found(boss, nightly):
    nowhere = reverse("admin:django_durable_schedule_change", args=[uuid4()])

    assert boss.get(nowhere).status_code == 404
    assert boss.get(f"{LIST}nonsense/change/").status_code == 404
    assert boss.get(address_of(nightly, "explode")).status_code == 404
    assert boss.post(f"{LIST}{uuid4()}/do/disable/").status_code == 404


def test_hostile_names_errors_and_inputs_are_escaped(boss, nightly):
    row = durable.schedule(
        Stranded, "0 4 * * *", name=HOSTILE, input={"a": HOSTILE, "b": "</script>"}
    )
    Schedule.objects.update(
        last_error=HOSTILE,
        failure_count=2,
        disabled_reason=HOSTILE,
        timezone=HOSTILE,
        cron=HOSTILE,
        queue=HOSTILE,
        code={"cron": HOSTILE, "input": HOSTILE},
        last_execution=durable.trigger_schedule(HOSTILE).pk,
    )
    Execution.rows.update(error={"type": HOSTILE, "message": HOSTILE})

    pages = [LIST, address_of(row), *(address_of(row, name) for name in OPERATIONS)]
    for address in pages:
        answer = boss.get(address)
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text, address
    assert "&lt;script&gt;alert" in boss.get(address_of(row)).text


def test_the_whole_input_is_shown_as_text(boss, nightly):
    answer = boss.get(
        reverse("admin:django_durable_schedule_stored", args=[nightly.pk])
    )

    assert answer.json() == {"days": 7}
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer["Content-Security-Policy"]


def test_past_fire_times_end_where_the_schedule_begins(nightly):
    assert timetable.past(nightly) == []

    Schedule.objects.update(created_at=NOON - hours(11))

    assert timetable.past(fresh(nightly)) == [datetime(2030, 3, 1, 2, 0, tzinfo=UTC)]


def test_what_is_done_to_a_schedule_of_another_instance_stays_there(
    boss, nightly, settings
):
    settings.DURABLE = {
        "default": {"DATABASE": "elsewhere"},
        "reports": {"DATABASE": "default"},
    }
    listed = text_of(boss.get(LIST, {"durable": "reports"}))
    disable = f"{address_of(nightly, 'disable')}?durable=reports"

    answer = boss.post(disable)

    assert f'formaction="{disable}"' in listed
    assert answer["Location"] == f"{address_of(nightly)}?durable=reports"
    assert not fresh(nightly).enabled
