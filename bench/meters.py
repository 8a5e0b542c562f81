"""What a run costs: CPU of client and server, writing commits, WAL, memory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from django.db import connections

Figures = dict[str, float]

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Meter:
    """Counters at one instant. CPU is in seconds; the server's is 0 where it is not here.

    ``writes`` counts the transactions that have changed something.
    """

    client: float
    server: float
    writes: int
    wal: int

    @classmethod
    def read(cls, pid: int, using: str) -> Meter:
        """Read the counters of the process ``pid`` and of the server behind ``using``."""
        connection = connections[using]
        if connection.vendor != "postgresql":
            return cls(_cpu_of_tree(pid), 0.0, 0, 0)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_backend_pid(), pg_snapshot_xmax(pg_current_snapshot())::text, "
                "pg_current_wal_insert_lsn() - '0/0'"
            )
            backend, writes, wal = cursor.fetchone()
        server = _cpu_of_tree(_parent(backend)) if _is_here(backend) else 0.0
        return cls(_cpu_of_tree(pid), server, int(writes), int(wal))

    def until(self, end: Meter, *, executions: int, steps: int) -> Figures:
        """Return what has been used from this reading to ``end``, each by its unit."""
        client, server = (end.client - self.client), (end.server - self.server)
        figures = {"client CPU, ms per step": client * 1000 / steps}
        if end.writes:
            figures |= {
                "server CPU, ms per step": server * 1000 / steps,
                "CPU together, ms per step": (client + server) * 1000 / steps,
                "commits per execution": (end.writes - self.writes) / executions,
                "WAL bytes per execution": (end.wal - self.wal) / executions,
            }
        return figures


def resident_megabytes(pid: int) -> float:
    """Return the memory that a process has in use."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def _cpu_of_tree(pid: int) -> float:
    """Return the CPU of a process and its children, with those that have ended."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        # Its own time, then that of children it has waited for; see proc(5).
        own = sum(map(int, _stat(pid)[11:15])) / _TICKS
    except FileNotFoundError:
        return 0.0
    return own + sum(_cpu_of_tree(int(child)) for child in children)


def _parent(pid: int) -> int:
    return int(_stat(pid)[1])


def _stat(pid: int) -> list[str]:
    # After the name in parentheses, which may hold anything.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()


def _is_here(backend: int) -> bool:
    """Say whether a backend of the server is a process of this machine."""
    try:
        return "postgres" in Path(f"/proc/{backend}/cmdline").read_text()
    except FileNotFoundError:
        return False
