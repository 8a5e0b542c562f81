"""From a file of orders, as other systems export them, to orders under way.

``read_orders`` makes the best of what is there and says what it did; what it cannot
read it leaves out, and says so too. ``place`` stores an order and starts its workflow.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.db import transaction

import django_durable as durable
from django_durable.models import Execution
from testproject.shop.models import Order, OrderLine
from testproject.shop.workflows import ProcessOrder

BUNDLED = Path(__file__).parent / "data" / "orders.json"

_LONGEST = 200
_LARGEST_QUANTITY = 2**63 - 1
_LARGEST_PRICE = Decimal("99999.99")


@dataclass(frozen=True)
class Entry:
    """One order of a file; ``lines`` holds the fields of ``OrderLine``."""

    number: str
    customer: str
    email: str
    lines: list[dict[str, Any]] = field(default_factory=list)


def read_orders(path: Path = BUNDLED) -> tuple[list[Entry], list[str]]:
    """Return the orders of a JSON file, and remarks on what was wrong with them.

    Raises ``ValueError`` for a file that is no list of orders.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if not isinstance(found, list):
        raise ValueError(f"{path} holds no list of orders.")  # noqa: TRY004
    entries: list[Entry] = []
    remarks: list[str] = []
    for position, order in enumerate(found, start=1):
        if entry := _read_order(position, order, remarks):
            entries.append(entry)
    return entries, remarks


def place(entry: Entry) -> Execution:
    """Store an order and start its workflow: both happen, or neither.

    The order number is the idempotency key, so an order that comes again is not
    processed again: ``created`` of what is returned is ``False`` then.
    """
    with transaction.atomic():
        order, is_new = Order.objects.get_or_create(
            number=entry.number,
            defaults={"customer": entry.customer, "email": entry.email},
        )
        if is_new:
            OrderLine.objects.bulk_create(
                OrderLine(order=order, **line) for line in entry.lines
            )
        return durable.start(
            ProcessOrder,
            {"order": order},
            idempotency_key=order.number,
            tags=["shop"],
        )


def execution_of(order: Order) -> Execution | None:
    """Return the execution that ``place`` has started for an order."""
    return Execution.objects.filter(
        workflow="process_order", idempotency_key=order.number
    ).first()


def _read_order(position: int, order: Any, remarks: list[str]) -> Entry | None:
    if not isinstance(order, Mapping):
        remarks.append(f"Entry {position} is left out: it is no order.")
        return None
    number = _text(order.get("number"))[:50]
    if not number:
        remarks.append(f"Entry {position} is left out: it has no order number.")
        return None
    where = f"Order {number}"
    if number != order["number"]:
        remarks.append(f"{where}: the number was written {order['number']!r}.")
    lines = order.get("lines")
    if not isinstance(lines, list):
        remarks.append(f"{where}: it has no list of lines.")
        lines = []
    return Entry(
        number,
        _customer(order.get("customer"), where, remarks),
        _email(order.get("email"), where, remarks),
        [_read_line(line, where, remarks) for line in lines],
    )


def _read_line(line: Any, where: str, remarks: list[str]) -> dict[str, Any]:
    given = line if isinstance(line, Mapping) else {}
    sku = _text(given.get("sku"))[:50]
    where = f"{where}, {sku or 'a line without article'}"
    return {
        "sku": sku,
        "name": _text(given.get("name"))[:_LONGEST] or sku or "an article without name",
        "quantity": _quantity(given.get("quantity"), where, remarks),
        "price": _price(given.get("price"), where, remarks),
    }


def _text(value: Any) -> str:
    """Return a text without control characters and spare spaces."""
    if not isinstance(value, str | int | float):
        return ""
    printable = "".join(
        " " if unicodedata.category(character) in ("Cc", "Cs") else character
        for character in str(value)
    )
    return " ".join(printable.split())


def _customer(value: Any, where: str, remarks: list[str]) -> str:
    name = _text(value)[:_LONGEST]
    if name != value:
        remarks.append(f"{where}: the customer's name was written {value!r:.60}.")
    return name or "unknown"


def _email(value: Any, where: str, remarks: list[str]) -> str:
    email = _text(value)
    if not email:
        remarks.append(f"{where}: without e-mail, so no one is told when it leaves.")
    elif not re.fullmatch(r"\S+@\S+\.\S+", email) or len(email) > 254:
        remarks.append(f"{where}: {email!r:.60} is no e-mail address; left empty.")
        return ""
    return email


def _quantity(value: Any, where: str, remarks: list[str]) -> int | None:
    text = _text(value)
    if not re.fullmatch(r"-?[0-9]{1,19}", text) or abs(int(text)) > _LARGEST_QUANTITY:
        remarks.append(f"{where}: the quantity {value!r:.60} is no whole number.")
        return None
    return int(text)


def _price(value: Any, where: str, remarks: list[str]) -> Decimal | None:
    """Return a price written as ``1299.00``, ``1.299,00``, ``12,5`` or ``€ 12.50``."""
    text = _text(value).strip("€ ")
    if not text:
        remarks.append(f"{where}: the price is missing.")
        return None
    whole, mark, cents = text.rpartition("," if "," in text[-3:] else ".")
    plain = re.sub(r"[.,' ]", "", whole) + "." + cents if mark else text
    if not re.fullmatch(r"-?[0-9]{1,12}(\.[0-9]{0,12})?", plain):
        remarks.append(f"{where}: the price {value!r:.60} is no number.")
        return None
    price = Decimal(plain).quantize(Decimal("0.01"))
    if not 0 <= price <= _LARGEST_PRICE:
        remarks.append(f"{where}: the price {value!r:.60} cannot be right.")
        return None
    if str(price) != str(value):
        remarks.append(f"{where}: the price {value!r:.60} is read as {price}.")
    return price
