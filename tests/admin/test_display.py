"""Payloads, tracebacks, badges and times as HTML."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.template import Context, Template

from django_durable import clock
from django_durable.admin import badges, display, live, moments
from django_durable.admin.payloads import Payload
from django_durable.admin.permissions import Rights
from django_durable.types import ExecutionStatus, StepStatus, WaitStatus
from tests.admin.rows import text_of
from tests.factories import NOON

TRACEBACK = """\
Traceback (most recent call last):
  File "shop/workflows.py", line 12, in charge
    receipt = bank.charge(total)
  File "shop/bank.py", line 3, in charge
    raise TimeoutError(
        "no answer"
    )
TimeoutError: no answer

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "shop/workflows.py", line 14, in charge
    log.loose(total)
    ^^^^^^^^^
AttributeError: loose
  in two lines"""


# --- JSON -----------------------------------------------------------------------------


def test_json_is_indented_with_its_keys_sorted():
    assert display.pretty({"b": 1, "a": [True, None]}) == (
        '{\n  "a": [\n    true,\n    null\n  ],\n  "b": 1\n}'
    )


@pytest.mark.parametrize(
    "tree",
    [
        {},
        [],
        None,
        "",
        {"a": 'quote " and \\ and \n'},
        {"k": ["x", {"y": "z"}], "ключ": "значение"},
        {"half": "\ud800"},
        ["\\"] * 50,
    ],
)
def test_highlighting_changes_nothing_of_the_text(tree):
    text = display.pretty(tree)

    html = display.highlighted(text)

    assert Template("{{ html }}").render(Context({"html": html})).count("<script") == 0
    assert text_of(html).replace(" ", "") == " ".join(text.split()).replace(" ", "")


def test_keys_and_strings_are_set_apart():
    html = display.highlighted('{"a": "b", "c": 1}')

    assert html == (
        '{<span class="durable-key">&quot;a&quot;</span>: '
        '<span class="durable-string">&quot;b&quot;</span>, '
        '<span class="durable-key">&quot;c&quot;</span>: 1}'
    )


def test_what_is_short_is_shown_whole():
    shown = display.shown({"a": 1})

    assert not shown.is_cut


@pytest.mark.parametrize(
    "tree",
    [
        {"a": "x" * 50_000},
        {"a": "\\" * 50_000},
        {"a": '"' * 50_000},
        {f"key {number}": "x" for number in range(5000)},
        "y" * 50_000,
    ],
)
def test_what_is_long_is_cut_wherever_that_is(tree):
    shown = display.shown(tree)

    assert shown.is_cut
    assert 4_000 < len(text_of(shown.html)) <= display.MOST_JSON
    assert json.dumps(tree)[:1] == text_of(shown.html)[:1]


def tag(stored: Payload, **rights: bool) -> str:
    template = Template('{% load durable_admin %}{% payload stored "Input" "/all/" %}')
    context = {"stored": stored, "rights": Rights(view=True, **rights)}
    return template.render(Context(context))


def test_a_payload_is_shown_to_those_who_may_see_it():
    stored = Payload({"a": 1}, 8)

    assert "Hidden" in tag(stored)
    assert "durable-key" not in tag(stored)
    assert "durable-key" in tag(stored, see_payloads=True)


def test_a_payload_that_was_not_read_leads_to_all_of_it():
    html = tag(Payload(None, 5_000_000, is_large=True), see_payloads=True)

    assert '<a href="/all/">Show all 4.8' in html


def test_nothing_is_a_dash():
    assert "–" in tag(Payload(None, 0), see_payloads=True)  # noqa: RUF001


def test_without_rights_in_the_context_nothing_is_shown():
    template = Template('{% load durable_admin %}{% payload stored "Input" %}')

    with pytest.raises(KeyError):
        template.render(Context({"stored": Payload({"a": 1}, 8)}))


# --- Tracebacks -----------------------------------------------------------------------


def test_the_frame_that_failed_is_the_last_one():
    kinds = [(line.kind, line.text.strip()) for line in display.trace_lines(TRACEBACK)]

    failing = [text for kind, text in kinds if kind == "failing"]
    assert failing == [
        'File "shop/workflows.py", line 14, in charge',
        "log.loose(total)",
        "^^^^^^^^^",
    ]
    assert ("error", "AttributeError: loose") in kinds
    assert ("frame", 'File "shop/bank.py", line 3, in charge') in kinds
    assert display.failing_source(TRACEBACK) == "log.loose(total)"


@pytest.mark.parametrize(
    "text", ["", "no frames", "\n\n", 'File "x', '  File "a", line 1', "x" * 20_000]
)
def test_any_text_may_be_a_traceback(text):
    joined = "\n".join(line.text for line in display.trace_lines(text))

    assert joined == text.rstrip("\n")
    assert display.failing_source(text) == ""


# --- Badges and times -----------------------------------------------------------------


@pytest.mark.parametrize(
    "status",
    sorted(
        {
            one.value
            for kind in (ExecutionStatus, StepStatus, WaitStatus)
            for one in kind
        }
    ),
)
def test_every_status_has_an_icon_a_colour_and_its_name(status):
    html = badges.badge(status)

    assert status in badges._LOOKS
    assert "<svg" in html
    assert text_of(html) == status.replace("_", " ")


def test_an_unknown_status_is_shown_plainly():
    assert text_of(badges.badge("<odd>")) == "<odd>"


@pytest.mark.parametrize(
    ("filter_", "offset", "text"),
    [
        (moments.ago, timedelta(hours=-3), "3 h ago"),
        (moments.ago, timedelta(hours=3), "in 3 h"),
        (moments.since, timedelta(seconds=-40), "40 s"),
        (moments.until, timedelta(days=3), "in 3 d"),
        (moments.until, timedelta(seconds=-1), "now"),
        (moments.instant, timedelta(0), "2030-03-01 12:00:00 UTC"),
    ],
)
def test_times_are_near_in_words_and_exact_when_pointed_at(filter_, offset, text):
    with clock.freeze(NOON):
        html = filter_(NOON + offset)

    assert text_of(html) == text
    assert f'datetime="{(NOON + offset).isoformat()}"' in html
    assert 'title="2030-' in html


def test_the_state_of_a_region_does_not_depend_on_ticking_times():
    html = '<p><time datetime="x" title="y">3 s</time> since</p>'

    assert live.etag(html) == live.etag(html.replace("3 s", "4 s"))
    assert live.etag(html) != live.etag(html.replace("since", "ago"))
    assert live.etag(html) != live.etag(html.replace('"x"', '"z"'))
