"""What steps log and print is stored, whatever becomes of them."""

# ruff: noqa: T201

from __future__ import annotations

import asyncio
import contextvars
import io
import logging
import sys
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager, redirect_stdout, suppress

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group
from django.db import DataError, connection, connections, transaction

import django_durable as durable
from django_durable import (
    Each,
    Fail,
    Loop,
    Parallel,
    Retry,
    Snooze,
    Workflow,
    minutes,
    seconds,
    step,
    wait_for_event,
)
from django_durable.clock import freeze
from django_durable.conf import get_settings
from django_durable.models import Execution, Log
from django_durable.runtime import log_writer
from django_durable.runtime.attempts import Abandoned
from django_durable.runtime.executor import Executor
from django_durable.runtime.log_writer import LogWriter
from django_durable.runtime.watchdog import Watchdog
from django_durable.testing import run_until_idle
from tests.factories import NOON, claim, counted, drain, finish, reap, run

pytestmark = pytest.mark.django_db(transaction=True)

logger = logging.getLogger("shop.payments")


def lines(execution: Execution) -> list[tuple[str, str, str]]:
    """Return level, logger and message of all that an execution has written."""
    return list(execution.logs.values_list("level", "logger", "message"))


def messages(execution: Execution) -> list[str]:
    return list(execution.logs.values_list("message", flat=True))


_made: list[type[Workflow]] = []


def make_step(body: Callable[[], object], **options: object) -> type[Workflow]:
    """Return a workflow of one step that calls ``body``."""

    class OneStep(Workflow, name="logs_one_step"):
        @step(**options)
        def write(self):
            body()

    # A class that nothing refers to any more is not found by a worker.
    _made[:] = [OneStep]
    return OneStep


def wait_until(is_true: Callable[[], object]) -> None:
    ends_at = time.monotonic() + 10
    while not is_true():
        assert time.monotonic() < ends_at
        time.sleep(0.02)


def test_records_and_printed_lines_are_stored_in_order_with_where_they_come_from():
    class Writes(Workflow):
        @step
        def charge(self):
            logger.info("charging %s", 12)
            print("a", "b")
            logger.error("refused")

    with freeze(NOON):
        execution = finish(durable.start(Writes))

    assert lines(execution) == [
        ("INFO", "shop.payments", "charging 12"),
        ("INFO", "stdout", "a b"),
        ("ERROR", "shop.payments", "refused"),
    ]
    line = execution.logs.first()
    assert (line.step, line.sequence, line.attempt, line.lane) == ("charge", 0, 1, None)
    assert line.created_at == NOON


def test_get_execution_loads_the_lines_of_each_step_in_a_constant_number_of_statements():
    class Writes(Workflow):
        @step
        def silent(self):
            pass

        @step(retry=Retry(max_attempts=2, base=seconds(0)))
        def charge(self, ctx):
            logger.info("attempt %d", ctx.attempt)
            if ctx.attempt == 1:
                raise ConnectionError

        @step
        def ship(self):
            logger.info("shipped")

    execution = finish(durable.start(Writes))

    with counted() as statements:
        found = durable.get_execution(execution, include_logs=True)
        of_steps = [[line.message for line in one.logs] for one in found.steps.all()]
        of_all = [line.message for line in found.logs.all()]
    assert of_steps == [[], ["attempt 1"], ["attempt 2"], ["shipped"]]
    assert of_all == ["attempt 1", "attempt 2", "shipped"]
    assert len(statements.all) == 3


def test_the_lines_of_a_step_that_was_loaded_without_them_are_read_when_looked_at():
    execution = finish(durable.start(make_step(lambda: logger.info("here"))))

    [attempt] = durable.get_execution(execution, include_steps=True).steps.all()

    assert [line.message for line in attempt.logs] == ["here"]


def test_after_a_retry_by_hand_attempts_of_one_number_keep_their_lines_apart():
    outcomes = iter([Fail("no"), None])

    def body():
        outcome = next(outcomes)
        logger.info("%s", outcome or "went well")
        if outcome:
            raise outcome

    execution = finish(durable.start(make_step(body)))
    durable.retry(execution)
    drain()

    found = durable.get_execution(execution, include_logs=True)
    assert [(one.attempt, one.status) for one in found.steps.all()] == [
        (1, "failed"),
        (1, "completed"),
    ]
    assert [[line.message for line in one.logs] for one in found.steps.all()] == [
        ["no"],
        ["went well"],
    ]


