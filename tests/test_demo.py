"""The shop of the test project, and the command that shows it to a newcomer."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied

import django_durable as durable
from django_durable.models import Execution
from django_durable.testing import run_until_idle
from testproject.shop.console import fit, width
from testproject.shop.customers import read_customers
from testproject.shop.models import Order, Payment, Shipment
from testproject.shop.orders import Entry, place, read_orders
from testproject.shop.workflows import Campaign, HandleComplaint

ROOT = Path(__file__).resolve().parent.parent
DEMO = [sys.executable, "manage.py", "demo"]

EXPECTED = {
    "1002": ("21.00", "completed"),
    "1003": ("-", "failed: Gift set has no price"),
    "1007": ("24.80", "compensated: Refused: the carrier does not go there"),
    "1009": ("-", "failed: Green tea, 250 g: 1,000,000 of it?"),
    "1010": ("162.80", "completed"),
    "1011": ("-", "failed: Iron teapot: -2 of it?"),
    "1012": ("83.80", "completed"),
    "1013": ("36.00", "completed"),
    "1015": ("331.00", "completed"),
    "1016": ("1,822.00", "waiting for approval go_ahead by group finance"),
    "1018": ("245.00", "waiting for the event restocked"),
    "1020": ("83.80", "failed: Declined: no cover for 83.80"),
    "1022": ("96.60", "completed"),
    "1023": (
        "82.00",
        "failed: ConnectionError: the payment provider does not answer",
    ),
    "1024": ("-", "failed: the order is empty"),
    "1030": ("-", "failed: Black tea, 500 g has no quantity"),
    "1055": ("146.40", "failed: it looks like fraud"),
}
SUMMARY = "64 orders: 39 completed, 13 failed, 8 waiting, 4 compensated."
CAMPAIGN = "The campaign: 500 customers mailed, 20 at a time, 12 bad addresses, "
SUPPLIER = "The supplier: 4 inquiries, asked 12 times in all, 2 delivered, 2 refused."
COMPLAINTS = (
    "The complaints: 4 wait for people of group service (choice, form, multi choice)."
)


def run_demo(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [*DEMO, "--once", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def outcomes(output: str) -> dict[str, tuple[str, str]]:
    """Return total and outcome of each row of the table, by order number."""
    rows = re.findall(r"^(\d{4})  .*? ([\d,.]+|-)  (\S.*)$", output, re.MULTILINE)
    return {number: (total, outcome) for number, total, outcome in rows}


def test_the_demo_tells_what_became_of_each_order_and_can_be_run_again(
    worker_environment,
):
    output = run_demo(worker_environment)

    found = outcomes(output)
    assert {number: found.get(number) for number in EXPECTED} == EXPECTED
    assert SUMMARY in output
    assert CAMPAIGN in output
    assert SUPPLIER in output
    assert COMPLAINTS in output
    assert len(found) == 64
    assert "Entry 49 is left out: it has no order number." in output
    assert "\x1b[" not in output
    shipped = Order.objects.filter(status=Order.Status.SHIPPED)
    assert shipped.count() == Shipment.objects.count() == 39
    refunded = Payment.objects.filter(refunded_at__isnull=False)
    assert refunded.count() == 4
    assert {payment.order.status for payment in refunded} == {Order.Status.REFUNDED}
    # What is out of stock has been paid for all the same.
    assert Payment.objects.count() == 45

    second = run_demo(worker_environment)

    assert "0 workflows started." in second
    assert "campaign started" not in second
    assert "complaints taken in" not in second
    assert CAMPAIGN in second
    assert COMPLAINTS in second
    assert "Known already: 65 (1001, 1002, 1003 …)." in second
    assert outcomes(second) == found
    assert User.objects.filter(username__in=["admin", "fiona"]).count() == 2


def test_the_demo_says_what_is_wrong_with_a_file(worker_environment, tmp_path):
    path = tmp_path / "orders.json"
    path.write_text("[1, 2")

    done = subprocess.run(
        [*DEMO, "--once", f"--file={path}"],
        cwd=ROOT,
        env=worker_environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert f"{path} cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_leaves_no_process_behind(worker_environment, tmp_path, number):
    path = tmp_path / "orders.json"
    path.write_text("[]")
    # A campaign is there already, so none of 500 letters is written.
    durable.start(Campaign, {}, idempotency_key="Our new teas")
    Execution.objects.update(status="cancelled", available_at=None)
    demo = subprocess.Popen(
        [*DEMO, f"--file={path}", f"--port={free_port()}"],
        cwd=ROOT,
        env={**worker_environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        # Where the tests run in the background Ctrl-C may be ignored, and is so in
        # what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    worker, said = None, ""
    with demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            said += line
            if started := re.search(r"Worker (\d+) on database", line):
                worker = int(started[1])
            if worker and "Quit the server with" in said:
                break
        demo.send_signal(number)
        said += demo.stdout.read()

    assert worker is not None, said
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
    assert "Traceback" not in said


# --- the shop --------------------------------------------------------------------------


@pytest.fixture
def fiona(db):
    user = User.objects.create_user("fiona")
    user.groups.add(Group.objects.create(name="finance"))
    return user


def order_for(price: str, number: str = "2001", sku: str = "A") -> Entry:
    line = {"sku": sku, "name": "Anvil", "quantity": 2, "price": Decimal(price)}
    return Entry(number, "Zoë", "zoe@example.com", [line])


@pytest.mark.django_db
def test_a_small_order_is_paid_shipped_and_confirmed(mailoutbox):
    execution = place(order_for("12.50"))

    run_until_idle()

    found = durable.get_execution(execution)
    assert found.status == "completed", found.error
    assert found.result["total"] == Decimal("25.00")
    assert Payment.objects.get().receipt == "R-2001"
    assert Shipment.objects.get().tracking_code == "T-2001"
    assert [mail.subject for mail in mailoutbox] == ["Your order 2001 is on its way"]


def test_a_large_order_waits_for_finance(fiona):
    execution = place(order_for("900"))

    run_until_idle()

    [asked] = durable.list_pending_inputs(execution)
    assert asked.prompt == "Zoë orders for 1800.00. Go ahead?"
    with pytest.raises(PermissionDenied):
        durable.provide_input(
            execution, "go_ahead", "approved", user=User.objects.create_user("bob")
        )
    durable.provide_input(execution, "go_ahead", "approved", user=fiona)
    run_until_idle()
    assert durable.get_execution(execution).status == "completed"


def test_a_rejected_order_costs_nothing(fiona):
    execution = place(order_for("900"))

    run_until_idle()
    durable.provide_input(execution, "go_ahead", "rejected", user=fiona)
    run_until_idle()

    assert durable.get_execution(execution).status == "cancelled"
    assert not Payment.objects.exists()


@pytest.mark.django_db
def test_an_order_that_comes_twice_is_one_order():
    first, second = place(order_for("1")), place(order_for("2"))

    assert (first.created, second.created) == (True, False)
    assert first.pk == second.pk
    assert Order.objects.get().lines.count() == 1


@pytest.mark.django_db
def test_an_order_that_looks_like_fraud_costs_nothing():
    # A risk of 99: 78 for the total, and 7 for each letter of the name.
    execution = place(order_for("39"))

    run_until_idle()

    error = durable.get_execution(execution).error
    assert (error["message"], error["step"]) == ("it looks like fraud", "checks.fraud")
    assert error["details"] == {"risk": 99}
    assert not Payment.objects.exists()


@pytest.mark.django_db
def test_a_parcel_that_the_carrier_takes_later_is_shipped():
    # 2013 is a multiple of 11.
    execution = place(order_for("12.50", "2013"))

    run_until_idle()

    found = durable.get_execution(execution, include_steps=True)
    assert found.status == "completed", found.error
    tried = [step.status for step in found.steps.all() if step.path == "send"]
    assert tried == ["failed", "completed"]


@pytest.mark.django_db
def test_a_parcel_that_the_carrier_never_takes_is_refunded(mailoutbox):
    # 2014 is a multiple of 19.
    execution = place(order_for("12.50", "2014"))

    run_until_idle()

    found = durable.get_execution(execution, include_steps=True)
    assert found.status == "compensated"
    assert found.error["type"] == "Refused"
    steps = [(step.path, step.kind, step.status) for step in found.steps.all()]
    assert steps[-4:] == [
        *[("send", "step", "failed")] * 3,
        ("charge", "compensation", "completed"),
    ]
    payment = Payment.objects.get()
    assert payment.refunded_at is not None
    assert payment.order.status == Order.Status.REFUNDED
    assert not Shipment.objects.exists()
    assert mailoutbox == []


@pytest.mark.django_db
def test_what_the_supplier_has_is_shipped_when_he_has_answered():
    execution = place(order_for("7.20", sku="STR-STEEL"))

    run_until_idle()

    found = durable.get_execution(execution)
    assert found.status == "completed", found.error
    [inquiry] = durable.list_children(execution)
    inquiry = durable.get_execution(inquiry, include_steps=True)
    asked = [step.path for step in inquiry.steps.all() if step.path.endswith(".ask")]
    assert asked == [f"until_answered[{number}].ask" for number in range(3)]


@pytest.mark.django_db
def test_what_the_supplier_does_not_have_waits_for_the_workshop():
    execution = place(order_for("12.50", sku="KET-COPPER"))

    run_until_idle()
    waiting = durable.get_execution(execution)
    assert waiting.waiting_for.startswith("the event restocked")
    durable.send_event(execution, "restocked")
    run_until_idle()

    assert durable.get_execution(execution).status == "completed"


@pytest.mark.django_db
def test_a_bad_address_does_not_keep_the_letter_from_the_others(mailoutbox):
    addresses = ["zoe@example.com", "zoe at example.com", "", "ada@example.com"]
    customers = [{"name": "", "email": address} for address in addresses]

    execution = durable.start(Campaign, {"subject": "Tea", "customers": customers})
    run_until_idle()

    found = durable.get_execution(execution)
    assert found.status == "completed", found.error
    assert (found.result["mailed"], found.result["bad_addresses"]) == (2, 2)
    told = sorted(mail.to for mail in mailoutbox)
    assert told == [["ada@example.com"], ["zoe@example.com"]]


@pytest.fixture
def selma(db):
    user = User.objects.create_user("selma")
    user.groups.add(Group.objects.create(name="service"))
    return user


def complain(about: str, *skus: str):
    lines = [
        {"sku": sku, "name": sku, "quantity": 1, "price": Decimal(5)}
        for sku in skus or ("CUP",)
    ]
    place(Entry("2001", "Zoë", "zoe@example.com", lines))
    order = Order.objects.get(number="2001")
    return durable.start(
        HandleComplaint, {"order": order.pk, "about": about, "text": "Alas!"}
    )


@pytest.mark.parametrize(
    ("about", "skus", "answers"),
    [
        (
            "broken",
            ["POT", "CUP"],
            [
                ("broken_articles", ["CUP"]),
                ("settlement", {"offer": "money", "amount": "5.00"}),
            ],
        ),
        ("broken", ["POT"], [("settlement", {"offer": "again"})]),
        ("late", ["POT"], [("settlement", "wait")]),
        (
            "other",
            ["POT"],
            [
                (
                    "settlement",
                    {
                        "reached": "yes",
                        "called_on": "2030-03-01",
                        "mood": "friendly",
                        "agreed": "All is well.",
                    },
                )
            ],
        ),
    ],
    ids=["broken", "broken, one article", "late", "other"],
)
def test_a_complaint_ends_with_a_letter(selma, mailoutbox, about, skus, answers):
    complaint = complain(about, *skus)

    for name, answer in [*answers, ("reply", "We are sorry.")]:
        run_until_idle()
        durable.provide_input(complaint, name, answer, user=selma)
    run_until_idle()

    assert durable.get_execution(complaint).status == "completed"
    assert mailoutbox[-1].body == "We are sorry."


def test_money_back_needs_an_amount(selma):
    complaint = complain("broken")
    run_until_idle()

    with pytest.raises(durable.InvalidInput) as refused:
        durable.provide_input(complaint, "settlement", {"offer": "money"}, user=selma)

    assert refused.value.errors == {"amount": ["How much?"]}


def test_a_customer_who_is_listed_twice_counts_once():
    customers = read_customers()

    addresses = [customer["email"].lower() for customer in customers]
    assert len(customers) == 512
    assert [address for address, n in Counter(addresses).items() if n > 1] == [""]
    assert all(one == " ".join(one.split()) for it in customers for one in it.values())


# --- reading a file ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "price"),
    [
        ("12.50", "12.50"),
        ("12,50", "12.50"),
        ("1.299,00", "1299.00"),
        ("1,299.00", "1299.00"),
        ("€ 9.90", "9.90"),
        (7, "7.00"),
        (0.1, "0.10"),
        ("1,299", None),
        ("NaN", None),
        ("1e99", None),
        ("-1", None),
        ("99999999999999999999", None),
        ("", None),
        (None, None),
        (["1"], None),
    ],
)
def test_a_price_is_read_or_left_open(tmp_path, written, price):
    line = {"sku": "A", "name": "Anvil", "quantity": 1, "price": written}

    [entry], _ = read(tmp_path, [{"number": "1", "lines": [line]}])

    assert entry.lines[0]["price"] == (None if price is None else Decimal(price))


def test_nothing_in_a_file_stops_the_others(tmp_path):
    strange = [
        None,
        7,
        [],
        {},
        {"number": ["1"]},
        {"number": "1", "customer": 5, "email": {}, "lines": "none"},
        {"number": "2", "lines": [None, [], {"quantity": 10**30, "price": {}}]},
        {"number": "\ud83d3\u0000", "customer": "x" * 9999, "email": "a b@c.d"},
        {"number": "4", "lines": [{"sku": "A", "quantity": True, "price": True}]},
    ]

    entries, remarks = read(tmp_path, strange)

    assert [entry.number for entry in entries] == ["1", "2", "3", "4"]
    assert len([remark for remark in remarks if "is left out" in remark]) == 5


@pytest.mark.django_db
def test_what_a_file_holds_can_be_stored(tmp_path):
    strange = {
        "number": "9" * 99,
        "customer": "\u0000" + "x" * 999,
        "lines": [{"sku": "s" * 99, "name": "n" * 999, "quantity": 2**63 - 1}],
    }
    [entry], _ = read(tmp_path, [strange])

    execution = place(entry)
    run_until_idle()

    assert durable.get_execution(execution).error["type"] == "failed"


def read(folder: Path, orders: object) -> tuple[list[Entry], list[str]]:
    path = folder / "orders.json"
    path.write_text(json.dumps(orders))
    return read_orders(path)


# --- the table --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("Ada", 3),
        ("Zoë", 3),
        ("Zoe\u0308", 3),
        ("山田", 4),
        ("🌻", 2),
        ("❤\ufe0f", 2),
        ("👍🏽", 2),
        ("👨\u200d👩\u200d👧", 2),
        ("נועה", 4),
    ],
)
def test_the_width_of_a_text_is_what_a_terminal_takes(text, columns):
    assert width(text) == columns


def test_a_text_is_filled_up_or_cut_to_its_column():
    assert fit("Zoë", 5) == "Zoë  "
    assert fit("7.00", 6, right=True) == "  7.00"
    assert fit("山田花子", 6) == "山田… "
    assert width(fit("👨\u200d👩\u200d👧👨\u200d👩\u200d👧", 3)) == 3
