"""Why an execution does not move, or what it does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from django_durable import days, hours, minutes, seconds
from django_durable.admin.sentences import (
    Facts,
    Holder,
    Name,
    OpenWait,
    Ref,
    Since,
    about,
    plain,
    sentence,
)
from tests.factories import NOON

CHILD = UUID("01900000-0000-7000-8000-000000000001")
REFUSED = {"type": "ConnectionError", "message": "refused", "step": "ship"}


def said(**facts: Any) -> str:
    return plain(sentence(Facts(**facts), now=NOON), now=NOON)


def wait(**values: Any) -> OpenWait:
    return OpenWait(**{"since": NOON - hours(3), "name": "", **values})


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        # --- Pending
        (
            {"queue": "mail", "available_at": NOON - seconds(3)},
            "Waits for 3 s for a free worker of queue mail to start.",
        ),
        (
            {"step": "ship", "queue": "mail", "available_at": NOON - seconds(3)},
            "Waits for 3 s for a free worker of queue mail to run ship.",
        ),
        (
            {
                "step": "ship",
                "queue": "mail",
                "available_at": NOON - minutes(9),
                "workers": 0,
            },
            "Waits for 9 min to run ship, but no worker takes the queue mail.",
        ),
        (
            {"available_at": NOON + days(2), "scheduled_at": NOON + days(2)},
            "Starts in 2 d.",
        ),
        (
            {
                "step": "charge",
                "attempt": 2,
                "max_attempts": 5,
                "available_at": NOON + seconds(40),
                "failure": REFUSED,
            },
            "Attempt 2 of 5 of charge in 40 s after ConnectionError: refused.",
        ),
        (
            {
                "step": "charge",
                "attempt": 2,
                "available_at": NOON + seconds(40),
                "waiting_for": "attempt 2 of 5 of charge, 12:00, after ConnectionError",
            },
            "Attempt 2 of charge in 40 s after ConnectionError.",
        ),
        (
            {"step": "poll", "available_at": NOON + minutes(5)},
            "Runs poll again in 5 min.",
        ),
    ],
)
def test_pending(facts, text):
    assert said(status="pending", **facts) == text


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({}, "Runs charge for 12 s."),
        ({"attempt": 2, "max_attempts": 3}, "Runs charge for 12 s, attempt 2 of 3."),
        # A deploy has lowered the number meanwhile.
        ({"attempt": 4, "max_attempts": 3}, "Runs charge for 12 s, attempt 4."),
        (
            {"holder": Holder(name="web-1:42", beat_at=NOON)},
            "Runs charge for 12 s, on web-1:42.",
        ),
        (
            {
                "holder": Holder(
                    name="web-1:42", beat_at=NOON - seconds(50), is_alive=False
                )
            },
            "Runs charge for 12 s, on web-1:42, which gave no sign of life for 50 s.",
        ),
        (
            {"progress": {"done": 40, "total": 100, "message": "pages"}},
            "Runs charge for 12 s, 40 of 100 done, pages.",
        ),
        (
            {"progress": {"done": 0, "total": None, "message": "warming up"}},
            "Runs charge for 12 s, warming up.",
        ),
    ],
)
def test_running(facts, text):
    started = NOON - seconds(12)

    assert (
        said(status="running", step="charge", step_started_at=started, **facts) == text
    )


@pytest.mark.parametrize(
    ("open_wait", "text"),
    [
        (
            wait(
                kind="input",
                name="manager",
                input_type="approval",
                whom="group Finance",
                until=NOON + hours(21),
            ),
            "Waits for approval manager by group Finance since 3 h, gives up in 21 h.",
        ),
        (
            wait(kind="input", name="why", input_type="multi_choice"),
            "Waits for multi choice why since 3 h.",
        ),
        (
            wait(kind="event", name="paid", names=("paid",)),
            "Waits for the event paid since 3 h.",
        ),
        (
            wait(kind="any", name="a, b", names=("a", "b"), until=NOON + days(3)),
            "Waits for one of the events a, b since 3 h, gives up in 3 d.",
        ),
        (
            wait(kind="all", name="a, b", names=("a", "b"), until=NOON - seconds(1)),
            "Waits for all of the events a, b since 3 h, gives up now.",
        ),
        (wait(kind="sleep", until=NOON + days(3)), "Sleeps at rest, wakes up in 3 d."),
        (
            wait(kind="child", name="billing", child=CHILD),
            "Waits for its child billing since 3 h.",
        ),
        (wait(kind="lanes"), "Waits for 1,490 members of rest since 3 h."),
    ],
)
def test_waiting(open_wait, text):
    assert said(status="waiting", step="rest", open_lanes=1490, wait=open_wait) == text


@pytest.mark.parametrize(
    ("count", "member", "text"),
    [
        (
            2,
            wait(
                kind="input", name="fine", input_type="approval", whom="group Finance"
            ),
            "Waits for 2 members of checks since 3 h. One of them waits for approval fine "
            "by group Finance since 3 h.",
        ),
        (
            1,
            wait(kind="event", name="paid", until=NOON + days(3)),
            "Waits for 1 member of checks since 3 h. It waits for the event paid "
            "since 3 h, gives up in 3 d.",
        ),
        (
            1,
            wait(kind="sleep", until=NOON + days(3)),
            "Waits for 1 member of checks since 3 h. It sleeps, wakes up in 3 d.",
        ),
    ],
)
def test_waiting_for_members_says_what_one_of_them_waits_for(count, member, text):
    facts = {"step": "checks", "open_lanes": count, "member": member}
    assert said(status="waiting", wait=wait(kind="lanes"), **facts) == text


@pytest.mark.parametrize(
    ("waiting_for", "due", "text"),
    [
        (
            "approval manager by group finance, until 2030-03-04 12:00:00 UTC",
            NOON + days(3),
            "Waits for approval manager by group finance, gives up in 3 d.",
        ),
        (
            "the end of its sleep, 2030-03-01 13:00:00 UTC",
            NOON + hours(1),
            "Sleeps at rest, wakes up in 1 h.",
        ),
        ("the event paid", None, "Waits for the event paid."),
        ("", None, "Waits for its turn."),
        (
            "code for ship is not deployed here",
            NOON,
            "Stands still: code for ship is not deployed here.",
        ),
    ],
)
def test_a_list_knows_what_the_row_says(waiting_for, due, text):
    assert (
        said(status="waiting", step="rest", waiting_for=waiting_for, available_at=due)
        == text
    )


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        (
            {"status": "completed", "duration": seconds(63)},
            "Completed after 1m 3s.",
        ),
        (
            {"status": "failed", "step": "ship", "error": REFUSED},
            "Failed at ship: ConnectionError: refused.",
        ),
        (
            {"status": "failed", "step": "checks", "error": {**REFUSED, "step": None}},
            "Failed at checks: ConnectionError: refused.",
        ),
        (
            {"status": "failed", "error": {"type": "failed", "message": "no money."}},
            "Failed: no money.",
        ),
        (
            {"status": "failed", "error": {"type": "worker_lost", "message": ""}},
            "Failed: worker lost.",
        ),
        (
            {"status": "failed", "error": {"type": "E", "message": "one\ntwo"}},
            "Failed: E: one.",
        ),
        (
            {"status": "cancelled", "step": "ship", "error": {"message": "no stock"}},
            "Cancelled at ship: no stock.",
        ),
        (
            {"status": "cancelled", "duration": hours(2), "error": {"message": ""}},
            "Cancelled after 2h 0m.",
        ),
        (
            {"status": "compensated", "error": REFUSED},
            "Failed at ship: ConnectionError: refused; everything was undone.",
        ),
        (
            {
                "status": "compensated",
                "step": "ship",
                "error": {"type": "cancelled", "message": "by me"},
            },
            "Cancelled at ship: by me; everything was undone.",
        ),
        (
            {"status": "compensation_failed", "error": REFUSED},
            "Failed at ship: ConnectionError: refused; not everything could be undone.",
        ),
        (
            {"status": "compensating", "step": "charge", "error": REFUSED},
            "Undoes charge, because of ConnectionError: refused.",
        ),
        (
            {
                "status": "compensating",
                "step": "charge",
                "attempt": 2,
                "max_attempts": 5,
                "available_at": NOON + seconds(9),
                "error": REFUSED,
            },
            "Attempt 2 of 5 to undo charge in 9 s, because of ConnectionError: refused.",
        ),
        (
            {"status": "paused", "step": "ship"},
            "Paused at ship: waits for someone to resume it.",
        ),
    ],
)
def test_other_statuses(facts, text):
    assert said(**facts) == text


LONG = "x" * 5000


@pytest.mark.parametrize(
    "facts",
    [
        {"status": "failed", "error": {"type": "E", "message": LONG}},
        {"status": "cancelled", "error": {"type": "cancelled", "message": LONG}},
        {"status": "running", "progress": {"done": 1, "total": 2, "message": LONG}},
        {"status": "waiting", "waiting_for": LONG},
        {"status": "waiting", "waiting_for": f"code for {LONG}"},
    ],
)
def test_long_texts_are_cut(facts):
    text = said(**facts)

    assert len(text) < 250
    assert text.endswith("….")


def test_of_a_reason_with_several_lines_the_first_is_told():
    text = said(status="cancelled", error={"message": "a test\nof Monday"})

    assert text == "Cancelled: a test."


def test_parts_keep_names_times_and_links_apart():
    facts = Facts(
        status="waiting",
        wait=wait(kind="child", name="billing", child=CHILD),
    )

    assert sentence(facts, now=NOON) == (
        "Waits for its child ",
        Ref(CHILD, "billing"),
        " since ",
        Since(NOON - hours(3)),
        ".",
    )
    assert Name("x") not in sentence(facts, now=NOON)


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(0), "0 s"),
        (seconds(-5), "0 s"),
        (seconds(59.9), "59 s"),
        (seconds(60), "1 min"),
        (minutes(59), "59 min"),
        (hours(1), "1 h"),
        (hours(47), "47 h"),
        (hours(48), "2 d"),
        (days(400), "400 d"),
    ],
)
def test_spans_are_told_in_their_largest_unit(span, text):
    assert about(span) == text