def test_lines_of_every_run_of_a_body_are_stored_however_it_ended():
    ends = iter([Snooze(minutes(1)), ConnectionError("down")])

    class Writes(Workflow):
        @step(retry=Retry(max_attempts=2, base=seconds(0)))
        def write(self, ctx):
            logger.info("run")
            if end := next(ends, None):
                raise end
            logger.info("got %s", wait_for_event("paid"))

    with freeze(NOON) as clock:
        execution = finish(durable.start(Writes))
        assert messages(execution) == ["run"]
        clock.advance(minutes(1))
        drain()
        clock.advance(seconds(5))
        drain()
        assert messages(execution) == ["run", "run", "run"]
        durable.send_event(execution, "paid", 7)
        drain()

    assert messages(execution) == ["run", "run", "run", "run", "got 7"]


def test_what_an_attempt_wrote_whose_execution_was_cancelled_meanwhile_is_kept():
    def body():
        logger.info("before")
        durable.cancel(execution)
        logger.info("after")

    execution = durable.start(make_step(body))
    drain()

    assert messages(execution) == ["before", "after"]


def test_what_an_attempt_wrote_that_a_dead_worker_held_is_kept():
    def body():
        logger.info("on the way")
        reap()

    execution = durable.start(make_step(body))
    run(claim()[0])

    assert messages(execution) == ["on the way"]
    assert [one.status for one in execution.steps.all()] == ["lost"]


@pytest.mark.parametrize("fails", [False, True])
def test_what_an_atomic_step_wrote_is_not_rolled_back_with_it(fails):
    def body():
        Group.objects.create(name="x")
        logger.info("in the transaction")
        if fails:
            raise ValueError

    execution = finish(durable.start(make_step(body, atomic=True)))

    assert execution.status == ("failed" if fails else "completed")
    assert messages(execution) == ["in the transaction"]
    assert Group.objects.exists() is not fails


def test_lines_of_members_and_items_are_filed_under_the_execution_and_their_lane():
    class Writes(Workflow):
        class Checks(Parallel):
            @step
            def fraud(self):
                logger.info("fraud?")

        class Letters(Each):
            def items(self):
                print("two letters")
                return ["a", "b"]

            @step
            def send(self, item):
                logger.info("sent %s", item)

        class Rounds(Loop):
            def condition(self, ctx=None, rounds=0):
                print("again?")
                return rounds < 1

            @step
            def turn(self):
                print("turning")
                return {"rounds": 1}

    execution = finish(durable.start(Writes))

    assert execution.status == "completed"
    stored = list(execution.logs.values_list("step", "message"))
    assert sorted(stored) == sorted(
        [
            ("checks.fraud", "fraud?"),
            ("letters", "two letters"),
            ("letters[0].send", "sent a"),
            ("letters[1].send", "sent b"),
            ("rounds", "again?"),
            ("rounds[0].turn", "turning"),
            ("rounds[1]", "again?"),
        ]
    )
    found = durable.get_execution(execution, include_logs=True)
    of_steps = {
        one.path: [line.message for line in one.logs] for one in found.steps.all()
    }
    assert of_steps["letters[1].send"] == ["sent b"]
    assert of_steps["checks.fraud"] == ["fraud?"]


def test_tasks_and_threads_that_take_the_context_along_are_included():
    class Writes(Workflow):
        @step
        async def fetch(self):
            async def part(name):
                await asyncio.sleep(0)
                logger.info("task %s", name)

            await asyncio.gather(part("a"), part("b"))
            await asyncio.to_thread(logger.info, "thread of asyncio")
            await sync_to_async(logger.info)("thread of asgiref")

        @step
        def compute(self):
            context = contextvars.copy_context()
            thread = threading.Thread(target=context.run, args=(print, "own thread"))
            thread.start()
            thread.join()

    execution = finish(durable.start(Writes))

    assert messages(execution) == [
        "task a",
        "task b",
        "thread of asyncio",
        "thread of asgiref",
        "own thread",
    ]


