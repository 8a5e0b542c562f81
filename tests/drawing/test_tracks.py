"""Bars -> rows: one per path, in order, and never too many."""

from __future__ import annotations

from django_durable.drawing.bars import Bar, BarKind
from django_durable.drawing.tracks import tracks_of
from tests.drawing.histories import at


def bar(path: str, start: float, end: float | None = None, **fields: object) -> Bar:
    kind = fields.pop("kind", BarKind.RUN)
    return Bar(kind=kind, path=path, starts=at(start), ends=at(end), **fields)


def test_attempts_at_one_path_share_a_row():
    tracks = tracks_of([bar("a", 0, 1), bar("b", 2, 3), bar("a", 1, 2)])

    assert [(track.path, len(track.bars)) for track in tracks] == [("a", 2), ("b", 1)]


def test_what_is_in_a_block_stands_below_it_and_is_moved_in():
    tracks = tracks_of(
        [
            bar("after", 9, 10),
            bar("checks.b", 3, 4),
            bar("checks.a.two", 5, 6),
            bar("checks.a.one", 2, 3),
            bar("checks", 1, 8, kind=BarKind.BLOCK),
            bar("first", 0, 1),
        ]
    )

    assert [(track.label, track.depth) for track in tracks] == [
        ("first", 0),
        ("checks", 0),
        ("a.one", 1),
        ("a.two", 1),
        ("b", 1),
        ("after", 0),
    ]


def test_rounds_and_items_stand_together():
    tracks = tracks_of(
        [
            bar("each[0].a", 1, 2),
            bar("each[1].a", 2, 3),
            bar("each[1].b", 4, 5),
            bar("each[0].b", 5, 6),
        ]
    )

    assert [track.path for track in tracks] == [
        "each[0].a",
        "each[0].b",
        "each[1].a",
        "each[1].b",
    ]


def test_a_compensation_has_a_row_of_its_own_at_its_time():
    tracks = tracks_of([bar("a", 0, 1), bar("b", 2, 3), bar("a", 4, 5, is_undo=True)])

    assert [track.label for track in tracks] == ["a", "b", "a (undo)"]


def test_where_there_are_too_many_rows_items_share_one_per_node():
    many = [bar(f"each[{n}].send", n, n + 0.5) for n in range(300)]
    few = [bar(f"loop[{n}].poll", 400 + n, 401 + n) for n in range(5)]

    tracks = tracks_of([bar("first", 0, 1), *many, *few])

    assert len(tracks) == 7
    [group] = [track for track in tracks if track.count > 1]
    assert group.label == "each.send × 300"  # noqa: RUF001
    assert len(group.bars) == 300


def test_bars_that_overlap_on_a_shared_row_become_one():
    many = [bar(f"each[{n}].send", n, n + 5, status="completed") for n in range(300)]
    failed = bar("each[300].send", 50, 51, status="failed")

    [track] = tracks_of([*many, failed])

    assert [(one.status, one.starts, one.ends) for one in track.bars] == [
        ("completed", at(0), at(304)),
        ("failed", at(50), at(51)),
    ]
    assert track.bars[0].text == "300 at once, completed"


def test_what_still_lasts_lasts_on_a_shared_row_too():
    many = [bar(f"each[{n}].send", n, n + 5) for n in range(300)]

    [track] = tracks_of([*many, bar("each[300].send", 9, None)])

    assert [one.ends for one in track.bars] == [None]
