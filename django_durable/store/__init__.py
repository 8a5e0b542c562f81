"""Every write, one function per transition; the only place that saves.

A function that a worker calls takes a ``Lease`` and changes nothing once that lease is
lost. One transition is one transaction. Locks are taken in ascending order of id, which
is ancestors first, and on an execution before its waits and events.
"""
