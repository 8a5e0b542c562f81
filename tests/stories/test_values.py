"""Values through the database: from start over steps to the result, as they were."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Group

import django_durable as durable
from django_durable import Workflow, step
from tests.factories import finish, fresh

pytestmark = pytest.mark.django_db


class Color(enum.Enum):
    RED = "r"


class Level(enum.IntEnum):
    HIGH = 3


@dataclass
class Line:
    sku: str
    price: Decimal
    tags: tuple[str, ...] = field(default_factory=tuple)


class Carry(Workflow):
    """Hands a value on by every way there is."""

    @step
    def by_return(self, value):
        return {"returned": value}

    @step
    def in_place(self, data, value):
        data["placed"] = data["returned"]

    @step
    def by_checkpoint(self, value):
        return {"remembered": durable.checkpoint("value", lambda: value)}

    @step
    def by_event(self):
        return {"sent": durable.wait_for_event("value")}

    @step(atomic=True)
    def in_transaction(self, sent):
        return {"atomic": sent}


VALUES: dict[str, Any] = {
    "none": None,
    "true": True,
    "false": False,
    "zero": 0,
    "int": -7,
    "big int": 2**70,
    "float": 1.5,
    "large float": 1e22,
    "tiny float": 5e-324,
    "negative zero": -0.0,
    "whole float": 3.0,
    "text": 'ünï 🚚 "quoted" \\ % %s \n\t\x7f',
    "empty": "",
    "list": [1, [2, [3]], {}],
    "dict": {"a": {"b": [1, None]}, "": 0, "$type": "own", "$$type": 1},
    "empty dict": {},
    "empty list": [],
    "datetime": datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    "other zone": datetime(
        2030, 1, 2, tzinfo=timezone(timedelta(hours=-3, minutes=-30))
    ),
    "naive": datetime(2030, 1, 2, 3, 4),  # noqa: DTZ001
    "date": date(1, 1, 1),
    "time": time(23, 59, 59, 999999),
    "timedelta": timedelta(days=-3, seconds=5, microseconds=7),
    "decimal": Decimal("1.10"),
    "large decimal": Decimal("1E+50"),
    "uuid": UUID("01234567-89ab-7cde-8f01-23456789abcd"),
    "bytes": bytes(range(256)),
    "tuple": (1, ("a", None)),
    "empty tuple": (),
    "set": {1, 2, "x"},
    "frozenset": frozenset({(1, 2)}),
    "enum": Color.RED,
    "int enum": Level.HIGH,
    "dataclass": Line("x-1", Decimal("9.90"), ("a",)),
    "all in all": [{"k": (Decimal("1"), {Color.RED}, Line("y", Decimal("0")))}],
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_comes_back_equal_and_of_the_same_type(name):
    value = VALUES[name]
    execution = durable.start(Carry, {"value": value})
    durable.send_event(execution, "value", value)

    result = finish(execution).result
    stored = fresh(execution)

    assert set(result) == {
        *("value", "returned", "placed", "remembered", "sent", "atomic"),
    }
    for found in [*result.values(), stored.input["value"]]:
        assert same(found, value), found


def same(found: Any, value: Any) -> bool:
    """Compare with types, and with the sign of zero."""
    if type(found) is not type(value) or repr(found) == repr(value):
        return type(found) is type(value)
    if isinstance(value, dict):
        return found.keys() == value.keys() and all(
            same(found[key], item) for key, item in value.items()
        )
    if isinstance(value, list | tuple):
        return len(found) == len(value) and all(map(same, found, value))
    return bool(found == value) and not isinstance(value, float)


def test_an_instance_comes_back_as_the_row_is_then():
    group = Group.objects.create(name="x")
    execution = durable.start(Carry, {"value": group})
    durable.send_event(execution, "value", group)

    result = finish(execution).result

    assert {found.pk for found in result.values()} == {group.pk}
    assert {found.name for found in result.values()} == {"x"}


def test_the_output_of_a_step_and_the_payload_of_an_event_are_values_too():
    value = {"price": Decimal("1.10"), "at": {date(2030, 1, 1)}}
    execution = durable.start(Carry, {"value": value})
    event = durable.send_event(execution, "value", value)

    finish(execution)

    assert event.payload == value
    assert execution.steps.get(path="by_return").output == {"returned": value}
    assert execution.steps.get(path="in_place").output == {"placed": value}
