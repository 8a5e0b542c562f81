"""``manage.py runworkers``: run executions until told to stop."""

from __future__ import annotations

import logging
import os
import sys
from argparse import SUPPRESS, ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.db.migrations.executor import MigrationExecutor
from django.utils import autoreload

from django_durable.exceptions import UnknownInstance
from django_durable.workers import inline
from django_durable.workers.connections import close_connections
from django_durable.workers.options import DEFAULT_GRACE, Options, make_options
from django_durable.workers.processes import Processes
from django_durable.workers.stopping import StopRequests
from django_durable.workers.supervisor import Supervisor


class Command(BaseCommand):
    """Argument parsing only; the work is in ``django_durable.workers``."""

    help = (
        "Runs executions. SIGTERM or Ctrl-C lets running steps end; a second one stops "
        "at once."
    )
    # Checked in `_work`, so that with --reload a mistake is shown and waited out.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--queues", help="which, separated by commas (all)")
        parser.add_argument(
            "--concurrency", type=int, help="how many of each queue at once (settings)"
        )
        parser.add_argument("--processes", type=int, default=1, help="how many (1)")
        parser.add_argument(
            "--until-idle",
            action="store_true",
            help="end when nothing runs and nothing is due within a second",
        )
        parser.add_argument(
            "--no-scheduler", action="store_true", help="start no scheduled executions"
        )
        parser.add_argument(
            "--grace",
            type=float,
            default=DEFAULT_GRACE,
            metavar="SECONDS",
            help=f"how long running steps may go on when told to stop ({DEFAULT_GRACE:g})",
        )
        parser.add_argument(
            "--reload", action="store_true", help="start anew when the code changes"
        )
        parser.add_argument("--durable", default="default", metavar="ALIAS")
        parser.add_argument(
            "--skip-checks", action="store_true", help="skip system checks"
        )
        parser.add_argument("--parent", type=int, help=SUPPRESS)

    def handle(self, *_: Any, **given: Any) -> None:
        """Run workers as asked, and end with their exit code."""
        try:
            options = make_options(
                durable=given["durable"],
                queues=given["queues"],
                concurrency=given["concurrency"],
                processes=given["processes"],
                until_idle=given["until_idle"],
                scheduler=not given["no_scheduler"],
                grace=given["grace"],
                reload=given["reload"],
                parent=given["parent"],
            )
        except (ValueError, UnknownInstance) as error:
            raise CommandError(str(error)) from None
        if options.reload:
            autoreload.run_with_reloader(self._work, options, given)
        else:
            self._work(options, given)

    def _work(self, options: Options, given: dict[str, Any]) -> None:
        with _console(given["verbosity"]):
            if not given["skip_checks"]:
                self.check()
            if inline.is_needed(options.using):
                self._work_inline(options)
            else:
                self._work_with_threads(options, given["verbosity"])

    def _work_with_threads(self, options: Options, verbosity: int) -> None:
        is_command = getattr(self, "_called_from_command_line", False)
        if is_command and options.parent is None:
            # A database that is away is waited for, by the services.
            with suppress(OperationalError):
                self._check_migrations(options)
            close_connections()
        requests = StopRequests(options.parent)
        with requests.from_signals():
            if options.processes > 1:
                _run_processes(options, requests, verbosity)
                return
            is_complete = Supervisor(options, requests).run()
        if is_command and not is_complete and not options.reload:
            # Threads are still busy; whatever they wait for, the process ends here.
            logging.shutdown()
            os._exit(1 if requests.is_urgent else 0)

    def _check_migrations(self, options: Options) -> None:
        """Say which migrations are missing; Django looks at its default database only."""
        if options.using == DEFAULT_DB_ALIAS:
            self.check_migrations()
        elif _has_migrations_to_run(options.using):
            self.stderr.write(
                f"The database {options.using!r} lacks migrations of django_durable. "
                f"Run manage.py migrate --database={options.using}."
            )

    def _work_inline(self, options: Options) -> None:
        if not options.until_idle:
            raise CommandError(
                "Only this connection sees the data (it is in a transaction, or the "
                "database is in memory), so workers can run here with --until-idle only."
            )
        inline.run_inline(options)


def _has_migrations_to_run(using: str) -> bool:
    executor = MigrationExecutor(connections[using])
    leaves = executor.loader.graph.leaf_nodes("django_durable")
    return bool(executor.migration_plan(leaves))


def _run_processes(options: Options, requests: StopRequests, verbosity: int) -> None:
    if not Processes(options, requests, verbosity=verbosity).run():
        raise CommandError("A worker process did not end in good order.")


@contextmanager
def _console(verbosity: int) -> Iterator[None]:
    """Show what workers log, unless the project's ``LOGGING`` says how."""
    root = logging.getLogger("django_durable")
    levels = {
        root: (logging.ERROR, logging.INFO, logging.DEBUG, logging.DEBUG)[verbosity],
        logging.getLogger("django_durable.runtime"): (
            (logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG)[verbosity]
        ),
    }
    unset = {logger: level for logger, level in levels.items() if not logger.level}
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname).1s %(message)s"))
    is_ours = not root.hasHandlers()
    if is_ours:
        root.addHandler(handler)
    for logger, level in unset.items():
        logger.setLevel(level)
    try:
        yield
    finally:
        root.removeHandler(handler)
        for logger in unset:
            logger.setLevel(logging.NOTSET)