def test_steps_that_run_at_the_same_time_keep_their_lines_apart():
    both = threading.Barrier(2)

    class Writes(Workflow):
        @step
        def write(self, name):
            for number in range(20):
                both.wait(10)
                logger.info("%s %d", name, number)
                print(name, end="")
                print(number)

    executions = [durable.start(Writes, {"name": name}) for name in "ab"]
    writer = LogWriter(get_settings())

    def work(claimed):
        run(claimed, inline=False, logs=writer)
        connections.close_all()

    threads = [threading.Thread(target=work, args=(one,)) for one in claim()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()

    for execution, name in zip(executions, "ab", strict=True):
        expected = [
            f(name, n) for n in range(20) for f in ("{} {}".format, "{}{}".format)
        ]
        assert messages(execution) == expected


# --- Other people's logging -----------------------------------------------------------


@pytest.fixture
def bare_logging(monkeypatch):
    """The root logger as it is in a project that sets nothing but a handler, or none."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "level", logging.WARNING)
    logging.Logger.manager._clear_cache()
    yield root
    logging.Logger.manager._clear_cache()


@contextmanager
def handling(root, handler):
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


class Kept(logging.Handler):
    """Keeps what a handler of the project gets."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def test_a_step_keeps_what_only_the_root_level_holds_back_and_handlers_get_no_more(
    bare_logging,
):
    handler = Kept()

    def body():
        logger.debug("detail")
        logger.info("news")
        logger.warning("trouble")

    with handling(bare_logging, handler):
        execution = finish(durable.start(make_step(body)))
        logger.info("after")

    assert messages(execution) == ["news", "trouble"]
    assert handler.messages == ["trouble"]


def test_where_nothing_is_configured_warnings_go_to_the_console_as_ever(
    bare_logging, capsys, monkeypatch
):
    monkeypatch.setattr(logging, "lastResort", logging.StreamHandler(sys.stderr))
    # Only now, for the test runner has put its own there.
    monkeypatch.setattr(bare_logging, "handlers", [])

    execution = finish(durable.start(make_step(lambda: logger.warning("trouble"))))

    assert capsys.readouterr().err == "trouble\n"
    assert messages(execution) == ["trouble"]
    assert bare_logging.handlers == []


def test_a_logger_that_was_told_to_be_quiet_is_quiet_and_one_that_does_not_propagate_heard(
    monkeypatch,
):
    noisy, own = logging.getLogger("noisy"), logging.getLogger("own.part")
    monkeypatch.setattr(noisy, "level", logging.ERROR)
    monkeypatch.setattr(logging.getLogger("own"), "propagate", False)
    logging.Logger.manager._clear_cache()

    def body():
        noisy.warning("noise")
        own.warning("own")

    execution = finish(durable.start(make_step(body)))
    logging.Logger.manager._clear_cache()

    assert messages(execution) == ["own"]


def test_what_logging_disable_silences_is_not_stored():
    def body():
        logging.disable(logging.ERROR)
        try:
            logger.error("silenced")
        finally:
            logging.disable(logging.NOTSET)

    assert messages(finish(durable.start(make_step(body)))) == []


def test_a_filter_of_the_logger_changes_what_is_stored():
    def redact(record):
        record.msg = record.msg.replace("4111", "****")
        return "ping" not in record.msg

    def body():
        logger.info("card 4111")
        logger.info("ping")

    logger.addFilter(redact)
    try:
        execution = finish(durable.start(make_step(body)))
    finally:
        logger.removeFilter(redact)

    assert messages(execution) == ["card ****"]


def test_a_handler_that_prints_or_logs_itself_doubles_nothing(bare_logging):
    class Chatty(logging.Handler):
        def emit(self, record):
            if record.name != "chatty":
                print(record.getMessage())
                logging.getLogger("chatty").warning("emitted")

    with handling(bare_logging, Chatty()):
        execution = finish(durable.start(make_step(lambda: logger.warning("once"))))

    assert messages(execution) == ["once"]


def test_the_engines_own_loggers_are_not_the_steps():
    def body():
        logging.getLogger("django_durable").error("x")
        logging.getLogger("django_durable.runtime").error("y")

    assert messages(finish(durable.start(make_step(body)))) == []


def test_outside_a_step_nothing_is_stored():
    finish(durable.start(make_step(lambda: None)))

    logger.error("outside")
    print("outside")

    assert not Log.objects.exists()


