"""``python -m tests.browser.furnish``: fill the database of the site that is looked at.

There are orders and complaints in every state, and orders that nothing was started for.
Prints JSON: ``sessions`` by user, ``orders`` by number, ``pages`` by name, and ``links``
that answer.
"""

from __future__ import annotations

import json
import sys
from decimal import Decimal

import django

django.setup()

from django.contrib import admin  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import reverse  # noqa: E402

import django_durable as durable  # noqa: E402
from django_durable.doors import answer_link  # noqa: E402
from django_durable.models import Execution, InputRequest, Schedule  # noqa: E402
from django_durable.testing import run_until_idle  # noqa: E402
from testproject.shop.complaints import take_in  # noqa: E402
from testproject.shop.models import Order  # noqa: E402
from testproject.shop.orders import place, read_orders  # noqa: E402
from testproject.shop.people import make_people  # noqa: E402
from testproject.shop.workflows import Campaign  # noqa: E402

PLACED = ("1002", "1003", "1007", "1010", "1013", "1014", "1015", "1016", "1018")
PLACED += ("1019", "1020", "1022", "1025", "1041")
LARGE = ("9103", "9104", "9106", "9107", "9108")
"""Orders that need an approval. Of what is left to be started, no more is asked."""


def main() -> None:
    call_command("migrate", verbosity=0, interactive=False)
    make_people()
    for entry in read_orders()[0]:
        if entry.number in PLACED:
            place(entry)
    for number in LARGE:
        order = Order.objects.create(number=number, customer="Tess Tester")
        order.lines.create(sku="POT", name="Teapot", quantity=20, price=Decimal(60))
    take_in()
    customers = [{"name": f"C {n}", "email": f"c{n}@example.com"} for n in range(12)]
    customers[3]["email"] = "nobody"
    durable.start(Campaign, {"subject": "Hello", "customers": customers})
    durable.start("repairable", {"part": "/nowhere"})
    durable.schedule("campaign", "0 9 * * MON", name="monday", input={}, enabled=False)
    run_until_idle()
    json.dump(
        {
            "sessions": {user.username: session(user) for user in User.objects.all()},
            "orders": {order.number: order.pk for order in Order.objects.all()},
            "pages": pages(),
            "links": [answer_link(one) for one in questions("approval")[-2:]],
        },
        sys.stdout,
    )


def session(user: User) -> str:
    client = Client()
    client.force_login(user)
    return str(client.cookies["sessionid"].value)


def questions(type_: str) -> list[InputRequest]:
    return list(InputRequest.objects.filter(type=type_, status="open").order_by("id"))


def pages() -> dict[str, str]:
    """Return the address of each page; of an execution, one of each kind."""
    found = {"home": reverse("admin:index"), **lists(), **executions()}
    found["app"] = reverse("admin:app_list", args=["django_durable"])
    found["executions that match nothing"] = f"{found['execution list']}?q=id:ffffffff"
    found["answered"] = f"{found['inputrequest list']}?show=closed"
    found["schedule"] = at("schedule_change", Schedule.objects.get().pk)
    for type_ in ("approval", "choice", "multi_choice", "form"):
        found[f"question {type_}"] = at("inputrequest_change", questions(type_)[0].pk)
    for name in ("process_order", "handle_complaint", "campaign", "backorder"):
        found[f"workflow {name}"] = at("workflow_change", name)
        found[f"start {name}"] = at("workflow_start", name)
    return found


def lists() -> dict[str, str]:
    """Return the address of all that is in the list of the app."""
    names = [
        model._meta.model_name
        for model in admin.site._registry
        if model._meta.app_label == "django_durable"
    ]
    return {f"{name} list": at(f"{name}_changelist") for name in names}


def executions() -> dict[str, str]:
    found = {}
    for status in ("completed", "failed", "compensated"):
        row = Execution.objects.filter(workflow="process_order", status=status)[0]
        found[f"execution {status}"] = at("execution_change", row.pk)
    # Others wait for a supplier, who may answer while one looks.
    waiting = questions("approval")[0].execution_id
    found["execution waiting"] = at("execution_change", waiting)
    found["history"] = f"{found['execution waiting']}?tab=history"
    for name in ("cancel", "pause", "send-event", "start-again"):
        found[name] = at("execution_act", waiting, name)
    parent = Execution.objects.filter(parent__isnull=False)[0].parent
    for tab in ("graph", "timeline", "steps", "logs", "data", "family", "events"):
        found[f"{tab} of a parent"] = f"{at('execution_change', parent.pk)}?tab={tab}"
    logged = Execution.objects.get(workflow="repairable")
    found["logs"] = f"{at('execution_change', logged.pk)}?tab=logs"
    campaign = Execution.objects.get(workflow="campaign")
    for tab in ("graph", "timeline", "family"):
        found[f"{tab} of items"] = f"{at('execution_change', campaign.pk)}?tab={tab}"
    return found


def at(view: str, *args: object) -> str:
    return reverse(f"admin:django_durable_{view}", args=args)


if __name__ == "__main__":
    main()
