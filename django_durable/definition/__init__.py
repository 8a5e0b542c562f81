"""What a workflow is: the words users write and the frozen graph they compile to.

Pure: no Django, no database, no clock, no randomness.
"""
