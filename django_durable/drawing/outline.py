"""What a graph shows, as a nested list: for those who cannot see it, and for printing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django.utils.safestring import SafeString

from django_durable.definition.charts import Chart
from django_durable.drawing.markup import element
from django_durable.drawing.parts import Part, parts_of
from django_durable.drawing.standing import Standing


def outline(
    chart: Chart,
    standing: Standing | None = None,
    *,
    href: Callable[[str], str] | None = None,
) -> SafeString:
    """Return the nodes of a workflow as an ordered list in HTML, with those inside blocks.

    Each says how it stands, if ``standing`` does; ``href`` returns where the node at a
    path leads to.
    """
    return _list(parts_of(chart), standing, href or (lambda path: ""))


def _list(
    parts: Sequence[Part], standing: Standing | None, href: Callable[[str], str]
) -> SafeString:
    return element(
        "ol",
        [_entry(part, standing, href) for part in parts],
        class_="durable-outline",
    )


def _entry(
    part: Part, standing: Standing | None, href: Callable[[str], str]
) -> SafeString:
    stands = standing.at(part.path) if standing else None
    about = [part.node.when, part.node.note, stands.told if stands else ""]
    leads_to, name = href(part.path), part.node.name
    inside = (*part.body, *part.columns)
    return element(
        "li",
        element("a", name, href=leads_to) if leads_to else name,
        "".join(f", {one}" for one in about if one),
        _list(inside, standing, href) if inside else "",
    )
