"""What happens to an order. Read it from top to bottom: that is how it runs."""

from __future__ import annotations

from asgiref.sync import sync_to_async
from django.core.exceptions import ValidationError
from django.core.mail import send_mail
from django.core.validators import validate_email
from django.db.models.functions import Now

from django_durable import (
    Branch,
    CallWorkflow,
    Cancel,
    Case,
    Default,
    Each,
    Fail,
    Goto,
    Loop,
    Parallel,
    Retry,
    Sleep,
    WaitForApproval,
    WaitForChoice,
    WaitForEvent,
    WaitForForm,
    WaitForText,
    Workflow,
    days,
    decision,
    hours,
    seconds,
    step,
    wait_for_input,
)
from testproject.shop import carrier, payments, supplier, warehouse
from testproject.shop.forms import ComplaintForm, OrderForm, SettlementForm
from testproject.shop.models import Order, Payment, Shipment

MOST_OF_ONE_ARTICLE = 1_000
MOST_RISK = 97
APPROVAL_ABOVE = 1_000


class Backorder(Workflow, timeout=days(10)):
    """Ask the supplier until there is an answer."""

    class UntilAnswered(Loop, max_iterations=100):
        def condition(self, delivered=None):
            return delivered is None

        patience = Sleep(supplier.PATIENCE)

        @step(retry=5)
        def ask(self, ctx, skus):
            return {"delivered": supplier.has(skus, asked_before=ctx.iteration)}


class ProcessOrder(Workflow, input_form=OrderForm, timeout=days(30)):
    """From the order to the parcel."""

    @step
    def check(self, order):
        """Refuse what no customer can have meant, and what has been paid for already."""
        if order.status != Order.Status.NEW:
            raise Fail(f"the order is {order.status} already")
        lines = list(order.lines.all())
        if not lines:
            raise Fail("the order is empty")
        for line in lines:
            if line.price is None:
                raise Fail(f"{line.name} has no price", sku=line.sku)
            if line.quantity is None:
                raise Fail(f"{line.name} has no quantity", sku=line.sku)
            if not 0 < line.quantity <= MOST_OF_ONE_ARTICLE:
                raise Fail(f"{line.name}: {line.quantity:,} of it?", sku=line.sku)
        return {"customer": order.customer}

    @step(atomic=True)
    def add_up(self, order):
        order.total = sum(line.price * line.quantity for line in order.lines.all())
        order.save(update_fields=["total"])
        return {"total": order.total}

    class Checks(Parallel):
        """Both at the same time; the first that fails ends the other."""

        @step(retry=3)
        def fraud(self, order, total):
            risk = payments.assess(order.customer, total)
            if risk > MOST_RISK:
                raise Fail("it looks like fraud", risk=risk)
            return {"risk": risk}

        @step
        def stock(self, order):
            return {"sold_out": warehouse.sold_out(order)}

        def join(self, results):
            return {**results["fraud"].value, **results["stock"].value}

    class Approval(Branch):
        """A large order is looked at by a person."""

        def on(self, total):
            return "large" if total > APPROVAL_ABOVE else "small"

        class Large(Case, when="large"):
            go_ahead = WaitForApproval(
                group="finance",
                prompt="{customer} orders for {total}. Go ahead?",
                timeout=days(7),
                timeout_value="rejected",
            )

            @step
            def heed(self, go_ahead):
                if go_ahead == "rejected":
                    raise Cancel("finance rejected it")

        class Small(Default):
            @step
            def wave_through(self):
                return {"go_ahead": "not needed"}

    @step(retry=Retry(max_attempts=3, base=seconds(0.1), give_up_on=payments.Declined))
    def charge(self, ctx, order, total):
        receipt = payments.charge(order.number, total, key=ctx.idempotency_key)
        return {"receipt": receipt}

    @charge.compensate(retry=5)
    def refund(self, ctx, order, receipt):
        """Give the money back when nothing can be sent for it."""
        payments.refund(receipt, key=ctx.idempotency_key)
        Payment.objects.filter(order=order).update(refunded_at=Now())
        Order.objects.filter(pk=order.pk).update(status=Order.Status.REFUNDED)

    @step(atomic=True)
    def book(self, order, total, receipt):
        """Exactly once: the row, the result and the next step are one transaction."""
        Payment.objects.create(order=order, amount=total, receipt=receipt)
        Order.objects.filter(pk=order.pk).update(status=Order.Status.PAID)

    @decision(targets=["send"])
    def in_stock(self, sold_out):
        return None if sold_out else Goto("send")

    backorder = CallWorkflow(Backorder, input=lambda data: {"skus": data["sold_out"]})

    @decision(targets=["send"])
    def delivered(self, backorder):
        """What the supplier does not have is made in the workshop."""
        return Goto("send") if backorder["delivered"] else None

    restocked = WaitForEvent("restocked", timeout=days(20))

    @step(retry=Retry(max_attempts=3, base=seconds(0.1)))
    def send(self, ctx, order):
        return {"tracking_code": carrier.collect(order.number, key=ctx.idempotency_key)}

    @step(atomic=True)
    def ship(self, order, tracking_code):
        Shipment.objects.create(order=order, tracking_code=tracking_code)
        Order.objects.filter(pk=order.pk).update(status=Order.Status.SHIPPED)

    @step(retry=5)
    async def confirm(self, order, tracking_code):
        if order.email:
            await sync_to_async(send_mail)(
                f"Your order {order.number} is on its way",
                f"Follow it: {tracking_code}",
                from_email=None,
                recipient_list=[order.email],
            )


