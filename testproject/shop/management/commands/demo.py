"""``manage.py demo``: the whole thing once, from an empty database to a running site."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.core.management.color import no_style
from django.db import connection
from django.db.models import QuerySet

from django_durable import ExecutionStatus
from django_durable.models import Execution, InputRequest, Step
from testproject.shop.complaints import take_in
from testproject.shop.console import columns_of, fit
from testproject.shop.customers import write_to_all
from testproject.shop.models import Order
from testproject.shop.orders import BUNDLED, place, read_orders
from testproject.shop.people import make_people
from testproject.shop.reports import schedule_reports

_HEADER = ("order", "customer", "total", "outcome")
_WIDEST = 28
_CAMPAIGN = "Our new teas"
_STOP_SECONDS = 40


class Command(BaseCommand):
    help = (
        "Loads a file of orders, runs a workflow for each and one for a campaign, prints "
        "what became of them, and serves the site with workers until Ctrl-C."
    )
    # The database may be empty yet.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--once", action="store_true", help="end after that, serve nothing"
        )
        parser.add_argument(
            "--file", type=Path, default=BUNDLED, help="another JSON file of orders"
        )
        parser.add_argument(
            "--port", type=int, help="where to serve (the first free one from 8000)"
        )

    def handle(self, *_: Any, **given: Any) -> None:
        self._prepare_output()
        self._head("1. The database")
        call_command("migrate", verbosity=0, interactive=False)
        make_people()
        self.stdout.write(f"{connection.display_name}: {_database_name()}")

        self._head("2. The orders")
        self._load(given["file"])
        self._start_campaign()
        self._take_in_complaints()
        self._schedule_reports()

        self._head("3. The workers")
        self._work()

        self._head("4. What became of each order")
        self._show()
        self._show_campaign()
        self._show_supplier()
        self._show_complaints()
        if not given["once"]:
            self._head("5. The site")
            self._serve(given["port"] or _free_port())

    def _prepare_output(self) -> None:
        if os.environ.get("NO_COLOR"):
            self.style = no_style()
        if hasattr(sys.stdout, "reconfigure"):
            # A terminal that has no emoji shows question marks, and the demo goes on.
            sys.stdout.reconfigure(errors="replace")

    def _head(self, text: str) -> None:
        self.stdout.write("\n" + self.style.MIGRATE_HEADING(text))

    def _load(self, path: Path) -> None:
        """Store the orders of a file, and start a workflow for each."""
        try:
            entries, remarks = read_orders(path)
        except ValueError as error:
            raise CommandError(str(error)) from None
        for remark in remarks:
            self.stdout.write(f"  {remark}")
        known = [entry.number for entry in entries if not place(entry).created]
        self.stdout.write(f"{len(entries) - len(known)} workflows started.")
        if known:
            shown = ", ".join(known[:3]) + (" …" if len(known) > 3 else "")
            self.stdout.write(
                f"Known already: {len(known)} ({shown}). The order number is the "
                "idempotency key, so nothing starts twice."
            )

    def _start_campaign(self) -> None:
        campaign = write_to_all(_CAMPAIGN)
        if campaign.created:
            customers = len(campaign.input["customers"])
            self.stdout.write(f"1 campaign started, for {customers} customers.")

    def _take_in_complaints(self) -> None:
        new = [complaint for complaint in take_in() if complaint.created]
        if new:
            self.stdout.write(f"{len(new)} complaints taken in.")

    def _schedule_reports(self) -> None:
        for schedule in schedule_reports():
            self.stdout.write(f"Schedule {schedule.name}: {schedule.description}")

    def _work(self) -> None:
        started = time.monotonic()
        self.stdout.write("manage.py runworkers --until-idle", ending=" … ")
        self.stdout.flush()
        call_command("runworkers", until_idle=True, verbosity=0)
        self.stdout.write(f"idle after {time.monotonic() - started:.1f} s.")

    def _show(self) -> None:
        """Print a line per order, and how many ended how."""
        executions = Execution.objects.filter(workflow="process_order").defer("input")
        by_number = {one.idempotency_key: one for one in executions}
        orders = [
            order
            for order in Order.objects.order_by("number")
            if order.number in by_number
        ]
        rows = [
            (
                order.number,
                order.customer,
                _amount(order),
                _outcome(by_number[order.number]),
            )
            for order in orders
        ]
        widths = columns_of([_HEADER, *rows], most=_WIDEST)[:-1]
        self.stdout.write(self.style.MIGRATE_LABEL(_line(_HEADER, widths)))
        for order, row in zip(orders, rows, strict=True):
            paint = self._paint(by_number[order.number].status)
            self.stdout.write(_line(row[:-1], widths) + "  " + paint(row[-1]))
        counts = Counter(execution.status for execution in by_number.values())
        told = ", ".join(f"{count} {status}" for status, count in counts.most_common())
        self.stdout.write(f"\n{len(rows)} orders: {told}.")

    def _show_campaign(self) -> None:
        campaign = Execution.objects.get(workflow="campaign", idempotency_key=_CAMPAIGN)
        if campaign.completed_at is None or campaign.started_at is None:
            self.stdout.write(f"The campaign: {_outcome(campaign)}.")
            return
        took = (campaign.completed_at - campaign.started_at).total_seconds()
        found = campaign.result
        self.stdout.write(
            f"The campaign: {found['mailed']} customers mailed, 20 at a time, "
            f"{found['bad_addresses']} bad addresses, {took:.1f} s."
        )

    def _show_supplier(self) -> None:
        inquiries = Execution.objects.filter(workflow="backorder")
        delivered = [one.data.get("delivered") for one in inquiries]
        rounds = Step.objects.filter(
            execution__in=inquiries, path__endswith=".ask"
        ).count()
        self.stdout.write(
            f"The supplier: {len(delivered)} inquiries, asked {rounds} times in all, "
            f"{delivered.count(True)} delivered, {delivered.count(False)} refused."
        )

    def _show_complaints(self) -> None:
        asked = InputRequest.objects.filter(
            execution__workflow="handle_complaint", status="open"
        )
        kinds = ", ".join(sorted(kind.replace("_", " ") for kind in _types(asked)))
        self.stdout.write(
            f"The complaints: {asked.count()} wait for people of group service ({kinds})."
        )

    def _paint(self, status: str) -> Any:
        styles = {
            ExecutionStatus.COMPLETED: self.style.SUCCESS,
            ExecutionStatus.FAILED: self.style.ERROR,
            ExecutionStatus.CANCELLED: self.style.ERROR,
            ExecutionStatus.COMPENSATED: self.style.ERROR,
            ExecutionStatus.COMPENSATION_FAILED: self.style.ERROR,
        }
        return styles.get(ExecutionStatus(status), self.style.WARNING)

    def _serve(self, port: int) -> None:
        self.stdout.write(
            f"http://127.0.0.1:{port}/ opens the admin.\n"
            "  admin / admin   may do everything\n"
            "  fiona / fiona   is of group finance: she approves the large orders\n"
            "  selma / selma   is of group service: she settles complaints, no more\n"
            "Under Durable workflows, Inputs, is what people are asked; under Workflows\n"
            "one starts another. Under Shop, Orders, mark orders that wait for the event\n"
            "restocked, and put them back in stock. A worker goes on within a second.\n"
            "Ctrl-C ends everything.\n"
        )
        with _exit_on_sigterm(), _worker_process():
            call_command("runserver", f"127.0.0.1:{port}", use_reloader=False)


def _types(asked: QuerySet[InputRequest]) -> set[str]:
    return set(asked.values_list("type", flat=True))


def _database_name() -> str:
    name = Path(str(connection.settings_dict["NAME"]))
    return str(
        name.relative_to(Path.cwd()) if name.is_relative_to(Path.cwd()) else name
    )


def _amount(order: Order) -> str:
    return "-" if order.total is None else f"{order.total:,.2f}"


def _outcome(execution: Execution) -> str:
    error = execution.error or {}
    match execution.status:
        case _ if execution.waiting_for:
            return f"waiting for {execution.waiting_for.partition(', until ')[0]}"
        case _ if error and error["type"] not in ("failed", "cancelled"):
            return f"{execution.status}: {error['type']}: {error['message']}"
        case _ if error:
            return f"{execution.status}: {error['message']}"
        case _:
            return execution.status


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Return the cells side by side, the last one as long as it is; amounts right."""
    fitted = [
        fit(cell, columns, right=position == _HEADER.index("total"))
        for position, (cell, columns) in enumerate(zip(cells, widths, strict=False))
    ]
    return "  ".join([*fitted, *cells[len(widths) :]])


def _free_port() -> int:
    for port in range(8000, 8100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise CommandError("No port from 8000 to 8099 is free. Give one with --port.")


@contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    """End by SIGTERM as by Ctrl-C, so that the worker is ended too."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _worker_process() -> Iterator[None]:
    """Run ``manage.py runworkers`` beside the block, and let it end in good order."""
    worker = subprocess.Popen(
        # With the id of this process it ends by itself, should this one be killed.
        [sys.executable, sys.argv[0], "runworkers", f"--parent={os.getpid()}"],
        # Ctrl-C reaches this process alone, which then asks the worker to end.
        start_new_session=True,
    )
    try:
        yield
    finally:
        worker.terminate()
        try:
            worker.wait(_STOP_SECONDS)
        finally:
            worker.kill()
            worker.wait()
