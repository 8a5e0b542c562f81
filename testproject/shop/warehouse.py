"""A warehouse that is not there either."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Sum
from django.db.models.functions import Now

from testproject.shop.models import Order, OrderLine

SOLD_OUT = {"KET-COPPER", "STR-STEEL"}


def sold_out(order: Order) -> list[str]:
    """Return the articles of an order that are not on the shelf."""
    return sorted({line.sku for line in order.lines.all()} & SOLD_OUT)


def sold(*, within: timedelta) -> dict[str, int]:
    """Return how many of each article were ordered and paid lately."""
    lines = OrderLine.objects.filter(
        order__payment__created_at__gte=Now() - within, order__payment__refunded_at=None
    )
    counts = lines.order_by("sku").values_list("sku").annotate(count=Sum("quantity"))
    return dict(counts)
