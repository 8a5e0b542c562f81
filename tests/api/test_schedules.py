"""Schedules by function: made, changed, triggered, registered from the code."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from asgiref.sync import async_to_sync
from django import forms
from django.core.management import call_command
from django.db import transaction

import django_durable as durable
from django_durable import Workflow, clock, minutes, schedule, step
from django_durable.api.schedules import register_code_schedules
from django_durable.definition import registry
from django_durable.exceptions import InvalidInput, InvalidSchedule, ScheduleNotFound
from django_durable.models import Execution, Schedule
from tests.factories import NOON, finish

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_registry")]


class Report(Workflow, name="api_schedules_report", queue="default"):
    @step
    def write(self, data):
        return {"seen": sorted(data)}


class OrderForm(forms.Form):
    order = forms.IntegerField()


class Picky(Workflow, name="api_schedules_picky", input_form=OrderForm):
    @step
    def take(self, order):
        return {"order": order}


@pytest.fixture(autouse=True)
def frozen_time():
    with clock.freeze(NOON) as frozen:
        yield frozen


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+00:00")


def test_a_schedule_knows_its_next_fire_time_and_says_it_in_words():
    made = durable.schedule(Report, "0 9 * * MON-FRI", timezone="America/New_York")

    found = durable.get_schedule("api_schedules_report")
    assert found == made
    # 1 March 2030 is a Friday.
    assert found.next_fire_at == at("2030-03-01T14:00")
    assert found.last_fire_at is None
    assert found.description == "At 09:00, Monday through Friday (America/New_York)"
    assert (found.workflow, found.overlap, found.catch_up) == (
        "api_schedules_report",
        "allow",
        "one",
    )
    assert found.enabled
    assert not found.is_code


def test_the_input_comes_back_as_it_was_given():
    given = {"since": timedelta(days=1), "day": NOON.date()}

    durable.schedule(Report, "@daily", input=given)

    assert durable.get_schedule("api_schedules_report").input == given


@pytest.mark.parametrize(
    ("arguments", "options", "says"),
    [
        ((Report, "61 * * * *"), {}, r"minute \(field 1\)"),
        ((Report, "0 0 31 2 *"), {}, "never comes"),
        ((Report, "@daily"), {"timezone": "Mars/Base"}, "no IANA time zone"),
        ((Report, "@daily"), {"overlap": "no"}, "overlap='no'"),
        ((Report, ""), {}, "cron=''"),
        (("nobody", "@daily"), {}, "No workflow is called 'nobody'"),
        ((int, "@daily"), {}, "is no workflow"),
        ((Picky, "@daily"), {}, "refuses the input"),
        ((Picky, "@daily"), {"input": {"order": "x"}}, "refuses the input"),
    ],
)
def test_a_schedule_that_cannot_work_is_refused(arguments, options, says):
    with pytest.raises(InvalidSchedule, match=says):
        durable.schedule(*arguments, **options)

    assert durable.list_schedules() == []


@pytest.mark.parametrize(
    ("changes", "option"),
    [
        ({"cron": "61 * * * *"}, "cron"),
        ({"timezone": "Mars/Base"}, "timezone"),
        ({"overlap": "no"}, "overlap"),
        ({"jitter": timedelta(seconds=-1)}, "jitter"),
        ({"input": {"order": "x"}}, "input"),
    ],
)
def test_a_refusal_names_the_option_that_it_is_about(changes, option):
    durable.schedule(Picky, "@daily", name="picky", input={"order": 1})

    with pytest.raises(InvalidSchedule) as refused:
        durable.update_schedule("picky", **changes)

    assert refused.value.errors == {option: [str(refused.value)]}


def test_a_name_is_taken_once_and_the_transaction_stays_usable():
    durable.schedule(Report, "@daily", name="nightly")

    with pytest.raises(InvalidSchedule, match="called 'nightly' already"):
        durable.schedule(Report, "@hourly", name="nightly")

    assert durable.get_schedule("nightly").cron == "@daily"


@pytest.mark.django_db(transaction=True)
def test_a_schedule_of_a_transaction_that_is_rolled_back_never_was():
    with transaction.atomic():
        durable.schedule(Report, "@daily")
        transaction.set_rollback(True)

    assert durable.list_schedules() == []


def test_schedules_are_listed_by_name_and_by_what_they_are():
    durable.schedule(Report, "@daily", name="b", queue="slow")
    durable.schedule(Report, "@daily", name="a", enabled=False)
    durable.schedule(Picky, "@daily", name="c", input={"order": 1})

    def names(**options):
        return [row.name for row in durable.list_schedules(**options)]

    assert names() == ["a", "b", "c"]
    assert names(limit=2) == ["a", "b"]
    assert names(enabled=True) == ["b", "c"]
    assert names(enabled=False) == ["a"]
    assert names(workflow=Picky) == names(workflow="api_schedules_picky") == ["c"]
    assert names(queue="slow") == ["b"]


@pytest.mark.parametrize(
    "function",
    [
        durable.get_schedule,
        durable.update_schedule,
        durable.delete_schedule,
        durable.enable_schedule,
        durable.disable_schedule,
        durable.trigger_schedule,
    ],
)
def test_a_schedule_that_does_not_exist_is_not_found(function):
    with pytest.raises(ScheduleNotFound, match="'nightly'"):
        function("nightly")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"cron": "0 15 * * *"}, "2030-03-01T15:00"),
        ({"timezone": "Asia/Tokyo"}, "2030-03-02T03:00"),
        ({"cron": "0 15 * * *", "timezone": "Asia/Tokyo"}, "2030-03-02T06:00"),
        ({"queue": "slow", "overlap": "skip"}, "2030-03-02T12:00"),
    ],
)
def test_another_cron_or_time_zone_has_another_next_time(changes, expected):
    durable.schedule(Report, "0 12 * * *", name="daily")

    changed = durable.update_schedule("daily", **changes)

    assert changed.next_fire_at == at(expected)
    assert {key: getattr(changed, key) for key in changes} == changes


def test_an_update_changes_all_or_nothing():
    durable.schedule(Picky, "@daily", name="daily", input={"order": 1})

    for wrong in [
        {"cron": "* * *"},
        {"timezone": "x"},
        {"catch_up": "x"},
        {"jitter": 1},
        {"input": {"order": "x"}},
    ]:
        with pytest.raises(InvalidSchedule):
            durable.update_schedule("daily", **({"queue": "slow"} | wrong))
    with pytest.raises(TypeError, match="cannot change colour"):
        durable.update_schedule("daily", colour="red")

    found = durable.get_schedule("daily")
    assert (found.queue, found.cron, found.input) == (None, "@daily", {"order": 1})


def test_input_and_jitter_are_changed_to_what_is_given():
    durable.schedule(Report, "@daily", name="daily", input={"a": 1}, jitter=minutes(1))

    durable.update_schedule("daily", input={"b": timedelta(1)}, jitter=minutes(2))
    changed = durable.get_schedule("daily")
    assert (changed.input, changed.jitter) == ({"b": timedelta(1)}, minutes(2))

    durable.update_schedule("daily", input=None, jitter=None)
    changed = durable.get_schedule("daily")
    assert (changed.input, changed.jitter) == ({}, None)


@pytest.mark.parametrize("by", ["function", "update"])
def test_one_that_is_enabled_again_fires_from_now_on(frozen_time, by):
    durable.schedule(Report, "@hourly", name="hourly")
    before = durable.disable_schedule("hourly")
    Schedule.objects.update(failure_count=3)
    frozen_time.advance(timedelta(hours=5))

    if by == "function":
        after = durable.enable_schedule("hourly")
    else:
        after = durable.update_schedule("hourly", enabled=True)

    assert (before.enabled, before.next_fire_at) == (False, at("2030-03-01T13:00"))
    assert (after.enabled, after.next_fire_at) == (True, at("2030-03-01T18:00"))
    assert after.failure_count == 0


def test_to_enable_one_that_is_enabled_drops_no_fire_time(frozen_time):
    durable.schedule(Report, "@hourly", name="hourly")
    frozen_time.advance(timedelta(hours=1))

    assert durable.enable_schedule("hourly").next_fire_at == at("2030-03-01T13:00")


def test_one_that_was_broken_by_hand_can_be_disabled_and_repaired_but_not_enabled():
    durable.schedule(Report, "@daily", name="daily")
    Schedule.objects.update(timezone="Mars/Base")

    assert not durable.disable_schedule("daily").enabled
    with pytest.raises(InvalidSchedule, match="Mars/Base"):
        durable.enable_schedule("daily")
    repaired = durable.update_schedule("daily", timezone="UTC", enabled=True)

    assert repaired.next_fire_at == at("2030-03-02T00:00")


def test_a_deleted_schedule_leaves_what_it_started():
    durable.schedule(Report, "@daily", name="daily")
    started = durable.trigger_schedule("daily")

    durable.delete_schedule("daily")

    assert durable.list_schedules() == []
    assert durable.get_execution(started.pk) == started


def test_a_trigger_starts_now_also_when_disabled_and_leaves_the_times_alone():
    durable.schedule(Report, "@daily", name="daily", input={"a": 1}, enabled=False)
    before = durable.get_schedule("daily")

    started = durable.trigger_schedule("daily")
    again = durable.trigger_schedule("daily", input={"b": 1})

    after = durable.get_schedule("daily")
    assert (after.next_fire_at, after.last_fire_at) == (before.next_fire_at, None)
    assert not after.enabled
    assert finish(started).result["seen"] == ["a"]
    assert finish(again).result["seen"] == ["b"]
    assert durable.list_executions(tag="schedule:daily") == [again, started]


def test_a_trigger_whose_input_is_refused_starts_nothing_and_counts_nothing():
    durable.schedule(Picky, "@daily", name="daily", input={"order": 1})

    with pytest.raises(InvalidInput):
        durable.trigger_schedule("daily", input={"order": "x"})

    assert durable.get_schedule("daily").failure_count == 0
    assert not Execution.objects.exists()


def test_every_function_has_an_asynchronous_twin():
    async def use_all():
        await durable.aschedule(Report, "@daily", name="daily")
        await durable.aupdate_schedule("daily", queue="slow")
        await durable.adisable_schedule("daily")
        await durable.aenable_schedule("daily")
        await durable.atrigger_schedule("daily")
        found = await durable.aget_schedule("daily")
        assert await durable.alist_schedules() == [found]
        await durable.adelete_schedule("daily")

    async_to_sync(use_all)()

    assert Execution.objects.count() == 1
    assert not Schedule.objects.exists()


# --- in code --------------------------------------------------------------------------


def define(cron: str = "0 12 * * *", **options):
    """Define the workflow of a module anew, as a deploy of new code would."""

    @schedule(cron, name="coded", **options)
    class Coded(Workflow, name="api_schedules_coded"):
        @step
        def work(self): ...

    return Coded


def test_a_schedule_of_the_code_is_stored_once():
    code = define(input={"a": minutes(1)}, jitter=minutes(2), timezone="Asia/Tokyo")

    register_code_schedules("default")
    before = durable.get_schedule("coded")
    register_code_schedules("default")

    found = durable.get_schedule("coded")
    assert found.is_code
    assert (found.workflow, found.cron, found.overlap) == (
        code.definition.workflow,
        "0 12 * * *",
        "skip",
    )
    assert (found.input, found.jitter) == ({"a": minutes(1)}, minutes(2))
    assert found.next_fire_at == at("2030-03-02T03:00")
    assert found.revision == before.revision


def test_new_code_changes_what_nobody_has_changed():
    kept = define(jitter=minutes(1))
    register_code_schedules("default")
    durable.update_schedule("coded", queue="slow", jitter=minutes(9))
    durable.disable_schedule("coded")

    kept = define("0 18 * * *", jitter=minutes(2), input={"b": 1}, enabled=True)
    register_code_schedules("default")

    found = durable.get_schedule("coded")
    assert kept
    assert (found.cron, found.input) == ("0 18 * * *", {"b": 1})
    assert found.next_fire_at == at("2030-03-01T18:00")
    assert (found.queue, found.jitter) == ("slow", minutes(9))
    assert not found.enabled


def test_a_cron_that_a_person_changed_is_kept_with_its_next_time():
    kept = define()
    register_code_schedules("default")
    durable.update_schedule("coded", cron="0 13 * * *")

    kept = define("0 18 * * *")
    register_code_schedules("default")

    found = durable.get_schedule("coded")
    assert kept
    assert (found.cron, found.next_fire_at) == ("0 13 * * *", at("2030-03-01T13:00"))


def test_the_code_says_only_at_first_whether_it_is_enabled():
    kept = define(enabled=False)
    register_code_schedules("default")
    assert not durable.get_schedule("coded").enabled
    durable.enable_schedule("coded")

    register_code_schedules("default")

    assert kept
    assert durable.get_schedule("coded").enabled


def test_one_that_is_gone_from_the_code_is_disabled_by_migrate_until_it_is_back():
    kept = define()
    register_code_schedules("default", retires=True)
    durable.schedule(Report, "@daily", name="by_hand")

    registry._workflows.pop("api_schedules_coded")
    register_code_schedules("default")
    assert durable.get_schedule("coded").enabled
    register_code_schedules("default", retires=True)
    gone = durable.get_schedule("coded")
    kept = define()
    register_code_schedules("default")

    assert not gone.enabled
    assert gone.disabled_reason == "It is no longer in the code."
    back = durable.get_schedule("coded")
    assert (back.enabled, back.disabled_reason) == (True, "")
    assert durable.get_schedule("by_hand").enabled
    assert kept


def test_a_wrong_schedule_of_the_code_does_not_hold_up_the_others(caplog):
    kept = define()

    @schedule("0 99 * * *", name="a_wrong_one")
    @schedule("0 12 * * *", name="taken")
    class Wrong(Workflow, name="api_schedules_wrong"):
        @step
        def work(self): ...

    durable.schedule(Report, "@daily", name="taken")

    register_code_schedules("default")

    assert [row.name for row in durable.list_schedules()] == ["coded", "taken"]
    assert "a_wrong_one was not registered" in caplog.text
    assert "has the name of one that was made by schedule()" in caplog.text
    assert durable.get_schedule("taken").workflow == "api_schedules_report"
    assert kept


@pytest.mark.django_db(transaction=True)
def test_migrate_registers_the_schedules_of_the_code():
    kept = define()

    call_command("migrate", verbosity=0)

    assert durable.get_schedule("coded").is_code
    assert kept


@pytest.mark.parametrize(
    ("cron", "options", "says"),
    [
        ("0 99 * * *", {}, "hour (field 2) is '99'"),
        ("@daily", {"timezone": "Europe/Berlim"}, "Did you mean 'Europe/Berlin'?"),
        ("@daily", {"durable": "other"}, "no instance 'other'"),
    ],
)
def test_a_check_says_what_is_wrong_with_a_schedule_of_the_code(cron, options, says):
    from django_durable.checks import check_schedules

    kept = define(cron, **options)

    [found] = check_schedules()

    assert found.id == "durable.E110"
    assert says in found.msg
    assert kept


def test_a_check_finds_two_workflows_with_a_schedule_of_one_name():
    from django_durable.checks import check_schedules

    kept = define()

    @schedule("@daily", name="coded")
    class Zealous(Workflow, name="api_schedules_zealous"):
        @step
        def work(self): ...

    [found] = check_schedules()

    assert "workflow api_schedules_coded has a schedule of that name too" in found.msg
    assert kept


def test_a_check_warns_of_a_queue_that_nobody_serves():
    from django_durable.checks import check_queues

    kept = define(queue="nowhere")

    assert any("'coded'" in warning.msg for warning in check_queues())
    assert kept


def test_the_one_name_is_the_decorator_and_the_function():
    assert callable(schedule("@daily"))
    assert callable(schedule(cron="@daily"))
    made = schedule(workflow=Report, cron="@daily")
    assert isinstance(made, Schedule)
