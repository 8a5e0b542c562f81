"""What is written by itself, and when."""

from __future__ import annotations

import django_durable as durable
from django_durable import minutes
from django_durable.models import Schedule
from testproject.shop.workflows import StockReport

_ZONE = "Europe/Berlin"


def schedule_reports() -> list[Schedule]:
    """Let the report on stock be written each working day and month; return what is new.

    A project would write ``@schedule`` above the workflow. The tests share this one, and
    want a database without schedules.
    """
    known = {one.name for one in durable.list_schedules()}
    daily = {"cron": "0 6 * * MON-FRI", "jitter": minutes(5)}
    monthly = {"cron": "0 18 L * *", "input": {"past_days": 31}}
    wanted = {"stock_report": daily, "monthly_stock_report": monthly}
    return [
        durable.schedule(
            StockReport, name=name, timezone=_ZONE, overlap="skip", **options
        )
        for name, options in wanted.items()
        if name not in known
    ]
