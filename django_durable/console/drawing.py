"""``graph``: a workflow as a drawing."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django_durable.console.answers import Answer
from django_durable.definition import registry
from django_durable.drawing import graph_svg


def graph(given: dict[str, Any]) -> Answer:
    """Draw the graph of a workflow: Mermaid text, SVG, or nodes and edges as JSON."""
    chart = registry.get(given["workflow"]).graph()
    if given["format"] == "svg":
        drawn: str = graph_svg(chart, embed_style=True)
    else:
        drawn = chart.to_mermaid().rstrip("\n")
    return Answer(blocks=[drawn], objects=[asdict(chart)])
