"""``@schedule``: what it keeps, and what it refuses where it is written."""

from __future__ import annotations

import pytest

from django_durable import DefinitionError, Workflow, minutes, schedule, step
from django_durable.definition.schedules import code_schedules


def test_a_schedule_has_the_name_of_its_workflow_and_skips_unless_told():
    @schedule("0 9 * * MON-FRI")
    class Daily(Workflow):
        @step
        def report(self): ...

    [spec] = Daily.schedule_specs

    assert (spec.workflow, spec.name, spec.cron) == (
        "daily",
        "daily",
        "0 9 * * MON-FRI",
    )
    assert (spec.timezone, spec.overlap, spec.catch_up) == ("UTC", "skip", "one")
    assert (spec.input, spec.queue, spec.jitter, spec.enabled) == (
        None,
        None,
        None,
        True,
    )
    assert spec in code_schedules()
    assert spec in code_schedules("default")
    assert spec not in code_schedules("other")


def test_schedules_may_be_stacked_and_keep_their_order():
    @schedule("0 9 * * *", name="morning", input={"when": "am"})
    @schedule("0 18 * * *", name="evening", timezone="Europe/Berlin", jitter=minutes(5))
    class TwiceADay(Workflow):
        @step
        def report(self): ...

    assert [spec.name for spec in TwiceADay.schedule_specs] == ["morning", "evening"]


def test_a_subclass_has_no_schedule_of_its_base():
    @schedule("0 9 * * *")
    class Base(Workflow):
        @step
        def report(self): ...

    class Derived(Base):
        pass

    assert Derived.schedule_specs == ()
    assert len(Base.schedule_specs) == 1


def test_two_schedules_of_one_name_are_refused():
    with pytest.raises(
        DefinitionError, match=r"durable\.E021.*two schedules called 'both'"
    ):

        @schedule("0 9 * * *", name="both")
        @schedule("0 18 * * *", name="both")
        class Both(Workflow):
            @step
            def report(self): ...


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"overlap": "maybe"},
            "overlap='maybe'. Give one of 'allow', 'skip', 'cancel'",
        ),
        ({"catch_up": True}, "catch_up=True. Give one of 'none', 'one', 'all'"),
        ({"jitter": 5}, "jitter=5. Give a timedelta"),
        ({"jitter": minutes(-1)}, "Give a timedelta that is not negative"),
        ({"input": [1]}, r"input=\[1\]. Give a mapping"),
        ({"name": ""}, "name=''. Give a name of 1 to 200"),
        ({"name": "n" * 201}, "Give a name of 1 to 200"),
        ({"queue": ""}, "queue=''. Give the name of a queue"),
        ({"catchup": "one"}, "the unknown option catchup. Options are: catch_up, cron"),
        ({"enabled": "no"}, "enabled='no'. Give True or False"),
        ({"timezone": None}, "timezone=None. Give the name of a time zone"),
        ({"cron": 5}, "cron=5. Give an expression of five fields"),
    ],
)
def test_a_wrong_option_is_refused_where_it_is_written(options, says):
    cron = options.pop("cron", "0 9 * * *")

    with pytest.raises(DefinitionError, match=rf"durable\.E020: .*Wrong .*{says}"):

        @schedule(cron, **options)
        class Wrong(Workflow):
            @step
            def report(self): ...


@pytest.mark.parametrize(
    "decorated", [object, type("Abstract", (Workflow,), {}, abstract=True)]
)
def test_only_a_workflow_that_is_registered_can_have_one(decorated):
    with pytest.raises(DefinitionError, match=r"durable\.E020.*cannot have a schedule"):
        schedule("0 9 * * *")(decorated)
