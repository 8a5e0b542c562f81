"""``graph``: a workflow as a drawing."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django_durable.console.answers import Answer, UsageError
from django_durable.definition import registry


def graph(given: dict[str, Any]) -> Answer:
    """Draw the graph of a workflow: Mermaid text, SVG, or nodes and edges as JSON."""
    chart = registry.get(given["workflow"]).graph()
    return Answer(blocks=[_drawn(chart, given["format"])], objects=[asdict(chart)])


def _drawn(chart: Any, wanted: str) -> str:
    if wanted != "svg":
        text: str = chart.to_mermaid()
        return text.rstrip("\n")
    if not hasattr(chart, "to_svg"):
        raise UsageError(
            "This release draws no SVG. Give --format mermaid: what it prints can be "
            "pasted into any Markdown page that draws Mermaid."
        )
    return str(chart.to_svg())
