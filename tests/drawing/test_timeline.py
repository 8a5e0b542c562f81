"""The SVG of a timeline."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.utils import timezone

from django_durable.drawing import timeline_svg
from django_durable.drawing.history import Bulk, History
from tests.drawing.histories import LANES, at, attempt, history, pause, runner
from tests.drawing.reading import elements, parsed, title, words
from tests.drawing.test_graph import HOSTILE

DAY = 86_400.0


def drawn(history: History, now: float = 100, **options: object) -> str:
    return timeline_svg(history, now=at(now), **options)


def simple(**fields: object) -> History:
    return history(
        runner(queued=0, started=2, ended=10),
        attempt("charge", 2, 4, status="failed", error="ConnectionError"),
        attempt("charge", 6, 7, attempt=2),
        attempt("ship", 7, 10, 1),
        **fields,
    )


def test_there_is_a_row_per_path_with_its_bars():
    svg = drawn(simple())

    rows = list(elements(svg, "g", "row"))
    assert [words(row)[0] for row in rows] == ["charge", "ship"]
    assert [bar.get("class").split()[1] for bar in elements(svg, "g", "bar-of")] == [
        "drawn-bar-queue",
        "drawn-bar-between",
        "drawn-bar-run",
        "drawn-bar-run",
        "drawn-bar-run",
    ]


def test_a_bar_says_exactly_when_it_was_and_how_it_ended():
    svg = drawn(simple())

    [failed] = elements(svg, "g", "was-failed")
    assert title(failed).splitlines() == [
        "charge",
        "runs: attempt 1, failed: ConnectionError",
        "2030-03-01 12:00:02.000 UTC to 2030-03-01 12:00:04.000 UTC",
        "2 seconds",
    ]


def test_what_failed_is_marked_by_more_than_its_colour():
    svg = drawn(simple())

    assert len(list(elements(svg, "path", "fault"))) == 1


@pytest.mark.parametrize("status", ["failed", "timed_out", "lost"])
def test_all_that_did_not_end_well_is_marked(status):
    svg = drawn(history(runner(ended=1), attempt("a", 0, 1, status=status)))

    assert len(list(elements(svg, "path", "fault"))) == 1


def test_a_bar_leads_to_its_step():
    record = simple()

    svg = drawn(record, href=lambda bar: f"#{bar.step}" if bar.step else "")

    links = [link.get("href") for link in elements(svg, "a", "bar-of")]
    assert links == [f"#{one.step}" for one in record.attempts]
    assert parsed(svg).get("role") == "group"
    assert parsed(drawn(record)).get("role") == "img"


def test_what_is_waited_for_is_hatched():
    svg = drawn(
        history(
            runner(ended=9),
            attempt("nap", 0, 9, kind="wait"),
            pauses=[pause("nap", 1, 8, sentence="the end of a nap")],
        ),
        id_="x",
    )

    [wait] = elements(svg, "g", "bar-wait")
    assert "waits for the end of a nap" in title(wait)
    assert wait[-1].get("fill") == "url(#x-hatch)"
    assert [one.get("id") for one in elements(svg, "pattern")] == ["x-hatch"]


def test_now_is_marked_as_long_as_it_is_open():
    still = history(runner("running", path="a", at_since=0))

    assert len(list(elements(drawn(still), "g", "now"))) == 1
    assert not list(elements(drawn(simple()), "g", "now"))


def test_a_wait_of_days_is_cut_with_a_mark_that_says_how_long_it_was():
    long = history(
        runner(ended=3 * DAY + 4),
        attempt("a", 0, 2),
        attempt("approval", 2, 3 * DAY, 1, kind="wait"),
        attempt("b", 3 * DAY, 3 * DAY + 4, 2),
        pauses=[pause("approval", 2, 3 * DAY)],
    )

    [mark] = elements(drawn(long), "g", "break")
    assert words(mark) == ["2d 23h"]
    assert not list(elements(drawn(long, cuts_idle=False), "g", "break"))


def test_ticks_say_the_day_where_it_changes():
    svg = drawn(history(runner(ended=DAY), attempt("a", 0, DAY)), cuts_idle=False)

    labels = [words(tick)[0] for tick in elements(svg, "g", "tick") if words(tick)]
    assert labels[0].startswith("1 Mar 12:00")
    assert [label for label in labels if label.startswith("2 Mar")] == ["2 Mar 00:00"]


def test_times_are_those_of_the_reader():
    with timezone.override("Asia/Kathmandu"):
        svg = drawn(simple())

    assert "2030-03-01 17:45:02.000 +0545" in svg


def test_five_hundred_items_are_one_row():
    lanes = [
        runner(lane=lane, scope=f"each[{n}]", ended=2)
        for n, lane in enumerate(LANES[:500])
    ]
    attempts = [
        attempt(f"each[{n}].send", 1, 2, lane=lane)
        for n, lane in enumerate(LANES[:500])
    ]

    svg = drawn(history(runner(ended=9), *attempts, lanes=lanes))

    assert [words(row)[0] for row in elements(svg, "g", "row")] == ["each.send × 500"]  # noqa: RUF001
    assert len(svg) < 20_000


def test_many_lanes_that_were_not_read_one_by_one_say_how_many_they_are():
    bulk = Bulk(
        path="each.send", count=9000, failed=3, started_at=at(1), completed_at=at(4)
    )

    svg = drawn(history(runner(ended=9), bulks=[bulk]))

    [row] = elements(svg, "g", "row")
    assert words(row) == ["each.send", "9,000 attempts, 3 failed"]


def test_what_is_left_out_is_said():
    svg = drawn(simple(is_cut=True))

    assert "The oldest part is left out." in words(parsed(svg))
    assert parsed(svg).findtext("{*}desc").endswith("The oldest part is left out.")


def test_an_execution_that_has_not_begun_can_be_drawn():
    svg = drawn(history(runner("pending", started=None)))

    [row] = elements(svg, "g", "row")
    assert words(row)[0] == "start"


def test_an_execution_that_has_done_nothing_can_be_drawn():
    svg = drawn(history(runner("cancelled", started=None, ended=0)))

    assert not list(elements(svg, "g", "row"))


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_stands_in_an_error_or_a_name_is_text(text):
    svg = drawn(
        history(
            runner(ended=9),
            attempt(text, 0, 1, status="failed", error=text),
            pauses=[pause(text, 1, 2, sentence=text)],
        ),
        href=lambda bar: text,
        title=text,
    )

    assert "<script" not in svg
    assert "<style" not in svg
    assert " style=" not in svg
    assert parsed(svg) is not None


def test_a_file_that_stands_for_itself_brings_its_style():
    svg = drawn(simple(), embed_style=True)

    assert "var(" not in svg
    assert len(list(elements(svg, "style"))) == 1


def test_nothing_lies_outside_of_the_drawing():
    svg = drawn(simple(), width=700)

    _, _, width, height = map(float, parsed(svg).get("viewBox").split())
    for rect in elements(svg, "rect"):
        assert 0 <= float(rect.get("x")) <= width - float(rect.get("width")) + 0.1
        assert 0 <= float(rect.get("y")) <= height - float(rect.get("height"))


def test_a_step_of_an_unknown_record_is_no_link_to_nowhere():
    svg = drawn(
        history(runner("running", path="a", at_since=0)),
        href=lambda bar: f"#{bar.step or uuid4()}" if bar.step else "",
    )

    assert not list(elements(svg, "a"))
