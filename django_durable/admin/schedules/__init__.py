"""Schedules: the list, the page of each, and what can be done to them."""
