"""What a running step reports about itself."""

from __future__ import annotations

from typing import Any

from django_durable import codec
from django_durable.store.leases import Lease, held


def report(lease: Lease, progress: dict[str, Any]) -> bool:
    """Store progress; ``False`` when the lease is lost or the execution cancelled."""
    tree = codec.encode(progress, name="progress")
    return bool(held(lease).update(progress=tree))
