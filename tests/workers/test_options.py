"""What ``runworkers`` may be asked to do."""

from __future__ import annotations

import pytest

from django_durable.exceptions import UnknownInstance
from django_durable.workers.options import make_options

QUEUES = {"default": {"concurrency": 10}, "payments": {"concurrency": 2}}


@pytest.fixture(autouse=True)
def configured(settings):
    settings.DURABLE = {"default": {"QUEUES": QUEUES}}


def test_all_queues_are_served_as_configured_unless_told():
    assert make_options().limits == {"default": 10, "payments": 2}


def test_some_queues_can_be_chosen_and_their_concurrency_replaced():
    options = make_options(queues=" payments,default ,payments", concurrency=5)

    assert options.limits == {"payments": 5, "default": 5}


def test_the_arguments_of_a_child_mean_the_same():
    options = make_options(
        queues="payments", concurrency=3, until_idle=True, scheduler=False, grace=1.5
    )

    assert options.arguments() == [
        "--durable=default",
        "--queues=payments",
        "--concurrency=3",
        "--grace=1.5",
        "--until-idle",
        "--no-scheduler",
    ]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"queues": "payment"}, 'Did you mean "payments"?'),
        ({"queues": "mail"}, 'which has: "default", "payments"'),
        ({"queues": " , "}, "at least one queue"),
        ({"concurrency": 0}, "--concurrency"),
        ({"processes": 0}, "--processes"),
        ({"grace": -1.0}, "--grace"),
        ({"grace": float("nan")}, "--grace"),
        ({"reload": True, "processes": 2}, "--reload"),
        ({"reload": True, "until_idle": True}, "--reload"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_would(wrong, told):
    with pytest.raises(ValueError, match=told.replace("?", r"\?")):
        make_options(**wrong)


def test_an_instance_whose_queue_is_off_is_not_served(settings):
    settings.DURABLE = {"default": {"QUEUE_ENABLED": False}}

    with pytest.raises(ValueError, match="QUEUE_ENABLED"):
        make_options()


def test_an_unknown_instance_is_told():
    with pytest.raises(UnknownInstance):
        make_options(durable="other")
