"""The DURABLE setting: its defaults, its objects, and its problems."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from django_durable.conf import (
    AnswerLinkSettings,
    LogSettings,
    QueueSettings,
    Settings,
    WebhookSettings,
    find_problems,
    get_instances,
    get_settings,
)
from django_durable.exceptions import DurableError, UnknownInstance

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def no_setting(settings):
    settings.DURABLE = {}


def keys(value):
    return [problem.key for problem in find_problems(value)]


# --- values ---


def test_an_absent_setting_means_the_defaults_of_the_documentation(settings):
    del settings.DURABLE

    found = get_settings()

    assert found == Settings(
        alias="default",
        database="default",
        queues={"default": QueueSettings(concurrency=10)},
        queue_enabled=True,
        poll_interval=1.0,
        lease=30.0,
        max_lost_attempts=3,
        max_payload_bytes=4_000_000,
        scheduler_interval=1.0,
        retention={
            "completed": 30 * DAY,
            "failed": None,
            "cancelled": None,
            "compensated": None,
            "compensation_failed": None,
        },
        logs=LogSettings(
            level="INFO", capture_stdout=True, max_entries=1000, max_length=10_000
        ),
    )


def test_every_key_of_the_setting_arrives(settings):
    settings.DURABLE = {
        "default": {
            "DATABASE": "other",
            "QUEUES": {"payments": {"concurrency": 2}},
            "QUEUE_ENABLED": False,
            "POLL_INTERVAL": 0.1,
            "LEASE": 5,
            "MAX_LOST_ATTEMPTS": 0,
            "MAX_PAYLOAD_BYTES": 10,
            "SCHEDULER_INTERVAL": 2,
            "RETENTION": {"failed": DAY},
            "LOGS": {"level": "DEBUG"},
        }
    }

    found = get_settings()

    assert found.database == "other"
    assert found.queue_enabled is False
    assert (found.poll_interval, found.lease, found.scheduler_interval) == (0.1, 5, 2)
    assert (found.max_lost_attempts, found.max_payload_bytes) == (0, 10)
    assert found.logs == LogSettings(level="DEBUG")


def test_given_queues_replace_the_default_queue(settings):
    settings.DURABLE = {"default": {"QUEUES": {"payments": {"concurrency": 2}}}}

    assert dict(get_settings().queues) == {"payments": QueueSettings(concurrency=2)}


def test_a_queue_without_concurrency_has_the_default_one(settings):
    settings.DURABLE = {"default": {"QUEUES": {"payments": {}}}}

    assert get_settings().queues["payments"].concurrency == 10


def test_given_retention_is_laid_over_the_default_one(settings):
    settings.DURABLE = {"default": {"RETENTION": {"failed": DAY}}}

    assert get_settings().retention["failed"] == DAY
    assert get_settings().retention["completed"] == 30 * DAY


def test_the_doors_are_shut_unless_the_setting_opens_them(settings):
    assert get_settings().answer_links is None
    assert get_settings().webhook is None

    settings.DURABLE = {
        "default": {"ANSWER_LINKS": {}, "WEBHOOK": {"keys": ["k" * 32]}}
    }

    assert get_settings().answer_links == AnswerLinkSettings(
        max_age=7 * DAY, base_url=""
    )
    assert get_settings().webhook == WebhookSettings(keys=("k" * 32,), tolerance=300)


@pytest.mark.parametrize("keys", [["sesame"], "sesame", [["sesame"]], "s" * 40])
def test_what_is_wrong_with_a_key_is_said_without_the_key(keys):
    for webhook in ({"keys": keys}, keys):
        for problem in find_problems({"default": {"WEBHOOK": webhook}}):
            assert "sesame" not in f"{problem.message}{problem.hint}"
            assert "sss" not in problem.message


def test_whole_seconds_become_floats(settings):
    settings.DURABLE = {"default": {"LEASE": 5}}

    assert isinstance(get_settings().lease, float)


def test_settings_cannot_be_changed():
    found = get_settings()

    with pytest.raises(dataclasses.FrozenInstanceError):
        found.lease = 1.0
    with pytest.raises(TypeError):
        found.queues["more"] = QueueSettings()
    with pytest.raises(TypeError):
        found.retention["failed"] = DAY


# --- instances and the cache ---


def test_an_unknown_instance_is_refused_with_the_known_names(settings):
    settings.DURABLE = {"default": {}, "reports": {"DATABASE": "reports"}}

    with pytest.raises(
        UnknownInstance, match=r'"raports".*"default", "reports"'
    ) as info:
        get_settings("raports")

    assert isinstance(info.value, DurableError)


def test_a_further_instance_does_not_remove_the_default_one(settings):
    settings.DURABLE = {"reports": {"DATABASE": "reports"}}

    assert get_instances() == ("default", "reports")
    assert get_settings().database == "default"
    assert get_settings("reports").database == "reports"


def test_settings_are_read_once():
    assert get_settings() is get_settings()


def test_overriding_the_setting_takes_effect_and_ends():
    before = get_settings()

    with override_settings(DURABLE={"default": {"LEASE": 5.0}}):
        assert get_settings().lease == 5.0

    assert get_settings() == before


def test_overriding_another_setting_keeps_what_was_read():
    before = get_settings()

    with override_settings(LANGUAGE_CODE="de"):
        assert get_settings() is before


def test_a_faulty_setting_is_refused_with_every_problem(settings):
    settings.DURABLE = {"default": {"LEASE": 0, "POLL_INTERVALL": 1}}

    with pytest.raises(ImproperlyConfigured) as info:
        get_settings()

    assert 'DURABLE["default"]["LEASE"]' in str(info.value)
    assert 'Did you mean "POLL_INTERVAL"?' in str(info.value)


# --- problems ---


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"default": {}},
        {"default": {"LEASE": 1, "POLL_INTERVAL": 0.05}},
        {"default": {"RETENTION": {"completed": None, "cancelled": DAY}}},
        {"default": {}, "reports": {"DATABASE": "reports"}},
        {"default": {"ANSWER_LINKS": None, "WEBHOOK": None}},
        {"default": {"ANSWER_LINKS": {}, "WEBHOOK": {"keys": ("k" * 32,)}}},
        {"default": {"ANSWER_LINKS": {"base_url": "https://a.org/sub/"}}},
    ],
)
def test_a_good_setting_has_no_problems(value):
    assert find_problems(value) == []


@pytest.mark.parametrize("value", [None, [], "default", 7])
def test_a_setting_that_is_no_dict_is_one_problem(value):
    assert keys(value) == ["DURABLE"]


@pytest.mark.parametrize("number", [0, -1, "1", None, True, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["LEASE", "POLL_INTERVAL", "SCHEDULER_INTERVAL"])
def test_seconds_are_numbers_greater_than_zero(name, number):
    assert keys({"default": {name: number}}) == [f'DURABLE["default"]["{name}"]']


@pytest.mark.parametrize(
    ("instance", "path"),
    [
        ({"DATABASE": ""}, '["DATABASE"]'),
        ({"DATABASE": None}, '["DATABASE"]'),
        ({"QUEUES": ["default"]}, '["QUEUES"]'),
        ({"QUEUES": {}}, '["QUEUES"]'),
        ({"QUEUES": {"": {}}}, '["QUEUES"][""]'),
        ({"QUEUES": {1: {}}}, '["QUEUES"][1]'),
        ({"QUEUES": {"a": 10}}, '["QUEUES"]["a"]'),
        ({"QUEUES": {"a": {"concurrency": 0}}}, '["QUEUES"]["a"]["concurrency"]'),
        ({"QUEUES": {"a": {"concurrency": 1.5}}}, '["QUEUES"]["a"]["concurrency"]'),
        ({"QUEUES": {"a": {"concurrency": True}}}, '["QUEUES"]["a"]["concurrency"]'),
        ({"QUEUES": {"a": {"threads": 1}}}, '["QUEUES"]["a"]["threads"]'),
        ({"QUEUE_ENABLED": 1}, '["QUEUE_ENABLED"]'),
        ({"MAX_LOST_ATTEMPTS": -1}, '["MAX_LOST_ATTEMPTS"]'),
        ({"MAX_PAYLOAD_BYTES": 0}, '["MAX_PAYLOAD_BYTES"]'),
        ({"MAX_PAYLOAD_BYTES": 1e6}, '["MAX_PAYLOAD_BYTES"]'),
        ({"RETENTION": 30}, '["RETENTION"]'),
        ({"RETENTION": {"completed": 30}}, '["RETENTION"]["completed"]'),
        ({"RETENTION": {"completed": -DAY}}, '["RETENTION"]["completed"]'),
        ({"RETENTION": {"running": DAY}}, '["RETENTION"]["running"]'),
        ({"LOGS": "INFO"}, '["LOGS"]'),
        ({"LOGS": {"level": "LOUD"}}, '["LOGS"]["level"]'),
        ({"LOGS": {"level": []}}, '["LOGS"]["level"]'),
        ({"LOGS": {"capture_stdout": "yes"}}, '["LOGS"]["capture_stdout"]'),
        ({"LOGS": {"max_entries": -1}}, '["LOGS"]["max_entries"]'),
        ({"LOGS": {"max_length": 0}}, '["LOGS"]["max_length"]'),
        ({"ANSWER_LINKS": True}, '["ANSWER_LINKS"]'),
        ({"ANSWER_LINKS": {"max_age": 7}}, '["ANSWER_LINKS"]["max_age"]'),
        ({"ANSWER_LINKS": {"max_age": None}}, '["ANSWER_LINKS"]["max_age"]'),
        ({"ANSWER_LINKS": {"max_age": -DAY}}, '["ANSWER_LINKS"]["max_age"]'),
        ({"ANSWER_LINKS": {"base_url": "a.org"}}, '["ANSWER_LINKS"]["base_url"]'),
        (
            {"ANSWER_LINKS": {"base_url": "https://a.org?b"}},
            '["ANSWER_LINKS"]["base_url"]',
        ),
        ({"ANSWER_LINKS": {"base_url": None}}, '["ANSWER_LINKS"]["base_url"]'),
        ({"WEBHOOK": "secret"}, '["WEBHOOK"]'),
        ({"WEBHOOK": {}}, '["WEBHOOK"]'),
        ({"WEBHOOK": {"keys": []}}, '["WEBHOOK"]["keys"]'),
        ({"WEBHOOK": {"keys": "k" * 40}}, '["WEBHOOK"]["keys"]'),
        ({"WEBHOOK": {"keys": ["k" * 40, "k" * 31]}}, '["WEBHOOK"]["keys"][1]'),
        ({"WEBHOOK": {"keys": [b"k" * 40]}}, '["WEBHOOK"]["keys"][0]'),
        (
            {"WEBHOOK": {"keys": ["k" * 32], "tolerance": "5"}},
            '["WEBHOOK"]["tolerance"]',
        ),
        (
            {"WEBHOOK": {"keys": ["k" * 32], "tolerence": 5}},
            '["WEBHOOK"]["tolerence"]',
        ),
        ({"UNHEARD_OF": 1}, '["UNHEARD_OF"]'),
        ({1: 1}, "[1]"),
        ([], ""),
    ],
)
def test_a_problem_names_the_key_and_says_what_would_be_right(instance, path):
    [problem] = find_problems({"default": instance})

    assert problem.key == f'DURABLE["default"]{path}'
    assert problem.message.startswith(problem.key)
    assert problem.hint


def test_every_problem_is_found():
    value = {"default": {"LEASE": 0, "QUEUE": {}}, "reports": {"DATABASE": 1}}

    assert keys(value) == [
        'DURABLE["default"]["LEASE"]',
        'DURABLE["default"]["QUEUE"]',
        'DURABLE["reports"]["DATABASE"]',
    ]


@pytest.mark.parametrize(
    ("instance", "meant"),
    [
        ({"QUEUE": {}}, "QUEUES"),
        ({"poll_interval": 1}, "POLL_INTERVAL"),
        ({"QUEUES": {"a": {"concurency": 1}}}, "concurrency"),
        ({"RETENTION": {"canceled": None}}, "cancelled"),
        ({"LOGS": {"LEVEL": "INFO"}}, "level"),
        ({"LOGS": {"level": "info"}}, "INFO"),
    ],
)
def test_a_mistyped_name_is_answered_with_the_one_that_was_meant(instance, meant):
    [problem] = find_problems({"default": instance})

    assert problem.hint == f'Did you mean "{meant}"?'


def test_a_name_like_no_other_is_answered_with_all_of_them():
    [problem] = find_problems({"default": {"QUEUES": {"a": {"zzz": 1}}}})

    assert problem.hint == 'Known are: "concurrency".'


def test_a_setting_outside_of_an_instance_is_told_where_it_belongs():
    [problem] = find_problems({"QUEUES": {"default": {"concurrency": 1}}})

    assert problem.key == 'DURABLE["QUEUES"]'
    assert problem.hint == 'Write DURABLE = {"default": {"QUEUES": …}}.'


def test_two_instances_may_not_share_a_database():
    [problem] = find_problems({"default": {}, "reports": {}})

    assert problem.key == 'DURABLE["reports"]["DATABASE"]'


def test_a_database_alias_is_checked_against_those_there_are():
    value = {"default": {"DATABASE": "replicas"}}

    [problem] = find_problems(value, databases=["default", "replica"])

    assert problem.key == 'DURABLE["default"]["DATABASE"]'
    assert problem.hint == 'Did you mean "replica"?'