class Campaign(Workflow, timeout=days(2)):
    """One letter to each customer; a bad address does not keep it from the others."""

    class Letters(Each, max_concurrency=20, on_error="complete_all"):
        def items(self, customers):
            return customers

        @step(retry=Retry(max_attempts=3, base=seconds(1), on=OSError))
        def send(self, item, subject):
            try:
                validate_email(item["email"])
            except ValidationError:
                raise Fail(f"{item['email']!r} is no e-mail address") from None
            send_mail(
                subject,
                f"Dear {item['name'] or 'customer'}, our new teas are here.",
                from_email=None,
                recipient_list=[item["email"]],
            )

        def join(self, results):
            mailed = sum(result.ok for result in results)
            return {"mailed": mailed, "bad_addresses": len(results) - mailed}


def _case(data):
    return data["case"]


class HandleComplaint(Workflow, input_form=ComplaintForm, timeout=days(60)):
    """What a customer complains about, and how the shop makes up for it.

    The people of the group service decide, and are asked one thing after the other.
    """

    @step
    def look_up(self, order, text):
        articles = order.lines.values("name", "quantity", "price")
        case = {
            "order": order,
            "customer": order.customer,
            "paid": order.total,
            "complaint": text,
            "articles": list(articles),
        }
        return {"customer": order.customer, "case": case}

    class Remedy(Branch):
        def on(self, about):
            return about

        class Broken(Case, when="broken"):
            @step
            def find_out(self, order, customer, case):
                """With one article only, there is nothing to ask."""
                articles = list(order.lines.values_list("sku", "name"))
                if len(articles) < 2:
                    return {"broken": [sku for sku, _ in articles]}
                broken = wait_for_input(
                    "broken_articles",
                    type="multi_choice",
                    choices=articles,
                    prompt=f"What has arrived broken at {customer}'s?",
                    metadata=case,
                    group="service",
                    timeout=days(14),
                )
                return {"broken": broken}

            settlement = WaitForForm(
                form=SettlementForm,
                prompt="What do we offer {customer} for what is broken?",
                metadata=_case,
                group="service",
                timeout=days(3),
            )

        class Late(Case, when="late"):
            settlement = WaitForChoice(
                choices=[
                    ("wait", "Ask the carrier, and wait another week"),
                    ("again", "Send it again"),
                    ("money", "Give the money back"),
                ],
                prompt="{customer} waits for the parcel. What do we do?",
                metadata=_case,
                group="service",
                timeout=hours(20),
            )

        class Other(Default):
            settlement = WaitForForm(
                fields=[
                    {
                        "name": "reached",
                        "type": "boolean",
                        "label": "Was it picked up?",
                    },
                    {"name": "called_on", "type": "date", "label": "When"},
                    {"name": "minutes", "type": "integer", "required": False},
                    {
                        "name": "mood",
                        "type": "select",
                        "choices": ["friendly", "cross", "hard to say"],
                    },
                    {
                        "name": "agreed",
                        "type": "textarea",
                        "label": "What was agreed",
                        "help": "As the customer understood it.",
                    },
                ],
                prompt="Call {customer}, and write down what came of it.",
                metadata=_case,
                group="service",
            )

    reply = WaitForText(
        prompt="Write to {customer}: what will happen, and when?",
        metadata=_case,
        group="service",
    )

    @step(retry=5)
    async def send(self, order, reply):
        if order.email:
            await sync_to_async(send_mail)(
                f"Your order {order.number}",
                reply,
                from_email=None,
                recipient_list=[order.email],
            )


class StockReport(Workflow):
    """What was sold lately, for whoever fills the shelves."""

    @step
    def count(self, past_days=1):
        return {"sold": warehouse.sold(within=days(past_days))}

    @step(retry=5)
    def mail(self, sold):
        lines = [f"{count} of {sku}" for sku, count in sold.items()]
        send_mail(
            "Fill the shelves",
            "\n".join(lines) or "Nothing was sold.",
            from_email=None,
            recipient_list=["shelves@example.com"],
        )
