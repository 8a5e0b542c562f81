"""Run one leased execution: ask the planner, run user code, write what follows."""
