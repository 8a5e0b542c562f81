"""What happens next, as pure functions of values.

Nothing here imports Django, opens a database, reads a clock or draws a random number:
the runtime hands these in. So every decision of the engine can be tested with a table.
"""
