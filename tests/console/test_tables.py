"""Tables for a terminal."""

from __future__ import annotations

import pytest

from django_durable.console.tables import Table, cut, display_width, plain


def test_columns_are_as_wide_as_their_widest_cell():
    table = Table(("NAME", "COUNT"), [("a", "1"), ("longer", "1,000")], numbers=(1,))

    assert table.render().splitlines() == [
        "NAME    COUNT",
        "a           1",
        "longer  1,000",
    ]


def test_wide_characters_count_as_what_is_seen():
    table = Table(("WHO", "X"), [("漢字", "1"), ("e\u0301a", "2")])

    assert table.render().splitlines() == ["WHO   X", "漢字  1", "e\u0301a    2"]


def test_a_table_fits_the_terminal_at_the_expense_of_its_widest_column():
    table = Table(("ID", "NOTE"), [("0123456789", "x" * 50)])

    lines = table.render(40).splitlines()

    assert max(map(display_width, lines)) == 40
    assert lines[1] == "0123456789  " + "x" * 27 + "…"


def test_what_must_be_whole_is_never_cut():
    table = Table(("ID",), [("0" * 36,)])

    assert table.render(20).splitlines()[1] == "0" * 36


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("short", 5, "short"),
        ("longer", 5, "long…"),
        ("漢字漢字", 5, "漢字…"),
        ("漢字漢字", 4, "漢…"),
    ],
)
def test_text_is_cut_by_what_is_seen(text, width, shown):
    assert cut(text, width) == shown


def test_a_cell_cannot_move_the_cursor():
    assert plain("a\x1b[31mred\nnext\ttab") == "a�[31mred next tab"
