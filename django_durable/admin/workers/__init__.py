"""Worker processes: who lives, what each runs, and what became of the work of the dead."""
