"""``manage.py durable``: look at executions and act on them."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from typing import Any

from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from django_durable.console import (
    drawing,
    listing,
    operating,
    scheduling,
    showing,
    upkeep,
)
from django_durable.console.answers import MISUSED, REFUSED, Answer, UsageError
from django_durable.console.tables import terminal_width
from django_durable.exceptions import (
    DurableError,
    InvalidInput,
    UnknownInstance,
    UnknownWorkflow,
)

Run = Callable[[dict[str, Any]], Answer]

_LONGEST_PAUSE = 3600


class Command(BaseCommand):
    """Argument parsing only; the work is in ``django_durable.console``."""

    help = (
        "Looks at executions and acts on them. Exit codes: 0 done, 1 refused or "
        "something is wrong, 2 asked wrongly. Ids may be shortened to a unique beginning."
    )
    # What is for emergencies runs whatever else is wrong with the project.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the subcommands."""
        self._commands = parser.add_subparsers(
            dest="subcommand", required=True, metavar="COMMAND"
        )
        self._add_views()
        self._add_operations()
        self._add_inputs()
        self._add_schedules()
        self._add_upkeep()

    def _add(
        self,
        name: str,
        run: Run,
        text: str,
        formats: tuple[str, ...] = ("text", "json"),
    ) -> ArgumentParser:
        """Declare a subcommand, with the options that all of them take."""
        parser: ArgumentParser = self._commands.add_parser(
            name, help=text, description=text
        )
        parser.set_defaults(run=run)
        parser.add_argument("--durable", default="default", metavar="ALIAS")
        parser.add_argument("--format", choices=formats, default=formats[0])
        # So that they may stand behind the subcommand as well.
        for option in ("--settings", "--pythonpath"):
            parser.add_argument(option, default=SUPPRESS, help=SUPPRESS)
        for option in ("--traceback", "--no-color", "--force-color"):
            parser.add_argument(
                option, action="store_true", default=SUPPRESS, help=SUPPRESS
            )
        parser.add_argument(
            "-v", "--verbosity", type=int, default=SUPPRESS, help=SUPPRESS
        )
        return parser

    def _add_views(self) -> None:
        self._add("status", listing.status, "queues, workers, schedules, failures")
        parser = self._add("list", listing.list_executions, "executions, newest first")
        parser.add_argument("--workflow")
        parser.add_argument("--status", action="append", help="one, or several: a,b")
        parser.add_argument("--queue")
        parser.add_argument("--tag")
        parser.add_argument("--since", metavar="WHEN", help="2h, 7d, or a date")
        parser.add_argument("--limit", type=_positive, default=50)
        parser = self._add("show", showing.show, "one execution, with its steps")
        parser.add_argument("id")
        parser.add_argument("--logs", action="store_true", help="what it wrote, too")
        parser = self._add(
            "graph",
            drawing.graph,
            "draw a workflow",
            formats=("mermaid", "svg", "text", "json"),
        )
        parser.add_argument("workflow")

    def _add_operations(self) -> None:
        parser = self._add("start", operating.start, "start an execution")
        parser.add_argument("workflow")
        parser.add_argument("--input", metavar="JSON", help="an object")
        parser.add_argument("--queue")
        parser.add_argument("--priority", type=int, help="larger first")
        parser.add_argument("--key", help="idempotency key: start it once only")
        parser.add_argument("--tag", action="append", help="may be repeated")
        parser = self._add("cancel", operating.cancel, "end an open execution")
        parser.add_argument("id")
        parser.add_argument("--reason", default="")
        parser.add_argument("--compensate", action="store_true", help="undo its steps")
        for name, run, text in (
            ("retry", operating.retry, "let a failed one go on where it failed"),
            ("pause", operating.pause, "let no further step start"),
            ("resume", operating.resume, "take a pause back"),
            ("run-now", operating.run_now, "skip a sleep or a back-off"),
        ):
            self._add(name, run, text).add_argument("id")
        parser = self._add("send-event", operating.send_event, "send an event")
        parser.add_argument("id")
        parser.add_argument("name")
        parser.add_argument("--payload", metavar="JSON")
        parser.add_argument("--event-id", help="sent twice, it is one event")

    def _add_inputs(self) -> None:
        parser = self._add("pending", listing.pending, "what people are asked")
        parser.add_argument("--limit", type=_positive, default=50)
        parser = self._add("provide-input", operating.provide_input, "answer an input")
        parser.add_argument("id")
        parser.add_argument("name")
        parser.add_argument("value", metavar="JSON", help="or plain text")
        parser.add_argument("--user", metavar="NAME", help="who answers")
        parser.add_argument("--comment", default="", help="kept with the answer")

    def _add_schedules(self) -> None:
        parser = self._add("schedules", scheduling.list_schedules, "schedules")
        parser.add_argument("--limit", type=_positive, default=100)
        parser = self._add(
            "trigger", scheduling.trigger, "start what a schedule starts"
        )
        parser.add_argument("name")
        parser.add_argument("--input", metavar="JSON", help="instead of the schedule's")
        for name, run, text in (
            ("enable-schedule", scheduling.enable, "let a schedule fire from now on"),
            ("disable-schedule", scheduling.disable, "let a schedule fire no more"),
        ):
            self._add(name, run, text).add_argument("name")

    def _add_upkeep(self) -> None:
        parser = self._add("cleanup", upkeep.cleanup, "delete old ended executions")
        parser.add_argument("--older-than", required=True, metavar="AGE", help="30d")
        parser.add_argument("--status", action="append", help="one, or several: a,b")
        parser.add_argument("--dry-run", action="store_true", help="count only")
        parser = self._add("doctor", upkeep.doctor, "check what is stored")
        parser.add_argument(
            "--limit", type=_positive, default=20, help="ids per finding (20)"
        )
        parser.add_argument(
            "--second-look",
            type=_pause,
            default=upkeep.SECOND_LOOK,
            metavar="SECONDS",
            help="pause before what was found is looked at again (0: do not)",
        )
        self._add("check", upkeep.check, "can this code continue all that is open?")

    def handle(self, *_: Any, **given: Any) -> None:
        """Run the subcommand, print its answer, and end with its exit code."""
        run: Run = given["run"]
        try:
            answer = run({**given, "progress": self._progress})
        except (UsageError, UnknownInstance, UnknownWorkflow) as error:
            raise CommandError(str(error), returncode=MISUSED) from None
        except ImproperlyConfigured as error:
            raise CommandError(str(error), returncode=MISUSED) from None
        except InvalidInput as error:
            raise CommandError(_refusal(error), returncode=REFUSED) from None
        except (DurableError, PermissionDenied) as error:
            raise CommandError(str(error), returncode=REFUSED) from None
        except DatabaseError as error:
            raise CommandError(_failure(error), returncode=REFUSED) from error
        self._print(answer, given["format"])
        if answer.fault:
            raise CommandError(answer.fault, returncode=REFUSED)

    def _print(self, answer: Answer, wanted: str) -> None:
        is_json = wanted == "json"
        text = (
            answer.as_json() if is_json else answer.as_text(terminal_width(self.stdout))
        )
        if text:
            self.stdout.write(text)

    def _progress(self, text: str) -> None:
        if self.stderr.isatty():
            self.stderr.write(f"\r{text} …", ending="")


def _positive(text: str) -> int:
    """Return a whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r}: give a whole number from 1.")
    return int(text)


def _pause(text: str) -> float:
    """Return seconds to sleep, from 0."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= _LONGEST_PAUSE:
        raise ArgumentTypeError(
            f"{text!r}: give seconds, from 0 to {_LONGEST_PAUSE:,}."
        )
    return seconds


def _refusal(error: InvalidInput) -> str:
    lines = [
        f"  {field}: {message}"
        for field, messages in error.errors.items()
        for message in messages
        if field != "__all__"
    ]
    return "\n".join([str(error), *lines])


def _failure(error: DatabaseError) -> str:
    return (
        f"The database says: {str(error).strip().rstrip('.')}. If tables are missing, run "
        "manage.py migrate (with --database=ALIAS for another instance)."
    )
