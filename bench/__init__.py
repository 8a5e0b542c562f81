"""Measures of the engine, against the machine's own limit in the same run."""
