"""Complaints that came in by mail, each started once."""

from __future__ import annotations

import django_durable as durable
from django_durable.models import Execution
from testproject.shop.models import Order
from testproject.shop.workflows import HandleComplaint

RECEIVED = (
    (
        "1010",
        "broken",
        "Both pots arrived in pieces. The tea smells wonderful, though.",
    ),
    ("1013", "broken", "The handle came off the first time I poured."),
    ("1015", "late", "It was a present, and her birthday was on Sunday."),
    ("1022", "other", "Your strainer is too wide for the pot that you sell with it."),
)
"""Number of the order, what it is about, and what the customer wrote."""


def take_in() -> list[Execution]:
    """Start the workflow of each complaint whose order is known."""
    orders = {
        order.number: order
        for order in Order.objects.filter(number__in=[one[0] for one in RECEIVED])
    }
    return [
        durable.start(
            HandleComplaint,
            {"order": orders[number], "about": about, "text": text},
            idempotency_key=f"complaint about {number}",
            tags=["shop", "complaint"],
        )
        for number, about, text in RECEIVED
        if number in orders
    ]
