"""A warehouse that is not there either."""

from __future__ import annotations

from testproject.shop.models import Order

SOLD_OUT = {"KET-COPPER", "STR-STEEL"}


def sold_out(order: Order) -> list[str]:
    """Return the articles of an order that are not on the shelf."""
    return sorted({line.sku for line in order.lines.all()} & SOLD_OUT)
