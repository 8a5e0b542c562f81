"""Helpers that return changed data and leave the given one alone."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_durable import append, assign, increment, update

DATA: Mapping[str, Any] = {"count": 2, "tags": ["a"], "name": "Ada", "none": None}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (lambda data: assign(data, count=3, new=[1]), {"count": 3, "new": [1]}),
        (lambda data: assign(data), {}),
        (lambda data: assign(data, data=1), {"data": 1}),
        (
            lambda data: update(data, "count", 0, lambda count: count * 10),
            {"count": 20},
        ),
        (lambda data: update(data, "new", 5, lambda number: number * 10), {"new": 50}),
        (lambda data: update(data, "none", 5, lambda value: value), {"none": None}),
        (lambda data: append(data, "tags", "b"), {"tags": ["a", "b"]}),
        (lambda data: append(data, "tags", ["b"]), {"tags": ["a", ["b"]]}),
        (lambda data: append(data, "new", "b"), {"new": ["b"]}),
        (lambda data: increment(data, "count"), {"count": 3}),
        (lambda data: increment(data, "count", by=-5), {"count": -3}),
        (lambda data: increment(data, "count", by=0.5), {"count": 2.5}),
        (lambda data: increment(data, "new"), {"new": 1}),
        (lambda data: increment(data, "new", 7), {"new": 7}),
        (
            lambda data: increment(data, "new", by=Decimal("1.1")),
            {"new": Decimal("1.1")},
        ),
    ],
)
def test_the_new_data_has_the_change_and_all_the_rest(changed, expected):
    given = {**DATA, "tags": list(DATA["tags"])}

    result = changed(given)

    assert result == {**DATA, **expected}
    assert result is not given
    assert given == DATA


def test_any_mapping_will_do_and_a_dict_comes_back():
    read_only = MappingProxyType(dict(DATA))

    for result in (
        assign(read_only, a=1),
        update(read_only, "a", 1, str),
        append(read_only, "a", 1),
        increment(read_only, "a"),
    ):
        assert type(result) is dict


def test_a_function_that_changes_what_it_gets_changes_neither_data_nor_default():
    def push(items: list[int]) -> list[int]:
        items.append(1)
        return items

    data, default = {"items": [0]}, [0]

    assert update(data, "items", [], push) == {"items": [0, 1]}
    assert update({}, "items", default, push) == {"items": [0, 1]}
    assert (data, default) == ({"items": [0]}, [0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: append(DATA, "name", 1), r"data\['name'\] is of type str; append\(\)"),
        (lambda: append(DATA, "none", 1), r"data\['none'\] is None; append\(\) needs"),
        (lambda: append({"a": (1,)}, "a", 1), r"data\['a'\] is of type tuple"),
        (lambda: increment(DATA, "name"), r"data\['name'\] is of type str; increment"),
        (
            lambda: increment(DATA, "none"),
            r"data\['none'\] is None; increment\(\) needs",
        ),
        (lambda: increment({"a": True}, "a"), r"data\['a'\] is of type bool"),
    ],
)
def test_a_value_of_another_kind_is_refused(change, message):
    with pytest.raises(TypeError, match=message):
        change()


@given(st.lists(st.integers()))
def test_appending_and_incrementing_from_nothing_collects_everything(numbers):
    data: dict[str, Any] = {}

    for number in numbers:
        data = increment(append(data, "all", number), "sum", number)

    assert data.get("all", []) == numbers
    assert data.get("sum", 0) == sum(numbers)