def test_standard_output_gets_what_it_got_before_and_is_given_back(capsys):
    before = sys.stdout

    execution = durable.start(make_step(lambda: print("hello", flush=True)))
    run_until_idle()

    assert messages(execution) == ["hello"]
    assert capsys.readouterr().out == "hello\n"
    assert sys.stdout is before


def test_what_a_step_redirects_is_its_own_business():
    def body():
        with redirect_stdout(io.StringIO()) as found:
            print("for me")
        assert found.getvalue() == "for me\n"
        print("for all")

    execution = finish(durable.start(make_step(body)))

    assert execution.status == "completed"
    assert messages(execution) == ["for all"]


def test_printed_parts_become_lines_and_the_rest_comes_at_the_end():
    def body():
        print("a", end="")
        print("b\n\nc\nd", end="")

    assert messages(finish(durable.start(make_step(body)))) == ["ab", "c", "d"]


# --- Limits and malice ----------------------------------------------------------------


def set_logs(settings, **logs):
    settings.DURABLE = {"default": {"LOGS": logs}}


def test_the_level_and_the_switch_for_printing_hold(settings):
    def body():
        logger.info("info")
        logger.warning("warning")
        print("printed")

    set_logs(settings, level="WARNING")
    assert messages(finish(durable.start(make_step(body)))) == ["warning"]

    set_logs(settings, capture_stdout=False)
    assert messages(finish(durable.start(make_step(body)))) == ["info", "warning"]

    set_logs(settings, level="DEBUG", max_entries=0)
    assert messages(finish(durable.start(make_step(body)))) == []


def test_of_100_000_lines_those_are_stored_that_fit_and_the_last_says_what_is_missing():
    def body():
        for number in range(50_000):
            logger.info("line %d", number)
            print(number)

    execution = finish(durable.start(make_step(body)))

    found = lines(execution)
    assert execution.status == "completed"
    assert len(found) == 1001
    assert found[-2][2] == "499"
    assert found[-1] == (
        "WARNING",
        "django_durable",
        "99,000 lines dropped: LOGS allows a step 1,000.",
    )


@pytest.mark.parametrize(
    "write", [logger.info, print, lambda text: sys.stdout.write(text)]
)
def test_a_line_of_a_megabyte_is_cut(write):
    execution = finish(durable.start(make_step(lambda: write("x" * 1_000_000))))

    assert messages(execution) == ["x" * 10_000 + "… [cut here]"]


class Unprintable:
    def __str__(self):
        raise ValueError("no")

    __repr__ = __str__


@pytest.mark.parametrize(
    ("write", "found"),
    [
        (lambda: logging.warning(b"\xff"), r"b'\xff'"),
        (lambda: logger.info("a\0b"), r"a\x00b"),
        (lambda: logger.info("half \ud83d"), r"half \ud83d"),
        (lambda: print("a\0b"), r"a\x00b"),
        (lambda: logger.log(15_000, "loud"), "loud"),
        (lambda: logging.getLogger("n" * 500 + "\0").warning("name"), "name"),
        (lambda: logger.info(Unprintable()), "(a message that raised ValueError"),
        (lambda: logger.info("%s", Unprintable()), "(a message that raised ValueError"),
        (lambda: logger.info("%d", "x"), "(a message that raised TypeError"),
        (lambda: logger.info("none", exc_info=True), "none"),
    ],
)
def test_whatever_is_logged_is_stored_and_the_step_is_unharmed(
    write, found, monkeypatch
):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.NullHandler()])

    execution = finish(durable.start(make_step(write)))

    assert execution.status == "completed", execution.error
    [message] = messages(execution)
    assert message.startswith(found)


def test_the_traceback_of_a_logged_exception_is_stored():
    def body():
        try:
            next(iter(()))
        except StopIteration:
            logger.exception("could not charge")

    [message] = messages(finish(durable.start(make_step(body))))

    assert message.startswith("could not charge\nTraceback (most recent call last):")
    assert message.endswith("StopIteration")


def test_lines_that_the_database_refuses_are_lost_alone(monkeypatch, caplog):
    insert = log_writer.logs.insert

    def refusing(found, *, using):
        if any(line.message == "bad" for line in found):
            raise DataError("refused")
        insert(found, using=using)

    monkeypatch.setattr(log_writer.logs, "insert", refusing)

    bad = finish(durable.start(make_step(lambda: logger.info("bad"))))
    good = finish(durable.start(make_step(lambda: logger.info("good"))))

    assert bad.status == "completed"
    assert messages(bad) == []
    assert messages(good) == ["good"]
    assert "1 log lines of write are lost." in caplog.text


