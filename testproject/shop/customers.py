"""The customers who get the shop's letters, from a list that grew over the years."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import django_durable as durable
from django_durable.models import Execution
from testproject.shop.workflows import Campaign

BUNDLED = Path(__file__).parent / "data" / "customers.json"


def read_customers(path: Path = BUNDLED) -> list[dict[str, str]]:
    """Return name and e-mail of each customer; who is listed twice counts once.

    An address that is none stays as it is: the campaign says so.
    """
    customers: list[dict[str, str]] = []
    known: set[str] = set()
    for entry in json.loads(path.read_text(encoding="utf-8")):
        email = _one_line(entry.get("email"))
        if email.lower() in known:
            continue
        if email:
            known.add(email.lower())
        customers.append({"name": _one_line(entry.get("name")), "email": email})
    return customers


def write_to_all(subject: str) -> Execution:
    """Start the campaign of this subject, unless it has been started before."""
    return durable.start(
        Campaign,
        {"subject": subject, "customers": read_customers()},
        idempotency_key=subject,
        tags=["shop"],
    )


def _one_line(value: Any) -> str:
    return " ".join(str(value or "").split())
