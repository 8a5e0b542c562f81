"""The workflows that there are: what each does, how its executions fare, and its start."""
