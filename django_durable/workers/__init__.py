"""Long-running processes: claim executions, run them in threads, notice who is dead."""
