"""Whatever the workflow: nothing overlaps or sticks out, no line runs through a node."""

from __future__ import annotations

from itertools import combinations, pairwise

from hypothesis import HealthCheck, given, settings

from django_durable import Parallel, Workflow, step
from django_durable.definition.charts import Chart
from django_durable.drawing.layout import Box, Layout, Placed, layout_of
from django_durable.drawing.lines import Line, lines_of
from django_durable.drawing.sizes import MOST_WIDE
from tests.drawing.random_charts import charts

Rect = tuple[float, float, float, float]

on_random_charts = settings(
    max_examples=120,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
NEARLY = 0.01


def whole(placed: Placed) -> Rect:
    """All that a part takes up, as left, top, right and bottom."""
    return (
        placed.x,
        placed.y,
        placed.x + placed.sized.width,
        placed.y + placed.sized.height,
    )


def rect(box: Box) -> Rect:
    return box.x, box.y, box.right, box.bottom


def overlap(one: Rect, other: Rect) -> bool:
    return (
        one[0] < other[2] - NEARLY
        and other[0] < one[2] - NEARLY
        and one[1] < other[3] - NEARLY
        and other[1] < one[3] - NEARLY
    )


def contains(outer: Rect, inner: Rect) -> bool:
    return (
        outer[0] <= inner[0] + NEARLY
        and outer[1] <= inner[1] + NEARLY
        and outer[2] >= inner[2] - NEARLY
        and outer[3] >= inner[3] - NEARLY
    )


def segments(line: Line) -> list[Rect]:
    """The stretches of a line, each as a rectangle without width or height."""
    return [
        (
            min(one[0], other[0]),
            min(one[1], other[1]),
            max(one[0], other[0]),
            max(one[1], other[1]),
        )
        for one, other in pairwise(line.points)
    ]


def is_on_border(point: tuple[float, float], box: Box) -> bool:
    """Say whether a point is on the border of a box, or below the caption of a frame."""
    x, y = point
    across = box.x - NEARLY <= x <= box.right + NEARLY
    along = box.y - NEARLY <= y <= box.bottom + NEARLY
    heights = [box.y, box.bottom, *([box.y + box.header] if box.header else [])]
    return (across and any(abs(y - one) < NEARLY for one in heights)) or (
        along and min(abs(x - box.x), abs(x - box.right)) < NEARLY
    )


def around(layout: Layout) -> dict[str, set[str]]:
    """The paths of all that each part is in, and its own."""
    found: dict[str, set[str]] = {}

    def look(placed: Placed, above: set[str]) -> None:
        found[placed.path] = {*above, placed.path}
        for child in placed.children:
            look(child, found[placed.path])

    for placed in layout.top:
        look(placed, set())
    return found


@on_random_charts
@given(charts())
def test_what_stands_side_by_side_does_not_overlap(chart: Chart):
    layout = layout_of(chart)

    for siblings in (layout.top, *(placed.children for placed in layout.walk())):
        for one, other in combinations(siblings, 2):
            assert not overlap(whole(one), whole(other)), (one.path, other.path)


@on_random_charts
@given(charts())
def test_what_is_inside_a_block_lies_inside_it_and_below_its_caption(chart: Chart):
    for placed in layout_of(chart).walk():
        left, top, right, bottom = whole(placed)
        inside = (left, top + placed.sized.header, right, bottom)
        for child in placed.children:
            assert contains(inside, whole(child)), (placed.path, child.path)


@on_random_charts
@given(charts())
def test_every_node_is_drawn_once(chart: Chart):
    drawn = [placed.path for placed in layout_of(chart).walk()]

    assert sorted(drawn) == sorted(node.path for node in chart.nodes)


@on_random_charts
@given(charts())
def test_every_line_begins_and_ends_at_the_borders_of_its_nodes(chart: Chart):
    layout = layout_of(chart)
    boxes = {placed.path: placed.box for placed in layout.walk()}

    for line in lines_of(layout):
        assert is_on_border(line.points[0], boxes[line.source]), line
        assert is_on_border(line.points[-1], boxes[line.target]), line
        for one, other in pairwise(line.points):
            assert one[0] == other[0] or one[1] == other[1], "all lines are straight"


@on_random_charts
@given(charts())
def test_no_line_runs_through_a_node_or_a_block_it_has_no_business_in(chart: Chart):
    layout = layout_of(chart)
    blocks = around(layout)

    for line in lines_of(layout):
        own = blocks[line.source] | blocks[line.target]
        for placed in layout.walk():
            if placed.part.is_frame and placed.path in own:
                continue
            for segment in segments(line):
                assert not overlap(segment, rect(placed.box)), (line, placed.path)


@on_random_charts
@given(charts())
def test_everything_lies_inside_the_drawing(chart: Chart):
    layout = layout_of(chart)
    page = (0.0, 0.0, layout.width, layout.height)

    for placed in layout.walk():
        assert contains(page, whole(placed))
    for line in lines_of(layout):
        for segment in segments(line):
            assert contains(page, segment)


@on_random_charts
@given(charts())
def test_every_jump_is_drawn(chart: Chart):
    drawn = {
        (line.source, line.target.rpartition(".")[2])
        for line in lines_of(layout_of(chart))
        if line.kind == "jump"
    }

    assert drawn == {(edge.source, edge.label) for edge in chart.edges if edge.is_jump}


@on_random_charts
@given(charts())
def test_every_node_can_be_come_to_and_left(chart: Chart):
    lines = lines_of(layout_of(chart))
    jumps = {edge.source for edge in chart.edges if edge.is_jump}

    paths = {node.path for node in chart.nodes}
    assert paths - {"(start)"} == {line.target for line in lines}
    assert paths - {"(end)"} <= {line.source for line in lines} | jumps


@on_random_charts
@given(charts())
def test_jumps_to_different_targets_do_not_run_on_top_of_each_other(chart: Chart):
    jumps = [line for line in lines_of(layout_of(chart)) if line.kind == "jump"]

    for one, other in combinations(jumps, 2):
        if one.target == other.target:
            continue
        for first in (part for part in segments(one) if part[0] == part[2]):
            for second in (part for part in segments(other) if part[0] == part[2]):
                is_same = first[0] == second[0]
                assert not (is_same and first[1] < second[3] and second[1] < first[3])


@on_random_charts
@given(charts(depth=2))
def test_the_same_workflow_is_drawn_the_same_every_time(chart: Chart):
    first, again = layout_of(chart), layout_of.__wrapped__(chart)

    assert [one.box for one in again.walk()] == [one.box for one in first.walk()]
    assert lines_of(again) == lines_of(first)


def test_two_hundred_nodes_are_no_more_than_a_screen_wide():
    names = {f"member{number}": step(lambda self: None) for number in range(40)}
    fan = type("fan", (Parallel,), {"__module__": __name__, **names})
    steps = {f"step{number}": step(lambda self: None) for number in range(160)}
    chart = type("Long", (Workflow,), {**steps, "fan": fan}, abstract=True).graph()

    layout = layout_of(chart)

    assert len(list(layout.walk())) > 200
    assert layout.width <= MOST_WIDE * 1.1
