"""Workflows and executions as SVG. Pure: nothing here reads the database or the clock."""

from django_durable.drawing.graph import graph_svg
from django_durable.drawing.standing import Counts, NodeStanding, Standing, State

__all__ = ["Counts", "NodeStanding", "Standing", "State", "graph_svg"]
