"""What a step may do to its worker: each is a clear error of that step, and no more."""

from __future__ import annotations

import math
import re
import threading
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Group
from django.db import Error, connection, transaction
from django.utils import timezone, translation

import django_durable as durable
from django_durable import (
    Cancel,
    Fail,
    NotStorable,
    Workflow,
    sleep,
    step,
    wait_for_any,
    wait_for_approval,
    wait_for_event,
)
from django_durable.models import Execution
from tests.factories import attempts, drain, finish, fresh


class Harmless(Workflow):
    @step
    def work(self):
        return {
            "zone": timezone.get_current_timezone_name(),
            "language": translation.get_language(),
        }


def endless() -> list:
    value: list = []
    value.append(value)
    return value


POISON = {
    "lambda": (lambda: lambda: 0, "['items'][0]"),
    "nan": (lambda: math.nan, "['items'][0]"),
    "infinity": (lambda: -math.inf, "['items'][0]"),
    "decimal nan": (lambda: Decimal("nan"), "['items'][0]"),
    "nul": (lambda: "a\u0000b", "['items'][0]"),
    "surrogate": (lambda: "\ud800", "['items'][0]"),
    "nul key": (lambda: {"\u0000": 1}, "['items'][0]"),
    "int key": (lambda: {1: 1}, "['items'][0]"),
    "object": (lambda: object(), "['items'][0]"),
    "endless": (endless, "['items'][0]"),
    "huge int": (lambda: 10**5000, "['items'][0]"),
    "exception": (lambda: ValueError(), "['items'][0]"),
    "unsaved": (lambda: Group(name="new"), "['items'][0]"),
    "5 MB": (lambda: "x" * 5_000_000, "['items']"),
}


@pytest.mark.django_db
@pytest.mark.parametrize("poison", POISON)
def test_a_result_that_cannot_be_stored_is_an_error_of_its_step(poison):
    make, path = POISON[poison]

    class Poisonous(Workflow):
        @step(retry=3)
        def give(self):
            return {"items": [make()]}

    bad, good = durable.start(Poisonous), durable.start(Harmless)
    drain()
    bad = fresh(bad)

    assert bad.status == "failed"
    assert bad.error["type"] == "not_storable"
    assert path in bad.error["message"]
    assert bad.error["step"] == "give"
    assert bad.data == {}
    assert attempts(bad) == [("give", 1, "failed")]
    assert fresh(good).status == "completed"


@pytest.mark.django_db
@pytest.mark.parametrize("poison", POISON)
def test_data_that_is_poisoned_in_place_is_an_error_of_its_step(poison):
    make, path = POISON[poison]

    class Poisonous(Workflow):
        @step
        def give(self, data):
            data["items"] = [make()]

    execution = finish(durable.start(Poisonous))

    assert execution.error["type"] == "not_storable"
    assert f"data{path}" in execution.error["message"]


@pytest.mark.django_db
@pytest.mark.parametrize("poison", POISON)
def test_start_refuses_what_cannot_be_stored_and_writes_nothing(poison):
    make, path = POISON[poison]

    with pytest.raises(NotStorable) as refused:
        durable.start(Harmless, {"items": [make()]})

    assert f"input{path}" in str(refused.value)
    assert not Execution.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "call", ["checkpoint", "heartbeat", "details", "timeout_value"]
)
def test_what_a_step_stores_on_the_way_is_checked_too(call):
    class Poisonous(Workflow):
        @step
        def give(self, ctx):
            match call:
                case "checkpoint":
                    durable.checkpoint("bad", lambda: {"f": print})
                case "heartbeat":
                    ctx.heartbeat({"f": print})
                case "details":
                    raise Fail("no", f=print)
                case "timeout_value":
                    durable.wait_for_event("x", timeout_value={"f": print})

    execution = finish(durable.start(Poisonous))

    assert execution.status == "failed"
    error = execution.error
    told = error["details"]["not_storable"] if call == "details" else error["message"]
    assert "['f']" in told


@pytest.mark.django_db
def test_an_instance_that_is_gone_is_an_error_of_the_step_that_reads_it():
    class Reads(Workflow):
        @step
        def keep(self):
            return {"group": Group.objects.create(name="x")}

        @step
        def delete(self):
            Group.objects.all().delete()

        @step(retry=3)
        def read(self, group): ...

    execution = finish(durable.start(Reads))

    assert execution.status == "failed"
    assert execution.error["type"] == "not_storable"
    assert execution.error["step"] == "read"
    assert "auth.group" in execution.error["message"]
    assert "no longer exists" in execution.error["message"]


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class Odd(BaseException):
    pass


ERRORS = {
    "mute": (lambda: Mute(), "Mute"),
    "nul": (lambda: ValueError("a\u0000\ud800b"), "ValueError"),
    "long": (lambda: ValueError("x" * 10_000_000), "ValueError"),
    "not a text": (lambda: ValueError({1: object()}), "ValueError"),
    "base": (lambda: Odd("odd"), "Odd"),
    "exit": (lambda: SystemExit(3), "SystemExit"),
    "generator": (lambda: GeneratorExit(), "GeneratorExit"),
    "group": (lambda: ExceptionGroup("many", [ValueError("one")]), "ExceptionGroup"),
    "cause": (lambda: RuntimeError(Mute()), "RuntimeError"),
}


@pytest.mark.django_db
@pytest.mark.parametrize("name", ERRORS)
def test_whatever_a_step_raises_is_its_error(name):
    make, kind = ERRORS[name]

    class Raises(Workflow):
        @step
        def call(self):
            raise make()

    bad, good = durable.start(Raises), durable.start(Harmless)
    drain()
    bad = fresh(bad)

    assert bad.status == "failed"
    assert bad.error["type"] == kind
    assert "\u0000" not in bad.error["message"]
    assert len(bad.error["message"]) <= 2000
    assert fresh(good).status == "completed"


