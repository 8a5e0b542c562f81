"""Workflows and executions as SVG. Pure: nothing here reads the database or the clock."""

from django_durable.drawing.bars import Bar
from django_durable.drawing.graph import graph_svg
from django_durable.drawing.outline import outline
from django_durable.drawing.standing import Counts, NodeStanding, Standing, State
from django_durable.drawing.timeline import timeline_svg

__all__ = [
    "Bar",
    "Counts",
    "NodeStanding",
    "Standing",
    "State",
    "graph_svg",
    "outline",
    "timeline_svg",
]
