"""Stored values, as people read them who decide."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.db import models
from django.urls import reverse

from django_durable import codec
from django_durable.admin.moments import NOTHING
from django_durable.admin.readable import Reader, briefly

HOSTILE = "<b>&"


class Size(models.TextChoices):
    SMALL = "s", "Quite small"


class Color(enum.Enum):
    RED = 1


def read(value: object) -> str:
    return str(Reader(AnonymousUser()).value(codec.encode(value)))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "Yes"),
        (False, "No"),
        (0, "0"),
        (1.5, "1.5"),
        (10**30, "1" + "0" * 30),
        ("text", "text"),
        (Decimal("12.50"), "12.50"),
        (date(2030, 3, 1), "March 1, 2030"),
        (datetime(2030, 3, 1, 12, 30, tzinfo=UTC), "March 1, 2030, 12:30 p.m."),
        (time(12), "noon"),
        (timedelta(hours=1, minutes=30), "1 hour 30 minutes"),
        (UUID(int=0), str(UUID(int=0))),
        (b"abc", "3 bytes"),
        (Size.SMALL, "Quite small"),
        (Color.RED, "RED"),
        (["a", 2, None], f"a, 2, {NOTHING}"),
        (("a", "b"), "a, b"),
        (None, str(NOTHING)),
        ("", str(NOTHING)),
        ([], str(NOTHING)),
    ],
)
def test_a_value_is_read_as_one_would_say_it(value, text):
    assert read(value) == text


def test_an_object_is_one_line_per_key():
    entries = Reader(AnonymousUser()).entries(
        codec.encode({"order_number": 7, "is_new": True, "$type": "x"})
    )

    assert [(entry.label, entry.value) for entry in entries] == [
        ("Order number", "7"),
        ("Is new", "Yes"),
        ("$type", "x"),
    ]


def test_what_is_no_object_is_one_line_without_a_name():
    [entry] = Reader(AnonymousUser()).entries("approved")
    assert (entry.label, entry.value) == ("", "approved")
    assert Reader(AnonymousUser()).entries(None) == []


def test_objects_that_are_alike_are_a_table():
    html = read([{"name": "Cup", "price": Decimal("2.50")}, {"name": "Pot"}])

    assert '<th scope="col">Name</th>' in html
    assert "<td>Cup</td>" in html
    assert html.count("<tr>") == 3


def test_columns_of_numbers_stand_under_each_other():
    html = read([{"name": "Cup", "price": Decimal("2.50"), "count": 2}])

    assert html.count('class="durable-number"') == 4


@pytest.mark.parametrize(
    "value",
    [
        [{"a": [1]}],
        {"a": {"b": {"c": 1}}},
        [[1], [2]],
        [{str(number): number for number in range(20)}],
        [{}, {}],
    ],
    ids=str,
)
def test_what_is_deeper_is_shown_as_it_is_stored(value):
    assert "<pre" in read(value)


@pytest.mark.parametrize(
    "value",
    [
        HOSTILE,
        [HOSTILE],
        {HOSTILE: HOSTILE},
        [{HOSTILE: HOSTILE}],
        {"a": {HOSTILE: [HOSTILE]}},
        {"$type": HOSTILE},
    ],
    ids=str,
)
def test_all_of_it_is_escaped(value):
    assert "<b>" not in read(value)
    entries = Reader(AnonymousUser()).entries(codec.encode({"x": value}))
    assert "<b>" not in str(entries[0].value)


@pytest.mark.parametrize(
    "tree",
    [
        {"$type": "unheard of"},
        {"$type": "decimal", "value": "x"},
        {"$type": "decimal"},
        {"$type": "model", "model": "gone.model", "pk": 1, "using": "default"},
        {"$type": "model", "model": "x", "pk": 1, "using": "default"},
        {"$type": "model", "model": ["x"]},
        {"$type": "enum", "value": 1},
        {"$type": "tuple", "items": 3},
        {"$type": 3},
    ],
    ids=str,
)
def test_what_cannot_be_read_is_shown_as_it_is_stored(tree):
    html = str(Reader(AnonymousUser(), fetches=3).value(tree))

    assert "$type" in html
    assert list(briefly({"a": tree})) == []


def test_an_address_is_a_link_and_a_script_is_none():
    assert read("https://example.com/a?b=1&c") == (
        '<a href="https://example.com/a?b=1&amp;c" rel="noopener noreferrer">'
        "https://example.com/a?b=1&amp;c</a>"
    )
    for text in ("javascript:alert(1)", "https://example.com and more", 'http://"x'):
        assert "<a" not in read(text) or '"x' not in read(text)


def test_long_texts_and_long_lists_are_cut():
    assert len(read("x" * 100_000)) < 3_000
    assert read(list(range(100))).endswith(
        '<span class="durable-quiet">and 70 more</span>'
    )
    many = Reader(AnonymousUser()).entries({str(number): 1 for number in range(100)})
    assert len(many) == 31
    assert "and 70 more" in many[-1].value


@pytest.mark.django_db
def test_a_model_instance_is_named_and_leads_to_its_page(django_assert_num_queries):
    group = Group.objects.create(name=HOSTILE)
    boss = User.objects.create_superuser("boss")
    tree = codec.encode(group)
    address = reverse("admin:auth_group_change", args=[group.pk])

    with django_assert_num_queries(0):
        plain = str(Reader(AnonymousUser()).value(tree))
        linked = str(Reader(boss).value(tree))
    with django_assert_num_queries(1):
        named = str(Reader(boss, fetches=1).entries([group and tree, tree])[0].value)

    assert plain == f"group {group.pk}"
    assert linked == f'<a href="{address}">group {group.pk}</a>'
    # No more of them are fetched than was asked for.
    assert named == f'<a href="{address}">&lt;b&gt;&amp;</a>, {linked}'


@pytest.mark.django_db
def test_a_model_instance_that_is_gone_is_said_to_be():
    group = Group.objects.create(name="gone")
    tree = codec.encode(group)
    pk = group.pk
    group.delete()

    assert (
        Reader(AnonymousUser(), fetches=1).value(tree) == f"group {pk} (which is gone)"
    )


def test_a_list_shows_the_first_short_values():
    tree = codec.encode(
        {
            "a": 1,
            "long": "x" * 500,
            "nested": {"b": 1},
            "none": None,
            "lines": "one\ntwo",
            "price": Decimal("2.50"),
            "yes": True,
            "left_out": 1,
        }
    )

    found = [(entry.label, entry.value) for entry in briefly(tree, longest=10)]

    assert found == [
        ("A", "1"),
        ("Long", "xxxxxxxxx…"),
        ("Lines", "one two"),
        ("Price", "2.50"),
    ]
    assert list(briefly(["a"])) == list(briefly(None)) == []