@pytest.mark.usefixtures("transactional_db")
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_exit_in_the_thread_of_a_worker_is_an_error_of_the_step(error):
    class Exits(Workflow):
        @step
        def call(self):
            raise error

    execution = durable.start(Exits)
    in_thread(drain)

    assert fresh(execution).error["type"] == error.__name__


def in_thread(work) -> None:
    """Run ``work`` in a thread with connections of its own, as a worker does."""
    failed: list[BaseException] = []

    def call():
        try:
            work()
        except BaseException as error:
            failed.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=call)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    if failed:
        raise failed[0]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "end", [lambda: Fail("a\u0000b\ud800"), lambda: Cancel("a\u0000b\ud800")]
)
def test_a_reason_with_characters_that_cannot_be_stored_is_stored_without_them(end):
    class EndsOddly(Workflow):
        @step
        def call(self):
            raise end()

    execution = finish(durable.start(EndsOddly))

    assert execution.is_final
    assert "\\x00" in execution.error["message"]


@pytest.mark.django_db
def test_a_body_that_swallows_its_suspension_fails_clearly():
    class Swallows(Workflow):
        @step(retry=3)
        def call(self):
            try:
                durable.wait_for_event("paid")
            except:  # noqa: E722
                pass
            return {"went": "on"}

    execution = finish(durable.start(Swallows))

    assert execution.status == "failed"
    assert "suspension" in execution.error["message"]
    assert attempts(execution) == [("call", 1, "failed")]
    assert not execution.waits.exists()


# --- What a step leaves behind in its thread ------------------------------------------


@pytest.mark.django_db
def test_time_zone_and_language_of_a_step_end_with_it():
    class Travels(Workflow):
        @step
        def call(self):
            timezone.activate("Asia/Tokyo")
            translation.activate("de")

    durable.start(Travels)
    good = durable.start(Harmless)
    drain()

    assert fresh(good).result == {"zone": "UTC", "language": "en-us"}
    assert timezone.get_current_timezone_name() == "UTC"


def leave_atomic_open():
    transaction.atomic().__enter__()


def leave_atomic_broken():
    atomic = transaction.atomic()
    atomic.__enter__()
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM nowhere")


def leave_autocommit_off():
    transaction.set_autocommit(False)


def leave_autocommit_off_after_a_write():
    transaction.set_autocommit(False)
    Group.objects.create(name="x")


def leave_raw_transaction():
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")


def leave_raw_broken_transaction():
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT * FROM nowhere")


def close_the_connection():
    connection.close()


def close_the_socket():
    connection.ensure_connection()
    connection.connection.close()


@pytest.mark.usefixtures("transactional_db")
@pytest.mark.parametrize("is_atomic", [False, True])
@pytest.mark.parametrize(
    "leave",
    [
        leave_atomic_open,
        leave_atomic_broken,
        leave_autocommit_off,
        leave_autocommit_off_after_a_write,
        leave_raw_transaction,
        leave_raw_broken_transaction,
        close_the_connection,
        close_the_socket,
    ],
)
def test_however_a_step_leaves_its_connection_its_end_is_stored(leave, is_atomic):
    class Leaves(Workflow):
        @step(atomic=is_atomic)
        def call(self):
            with suppress(Error):
                leave()

        @step
        def after(self):
            return {"after": True}

    bad, good = durable.start(Leaves), durable.start(Harmless)
    in_thread(drain)

    bad = fresh(bad)
    assert not Group.objects.exists()
    assert fresh(good).status == "completed"
    if is_atomic:
        # In a transaction already, some of it does no harm.
        assert bad.status in ("completed", "failed")
    elif leave in (close_the_connection, close_the_socket):
        assert bad.result == {"after": True}
    else:
        assert bad.status == "failed"
        assert bad.error["type"] == "TransactionManagementError"
        assert "left a transaction open" in bad.error["message"]


@pytest.mark.usefixtures("transactional_db")
def test_an_atomic_step_that_leaves_a_block_open_is_rolled_back():
    class Leaves(Workflow):
        @step(atomic=True)
        def call(self):
            Group.objects.create(name="x")
            leave_atomic_open()
            Group.objects.create(name="y")

    bad = durable.start(Leaves)
    in_thread(drain)

    assert fresh(bad).error["type"] == "TransactionManagementError"
    assert not Group.objects.exists()


@pytest.mark.django_db
def test_a_block_left_open_inside_the_callers_transaction_is_left():
    class Leaves(Workflow):
        @step
        def call(self):
            leave_atomic_open()
            Group.objects.create(name="y")

    bad, good = durable.start(Leaves), durable.start(Harmless)
    drain()

    assert fresh(bad).error["type"] == "TransactionManagementError"
    assert fresh(good).status == "completed"
    assert not Group.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "wait",
    [
        lambda: sleep(timedelta.max),
        lambda: wait_for_event("news", timeout=timedelta.max),
        lambda: wait_for_any(["news"], timeout=timedelta.max),
        lambda: wait_for_approval("ok", timeout=timedelta.max),
        lambda: wait_for_approval("ok", timeout=datetime(2030, 1, 1)),  # noqa: DTZ001
    ],
)
def test_a_wait_without_an_end_that_a_clock_could_show_is_an_error_of_its_step(wait):
    class Endless(Workflow):
        @step
        def work(self):
            wait()

    execution = finish(durable.start(Endless))

    assert execution.status == "failed"
    assert re.search("100 years|aware datetime", execution.error["message"])
