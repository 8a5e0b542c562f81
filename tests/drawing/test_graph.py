"""The SVG of a workflow: safe, reachable by keyboard, and not told by colour alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.utils.safestring import SafeString
from hypothesis import given, settings
from hypothesis import strategies as st

import django_durable
from django_durable import (
    Branch,
    Case,
    Default,
    Each,
    Goto,
    Loop,
    Parallel,
    WaitForEvent,
    Workflow,
    days,
    decision,
    step,
)
from django_durable.definition.charts import Chart, ChartNode
from django_durable.drawing import (
    Counts,
    NodeStanding,
    Standing,
    State,
    graph_svg,
    outline,
)
from tests.drawing.random_charts import charts
from tests.drawing.reading import SVG, elements, node, parsed, title, words
from tests.drawing.test_layout import on_random_charts

SHEET = Path(django_durable.__file__).parent / "static/django_durable/drawing.css"
HOSTILE = [
    '"><script>alert(1)</script>',
    "</text><style>*{display:none}</style>",
    "' onload='alert(1)",
    "a & b &amp; <b>",
    "\x00\x08\x1b[31m\ud800\uffff",
    "]]><!-- -->",
]


class Drawn(Workflow, abstract=True):
    """A bit of everything."""

    @step(retry=3)
    def charge(self):
        """Take the money."""

    class Route(Branch):
        def on(self): ...

        class Small(Case, when="small"):
            cheap = step(lambda self: None)

        class Other(Default):
            dear = step(lambda self: None)

    class Checks(Parallel):
        fraud = step(lambda self: None)
        stock = step(lambda self: None)

    class Letters(Each, max_concurrency=20):
        def items(self): ...

        send = step(lambda self: None)

    class Again(Loop, max_iterations=5):
        def condition(self): ...

        poll = step(lambda self: None)

    @decision(targets=["charge"])
    def enough(self):
        return Goto("charge")

    paid = WaitForEvent("payment.success", timeout=days(20))


CHART = Drawn.graph()


def named(text: str) -> Chart:
    """A chart with a text in every place where one can be."""
    inside = ChartNode("a.b", text, "step", "a", note=text, doc=text)
    block = ChartNode("a", text, "each", note=text)
    case = ChartNode("r.c", text, "case", when=text)
    nodes = (
        ChartNode("(start)", "start", "start"),
        block,
        inside,
        ChartNode("r", text, "branch", note=text),
        case,
        ChartNode(f"w{text}", text, "wait", note=text, wait=text),
        ChartNode("(end)", "end", "end"),
    )
    return Chart(text, nodes, ())


def standing(**nodes: NodeStanding) -> Standing:
    return Standing(nodes={path.replace("__", "."): one for path, one in nodes.items()})


# --- Markup ---------------------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_stands_in_a_name_is_text(text):
    chart = named(text)
    how = Standing(
        nodes={
            one.path: NodeStanding(state=State.FAILED, words=text, detail=text)
            for one in chart.nodes
        }
    )

    svg = graph_svg(chart, how, href=lambda path: f"/?at={path}", title=text, id_="x")

    names = {one.tag.rpartition("}")[2] for one in parsed(svg).iter()}
    assert names <= {"svg", "title", "desc", "g", "a", "path", "rect", "text"}
    attributes = {name for one in parsed(svg).iter() for name in one.attrib}
    assert not {name for name in attributes if name.startswith(("on", "style"))}
    shown = re.sub("[\x00-\x08\x1b\ud800\uffff]", "\ufffd", text)
    assert parsed(svg).findtext("{*}title") == shown
    # HTML reads it the same way as XML does.
    assert "<script" not in svg
    assert "<style" not in svg


@settings(deadline=None, database=None)
@given(st.text())
def test_any_text_makes_well_formed_markup(text):
    parsed(graph_svg(named(text), title=text))


@on_random_charts
@given(charts())
def test_any_workflow_makes_well_formed_markup_with_all_its_nodes(chart):
    root = parsed(graph_svg(chart, href=lambda path: f"#{path}"))

    paths = [one.get("data-path") for one in root.iter() if one.get("data-path")]
    assert sorted(paths) == sorted(node.path for node in chart.nodes)


def test_a_drawing_is_markup_that_templates_leave_alone():
    assert isinstance(graph_svg(CHART), SafeString)


def test_nothing_in_it_is_refused_by_a_strict_content_security_policy():
    svg = graph_svg(CHART, standing(charge=NodeStanding(state=State.RUNNING)))

    assert not list(elements(svg, "style"))
    assert " style=" not in svg
    assert "url(" not in svg


def test_ids_begin_with_what_is_given_so_that_a_page_can_have_several():
    ids = [one.get("id") for one in parsed(graph_svg(CHART, id_="two")).iter()]

    known = [id_ for id_ in ids if id_]
    nodes = {f"two-at-{one.path}" for one in CHART.nodes}
    assert set(known) == {"two-title", "two-desc"} | nodes
    assert len(known) == len(set(known))


def test_all_classes_are_known_to_the_sheet_or_name_a_kind_or_a_state():
    everything = standing(
        **{
            one.path.replace(".", "__"): NodeStanding(
                state=state, attempts=2, counts=Counts(total=3, done=1, failed=1)
            )
            for one, state in zip(CHART.nodes, [*State, *State], strict=False)
        }
    )
    svg = graph_svg(CHART, everything)
    used = {name for one in parsed(svg).iter() for name in one.get("class", "").split()}
    known = set(re.findall(r"\.((?:durable|drawn)-[\w-]+)", SHEET.read_text()))

    unknown = {name for name in used - known if not name.startswith("drawn-is-")}
    assert unknown <= {
        "durable-graph",
        "drawn-node",
        "drawn-frame",
        "drawn-line",
        "drawn-icon",
        "drawn-progress-all",
        *(f"drawn-line-{kind}" for kind in ("flow", "enter", "leave", "again", "jump")),
        *(f"drawn-kind-{one.kind}" for one in CHART.nodes),
        *(f"drawn-icon-{state}" for state in State),
    }


# --- A file that stands for itself ----------------------------------------------------


def test_a_file_that_stands_for_itself_brings_its_style_without_variables():
    svg = graph_svg(CHART, embed_style=True)

    [style] = elements(svg, "style")
    assert ".drawn-box { fill: #fff;" in style.text
    assert "var(" not in svg
    assert "data-theme" not in svg
    assert [one.get("class") for one in parsed(svg)][3] == "drawn-page"


# --- Reaching and reading it ----------------------------------------------------------


def test_each_node_is_a_link_to_where_it_is_told_to_lead():
    svg = graph_svg(CHART, href=lambda path: f"?step={path}&x=1")

    links = {one.get("data-path"): one.get("href") for one in elements(svg, "a")}
    assert links["letters.send"] == "?step=letters.send&x=1"
    assert links.keys() == {one.path for one in CHART.nodes}


def test_a_node_that_leads_nowhere_is_no_link():
    svg = graph_svg(CHART, href=lambda path: "" if path == "charge" else "#")

    assert "charge" not in {one.get("data-path") for one in elements(svg, "a")}


def test_a_drawing_without_links_is_an_image_and_with_links_a_group():
    alone, linked = graph_svg(CHART), graph_svg(CHART, href=lambda path: "#")

    # Whatever is in an image is hidden from screen readers.
    assert parsed(alone).get("role") == "img"
    assert parsed(linked).get("role") == "group"
    for svg in (alone, linked):
        named = parsed(svg).get("aria-labelledby").split()
        assert {one.get("id") for one in parsed(svg).iter()} >= set(named)


def test_where_a_jump_leads_is_told():
    [jump] = elements(graph_svg(CHART), "g", "line-jump")

    assert title(jump) == "enough → charge"


def test_the_description_says_where_it_stands():
    how = standing(
        charge=NodeStanding(state=State.RETRYING, words="attempt 2 of 3"),
        paid=NodeStanding(state=State.NOT_REACHED),
    )

    told = parsed(graph_svg(CHART, how)).findtext("{*}desc")

    assert told == "10 nodes, from top to bottom. charge: attempt 2 of 3."


def test_what_does_not_fit_ends_in_an_ellipsis_and_stands_in_the_title():
    name = "a_name_that_is_much_too_long_for_a_box_of_any_size"
    body = {name: step(lambda self: None)}
    svg = graph_svg(type("Long", (Workflow,), body, abstract=True).graph())

    [shown] = words(node(svg, name))
    assert shown.endswith("…")
    assert name.startswith(shown[:-1])
    assert title(node(svg, name)) == name


def test_nodes_come_in_the_order_of_execution_for_whoever_tabs_through():
    svg = graph_svg(CHART, href=lambda path: "#")

    paths = [one.get("data-path") for one in elements(svg, "a")]
    assert paths == [one.path for one in CHART.nodes]


# --- What a node shows ----------------------------------------------------------------


def test_without_a_standing_a_node_shows_what_it_is():
    svg = graph_svg(CHART)

    assert words(node(svg, "paid"))[1].startswith("event payment.success, at")
    assert words(node(svg, "letters")) == ["letters", "at most 20 at once"]
    assert words(node(svg, "route.small")) == ["small"]
    assert words(node(svg, "route.other")) == ["other", "otherwise"]
    assert "Take the money." in title(node(svg, "charge"))
    assert not list(elements(svg, "g", "icon"))


@pytest.mark.parametrize("state", State)
def test_every_state_is_told_by_words_and_by_a_picture_of_its_own(state):
    svg = graph_svg(CHART, standing(charge=NodeStanding(state=state)))

    drawn = node(svg, "charge")
    assert state.words in title(drawn)
    if state is not State.NOT_REACHED:
        assert words(drawn) == ["charge", state.words]
    assert picture(svg) not in {
        picture(graph_svg(CHART, standing(charge=NodeStanding(state=other))))
        for other in State
        if other is not state
    }


def picture(svg: str) -> tuple[str, ...]:
    [icon] = elements(svg, "g", "icon")
    return tuple(path.get("d", "") for path in icon)


def test_a_node_shows_its_words_its_attempts_and_says_more_in_its_title():
    how = NodeStanding(
        state=State.RETRYING,
        words="attempt 2 of 3 at 12:00",
        detail="after ConnectionError",
        attempts=2,
    )

    drawn = node(graph_svg(CHART, standing(charge=how)), "charge")

    assert words(drawn) == ["charge", "attempt 2 of 3 at 12:00", "2×"]  # noqa: RUF001
    assert title(drawn).splitlines() == [
        "charge",
        "retrying: attempt 2 of 3 at 12:00",
        "after ConnectionError",
        "Take the money.",
    ]


def test_a_block_shows_how_far_its_items_have_come():
    counts = Counts(total=500, done=250, failed=50)
    how = NodeStanding(state=State.RUNNING, words=counts.words, counts=counts)

    drawn = node(graph_svg(CHART, standing(letters=how)), "letters")

    assert words(drawn)[1].startswith("250 of 500 done")
    widths = {
        bar.get("class").split()[-1]: float(bar.get("width"))
        for bar in drawn.iter(SVG + "rect")
    }
    whole = widths["drawn-progress-all"]
    assert widths["drawn-progress-done"] == pytest.approx(whole / 2, abs=0.1)
    assert widths["drawn-progress-failed"] == pytest.approx(whole / 10, abs=0.1)


def test_ways_that_were_gone_lie_over_the_others():
    taken = frozenset({("flow", "(start)", "charge")})

    lines = list(elements(graph_svg(CHART, Standing(taken=taken)), "g", "line"))

    assert ["drawn-taken" in line.get("class") for line in lines][-2:] == [
        False,
        True,
    ]


def test_nodes_without_a_standing_are_drawn_as_in_a_catalogue():
    how = standing(charge=NodeStanding(state=State.WAITING, words="12 waiting"))

    svg = graph_svg(CHART, how)

    assert words(node(svg, "charge")) == ["charge", "12 waiting"]
    assert words(node(svg, "letters.send")) == ["send"]
    assert len(list(elements(svg, "g", "icon"))) == 1


# --- The list that says the same ------------------------------------------------------


def test_the_outline_says_what_the_graph_shows():
    how = standing(charge=NodeStanding(state=State.FAILED, words="failed: Refused"))

    html = outline(CHART, how, href=lambda path: f"#{path}" if path == "charge" else "")

    assert html.startswith(
        '<ol class="durable-outline"><li>start</li>'
        '<li><a href="#charge">charge</a>, failed: Refused</li><li>route<ol'
    )
    assert "<li>other, otherwise<ol" in html
    assert html.count("<li>") == len(CHART.nodes)


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_stands_in_a_name_is_text_in_the_outline_too(text):
    html = outline(named(text), href=lambda path: path)

    assert "<script" not in html
    assert "<style" not in html
    assert parsed(html) is not None


# --- Colours --------------------------------------------------------------------------

LIGHT = {"bg": "#fff", "plate": "#f8f8f8", "fg": "#333", "quiet": "#666"}
# What the admin sets in its dark theme.
DARK = {"bg": "#121212", "plate": "#212121", "fg": "#eee", "quiet": "#d0d0d0"}
STATES = ("running", "waiting", "failed", "retrying", "paused", "undone")


def colours(block: str) -> dict[str, str]:
    return dict(re.findall(r"--durable-([a-z]+): (#[0-9a-f]+);", block))


def luminance(colour: tuple[float, ...]) -> float:
    parts = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour
    ]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def rgb(colour: str) -> tuple[float, ...]:
    digits = colour[1:] if len(colour) == 7 else "".join(c * 2 for c in colour[1:])
    return tuple(int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_words_about_states_can_be_read_in_both_themes():
    sheet = SHEET.read_text()
    blocks = re.findall(r"\.durable-drawing \{(.*?)\}", sheet, re.DOTALL)
    light, system, dark = map(colours, blocks[:3])

    assert system == dark, "the system's dark theme is the one that was chosen"
    for ground, theme in ((LIGHT, light), (DARK, dark)):
        plate, ink = rgb(ground["plate"]), rgb(ground["fg"])
        caption = tuple(p + (i - p) * 0.06 for p, i in zip(plate, ink, strict=True))
        words = [theme[state] for state in STATES] + [ground["quiet"]]
        for word in words:
            for behind in (rgb(ground["bg"]), caption):
                assert contrast(rgb(word), behind) >= 4.5, (word, ground)