# --- Cost and liveness ----------------------------------------------------------------


def statements_of(body: Callable[[], object]) -> list[str]:
    durable.start(make_step(body))
    [claimed] = claim()
    with counted() as statements:
        run(claimed)
    return statements.all


def test_a_step_that_writes_nothing_costs_no_statement_and_1000_lines_cost_few():
    def write():
        for number in range(1000):
            logger.info("line %d", number)

    silent = statements_of(lambda: None)
    loud = statements_of(write)

    assert not [sql for sql in silent if "django_durable_log" in sql]
    inserts = [sql for sql in loud if "django_durable_log" in sql]
    # SQLite takes a limited number of values in one statement.
    assert len(inserts) <= (2 if connection.vendor == "postgresql" else 11)


def test_the_lines_of_a_step_that_runs_can_be_seen_before_long(monkeypatch):
    monkeypatch.setattr(log_writer, "FLUSH_SECONDS", 0.05)
    go_on = threading.Event()

    def body():
        logger.info("first")
        go_on.wait(10)
        logger.info("second")

    execution = durable.start(make_step(body))
    [claimed] = claim()
    writer = LogWriter(get_settings())

    def work():
        run(claimed, inline=False, logs=writer)
        connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        wait_until(lambda: messages(execution) == ["first"])
    finally:
        go_on.set()
        thread.join()
        writer.close()
    assert messages(execution) == ["first", "second"]


def test_a_worker_that_ends_stores_what_a_step_wrote_that_it_cuts_off(monkeypatch):
    monkeypatch.setattr(log_writer, "FLUSH_SECONDS", 60)
    began, go_on = threading.Event(), threading.Event()

    def body():
        logger.info("on the way")
        began.set()
        go_on.wait(10)

    execution = durable.start(make_step(body))
    [claimed] = claim()
    writer = LogWriter(get_settings())

    def work():
        run(claimed, inline=False, logs=writer)
        connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert began.wait(10)
        writer.close()
        assert messages(execution) == ["on the way"]
    finally:
        go_on.set()
        thread.join()


def test_a_thread_that_the_step_left_behind_is_heard_until_it_ends(monkeypatch):
    monkeypatch.setattr(log_writer, "FLUSH_SECONDS", 0.05)
    go_on = threading.Event()

    def late():
        go_on.wait(10)
        logger.info("late")

    threads = []

    def body():
        context = contextvars.copy_context()
        threads.append(threading.Thread(target=context.run, args=(late,)))
        threads[0].start()

    execution = durable.start(make_step(body))
    writer = LogWriter(get_settings())
    run(claim()[0], inline=False, logs=writer)
    go_on.set()
    threads[0].join()
    writer.close()

    assert messages(execution) == ["late"]


def test_the_lines_of_an_attempt_that_takes_too_long_are_there_when_it_is_settled():
    go_on = threading.Event()

    class Writes(Workflow):
        @step(timeout=seconds(0.2))
        def write(self):
            logger.info("began")
            while not go_on.is_set():
                try:
                    go_on.wait(0.02)
                except durable.StepTimeout:
                    logger.info("interrupted")

    execution = durable.start(Writes)
    [claimed] = claim()
    writer = LogWriter(get_settings())
    taken_over = threading.Event()

    def work():
        watchdog = Watchdog()
        executor = Executor(get_settings(), watchdog=watchdog, logs=writer)
        with suppress(Abandoned):
            executor.run(claimed, lambda *_: taken_over.set())
        watchdog.close()
        connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    assert taken_over.wait(10)
    seen = messages(execution)
    go_on.set()
    thread.join()
    writer.close()

    assert seen[0] == "began"
    assert Execution.objects.get().status == "failed"


def test_in_the_transaction_of_a_test_lines_take_part_in_it():
    with transaction.atomic():
        durable.start(make_step(lambda: logger.info("inside")))
        run_until_idle()
        assert Log.objects.count() == 1
        transaction.set_rollback(True)

    assert Log.objects.count() == 0
