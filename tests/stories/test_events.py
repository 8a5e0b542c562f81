"""Events: kept until a wait takes them, and taken once."""

from __future__ import annotations

import threading
from decimal import Decimal

import pytest
from django.db import connection, connections

import django_durable as durable
from django_durable import (
    ExecutionClosed,
    ExecutionNotFound,
    Fail,
    Lane,
    Parallel,
    Retry,
    WaitForEvent,
    WaitTimeout,
    Workflow,
    clock,
    hours,
    minutes,
    seconds,
    step,
    wait_for_all,
    wait_for_any,
    wait_for_event,
)
from django_durable.models import Event
from django_durable.store import waits
from tests.factories import NOON, claim, drain, finish, fresh, run


class Paid(Workflow):
    paid = WaitForEvent("payment.success")


class Twice(Workflow):
    """The same name twice in one body, and again in another step."""

    @step
    def both(self):
        return {"first": wait_for_event("news"), "second": wait_for_event("news")}

    @step
    def third(self):
        return {"third": wait_for_event("news")}


def taken() -> list[bool]:
    return [event.taken_by_id is not None for event in Event.objects.order_by("id")]


# --- Before, during and after the wait is opened --------------------------------------


@pytest.mark.django_db
def test_an_event_that_was_sent_before_the_wait_is_delivered():
    execution = durable.start(Paid)
    durable.send_event(execution, "payment.success", {"amount": Decimal("3.50")})

    execution = finish(execution)

    assert execution.result == {"paid": {"amount": Decimal("3.50")}}
    assert taken() == [True]


@pytest.mark.django_db
def test_an_event_that_is_sent_after_the_wait_wakes_the_execution():
    with clock.freeze(NOON) as time:
        execution = finish(durable.start(Paid))
        assert execution.status == "waiting"
        assert execution.available_at is None
        assert execution.waiting_for == "the event payment.success"
        assert drain() == 0

        time.advance(hours(1))
        durable.send_event(execution, "payment.success", 5)

        execution = fresh(execution)
        assert execution.status == "pending"
        assert execution.available_at == NOON + hours(1)
        assert execution.waiting_for == ""
        assert finish(execution).result == {"paid": 5}
    assert taken() == [True]


@pytest.mark.usefixtures("transactional_db")
def test_an_event_that_is_sent_between_suspension_and_wait_is_delivered(monkeypatch):
    body_is_done, is_sent = threading.Event(), threading.Event()
    open_wait = waits.open_wait

    def open_later(*args, **kwargs):
        body_is_done.set()
        assert is_sent.wait(20)
        return open_wait(*args, **kwargs)

    monkeypatch.setattr(waits, "open_wait", open_later)
    execution = durable.start(Paid)
    worker = in_thread(drain)
    assert body_is_done.wait(20)
    durable.send_event(execution, "payment.success", 5)
    is_sent.set()
    worker()

    assert fresh(execution).result == {"paid": 5}
    assert taken() == [True]


@pytest.mark.usefixtures("transactional_db")
def test_an_event_and_the_opening_of_its_wait_come_in_some_order():
    """Sender and worker are let go together, many times."""
    for _ in range(10):
        execution = durable.start(Paid)
        (claimed,) = claim()
        barrier = threading.Barrier(2)

        def work(claimed=claimed, barrier=barrier):
            barrier.wait(20)
            run(claimed)

        def send(execution=execution, barrier=barrier):
            barrier.wait(20)
            durable.send_event(execution, "payment.success", 5)

        for wait in [in_thread(work), in_thread(send)]:
            wait()
        assert finish(execution).result == {"paid": 5}
    assert taken() == [True] * 10


class Gate:
    """Stops its connection before the first statement that has ``text`` in it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.reached, self.opened = threading.Event(), threading.Event()

    def __call__(self, execute, sql, params, many, context):
        if self.text in sql and not self.reached.is_set():
            self.reached.set()
            assert self.opened.wait(20)
        return execute(sql, params, many, context)


def in_thread(work, *wrappers):
    """Run ``work`` in a thread with its own connection; return what waits for its end."""
    failed: list[BaseException] = []

    def call():
        try:
            with connection.execute_wrapper(wrappers[0] if wrappers else _pass):
                work()
        except BaseException as error:
            failed.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=call)
    thread.start()

    def wait() -> None:
        thread.join(30)
        assert not thread.is_alive(), "it hangs"
        if failed:
            raise failed[0]

    return wait


def _pass(execute, sql, params, many, context):
    return execute(sql, params, many, context)


@pytest.mark.usefixtures("transactional_db")
@pytest.mark.parametrize("first", ["worker", "sender"])
def test_whoever_locks_the_execution_first_the_event_is_not_lost(first):
    """One of the two is stopped with the row locked; the other then waits for it."""
    execution = durable.start(Paid)
    (claimed,) = claim()
    gate = Gate("durable_event")
    send = lambda: durable.send_event(execution, "payment.success", 5)  # noqa: E731
    work = lambda: run(claimed)  # noqa: E731
    one, other = (work, send) if first == "worker" else (send, work)

    wait_for_one = in_thread(one, gate)
    assert gate.reached.wait(20)
    wait_for_other = in_thread(other)
    gate.opened.set()
    wait_for_one()
    wait_for_other()

    assert finish(execution).result == {"paid": 5}
    assert taken() == [True]


@pytest.mark.usefixtures("transactional_db")
def test_of_two_senders_at_once_each_event_is_delivered_once():
    execution = finish(durable.start(Twice))
    barrier = threading.Barrier(2)

    def send(n):
        barrier.wait(20)
        durable.send_event(execution, "news", n)

    for wait in [in_thread(lambda: send(1)), in_thread(lambda: send(2))]:
        wait()
    drain()
    durable.send_event(execution, "news", 3)

    result = finish(execution).result
    assert {result["first"], result["second"]} == {1, 2}
    assert result["third"] == 3
    assert taken() == [True] * 3


@pytest.mark.usefixtures("transactional_db")
def test_of_two_senders_of_one_event_id_at_once_one_sends():
    execution = finish(durable.start(Twice))
    barrier, ids = threading.Barrier(2), []

    def send():
        barrier.wait(20)
        ids.append(durable.send_event(execution, "news", 1, event_id="e-1").pk)

    for wait in [in_thread(send), in_thread(send)]:
        wait()

    assert len(ids) == 2
    assert len(set(ids)) == 1
    assert Event.objects.count() == 1


# --- Names, order and times -----------------------------------------------------------


@pytest.mark.django_db
def test_one_name_is_awaited_again_and_again_oldest_event_first():
    execution = durable.start(Twice)
    for n in range(1, 5):
        durable.send_event(execution, "news", n)

    assert finish(execution).result == {"first": 1, "second": 2, "third": 3}
    assert taken() == [True, True, True, False]


@pytest.mark.django_db
def test_each_event_answers_one_wait_when_they_come_one_by_one():
    execution = finish(durable.start(Twice))
    for n in range(1, 4):
        assert execution.status == "waiting"
        durable.send_event(execution, "news", n)
        execution = finish(execution)

    assert execution.result == {"first": 1, "second": 2, "third": 3}


@pytest.mark.django_db
def test_events_that_came_all_at_once_while_it_waited_answer_one_wait_after_the_other():
    execution = finish(durable.start(Twice))
    for n in range(1, 4):
        durable.send_event(execution, "news", n)

    assert finish(execution).result == {"first": 1, "second": 2, "third": 3}


@pytest.mark.django_db
def test_an_event_of_another_name_or_execution_does_not_answer():
    execution, other = finish(durable.start(Paid)), finish(durable.start(Paid))
    durable.send_event(execution, "payment.failed")
    durable.send_event(other, "payment.success", 1)
    drain()

    assert fresh(execution).status == "waiting"
    assert fresh(other).result == {"paid": 1}


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["ünï·cödé 🚚", "a'b\"c\\d%s", "x" * 500, "a, b", " "])
def test_any_text_is_a_name(name):
    class Named(Workflow):
        got = WaitForEvent(name)

    early = durable.start(Named)
    durable.send_event(early, name, 1)
    late = finish(durable.start(Named))
    durable.send_event(late, name, 2)

    assert finish(early).result == {"got": 1}
    assert finish(late).result == {"got": 2}


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["", "x" * 501, "a\u0000b", "\ud800", 7, None])
def test_what_cannot_be_a_name_is_refused_where_it_is_written(name):
    execution = durable.start(Paid)

    with pytest.raises((TypeError, ValueError)):
        durable.send_event(execution, name)
    durable.send_event(execution, "payment.success", 1)

    assert Event.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["", "x" * 501, "a\u0000b", "\ud800", 7])
@pytest.mark.parametrize("call", ["event", "any", "all", "checkpoint", "text"])
def test_what_cannot_be_a_name_is_an_error_of_the_step(name, call):
    class Misnamed(Workflow):
        @step
        def call(self):
            match call:
                case "event":
                    wait_for_event(name)
                case "any":
                    wait_for_any(["fine", name])
                case "all":
                    wait_for_all([name])
                case "checkpoint":
                    durable.checkpoint(name, lambda: 1)
                case "text":
                    durable.wait_for_text(name)

    execution = finish(durable.start(Misnamed))

    assert execution.status == "failed"
    assert execution.error["type"] in ("TypeError", "ValueError", "not_storable")
    assert execution.error["step"] == "call"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "payload", [None, False, 0, "", [], {}, Decimal("1.10"), b"\x00"]
)
def test_any_payload_comes_back_as_it_was(payload):
    execution = finish(durable.start(Paid))
    event = durable.send_event(execution, "payment.success", payload)

    got = finish(execution).result["paid"]

    assert (got, type(got)) == (payload, type(payload))
    assert event.payload == payload
    assert event.name == "payment.success"


@pytest.mark.django_db
def test_a_payload_that_cannot_be_stored_is_refused_and_nothing_sent():
    execution = finish(durable.start(Paid))

    with pytest.raises(durable.NotStorable, match=r"payload\['f'\]"):
        durable.send_event(execution, "payment.success", {"f": print})

    assert not Event.objects.exists()


@pytest.mark.django_db
def test_a_timeout_raises_where_no_value_is_given():
    class Impatient(Workflow):
        @step
        def call(self):
            try:
                wait_for_event("news", timeout=hours(1))
            except WaitTimeout:
                return {"news": wait_for_event("other", timeout=hours(1))}

    with clock.freeze(NOON) as time:
        execution = finish(durable.start(Impatient))
        assert execution.available_at == NOON + hours(1)
        assert execution.waiting_for == (
            "the event news, until 2030-03-01 13:00:00 UTC"
        )
        time.advance(hours(1))
        execution = finish(execution)
        assert execution.status == "waiting"
        durable.send_event(execution, "other", 2)
        assert finish(execution).result == {"news": 2}


@pytest.mark.django_db
def test_an_uncaught_timeout_fails_the_step_by_its_policy():
    class Impatient(Workflow):
        @step(retry=Retry(max_attempts=2, base=seconds(0)))
        def call(self, ctx):
            return {"news": wait_for_event("news", timeout=hours(1))}

    with clock.freeze(NOON) as time:
        execution = finish(durable.start(Impatient))
        time.advance(hours(1))
        execution = finish(execution)
        assert (execution.status, execution.attempt) == ("waiting", 2)
        time.advance(hours(1))
        execution = finish(execution)

    assert execution.status == "failed"
    assert execution.error["type"] == "wait_timeout"
    assert [wait.status for wait in execution.waits.all()] == ["timed_out"] * 2


@pytest.mark.django_db
def test_the_second_attempt_of_a_wait_takes_what_has_come():
    class Impatient(Workflow):
        @step(retry=Retry(max_attempts=2, base=minutes(30), jitter=0))
        def call(self, ctx):
            return {"news": wait_for_event("news", timeout=hours(1))}

    with clock.freeze(NOON) as time:
        execution = finish(durable.start(Impatient))
        time.advance(hours(1))
        execution = finish(execution)
        durable.send_event(execution, "news", 1)
        time.advance(hours(1))
        assert finish(execution).result == {"news": 1}


@pytest.mark.django_db
@pytest.mark.parametrize(
    "value", [None, False, 0, "none", [1, 2], {"a": [1]}, Decimal("1.0"), (1, "x")]
)
@pytest.mark.parametrize("call", ["node", "event", "any", "all"])
def test_a_timeout_with_a_value_returns_it_as_it_was(value, call):
    class Impatient(Workflow):
        if call == "node":
            got = WaitForEvent("a", timeout=hours(1), timeout_value=value)
        else:

            @step
            def ask(self):
                options = {"timeout": hours(1), "timeout_value": value}
                match call:
                    case "event":
                        return {"got": wait_for_event("a", **options)}
                    case "any":
                        return {"got": wait_for_any(["a", "b"], **options)}
                    case "all":
                        return {"got": wait_for_all(["a", "b"], **options)}

    with clock.freeze(NOON) as time:
        execution = finish(durable.start(Impatient))
        assert execution.status == "waiting"
        time.advance(hours(1))
        got = finish(execution).result["got"]

    assert (got, type(got)) == (value, type(value))


@pytest.mark.django_db
def test_an_event_after_the_timeout_but_before_anyone_looked_still_counts():
    class Impatient(Workflow):
        got = WaitForEvent("a", timeout=hours(1), timeout_value="late")

    with clock.freeze(NOON) as time:
        execution = finish(durable.start(Impatient))
        time.advance(hours(2))
        durable.send_event(execution, "a", "in time")
        assert finish(execution).result == {"got": "in time"}


# --- Several names --------------------------------------------------------------------


class Any_(Workflow, name="any_of"):
    @step
    def call(self):
        name, payload = wait_for_any(["a", "b"])
        return {"name": name, "payload": payload}


@pytest.mark.django_db
@pytest.mark.parametrize("when", ["before", "after"])
def test_any_returns_name_and_payload_of_the_first_and_leaves_the_rest(when):
    execution = durable.start(Any_)
    if when == "after":
        drain()
    durable.send_event(execution, "b", 2)
    durable.send_event(execution, "a", 1)
    durable.send_event(execution, "b", 3)

    assert finish(execution).result == {"name": "b", "payload": 2}
    assert taken() == [True, False, False]


@pytest.mark.django_db
def test_all_returns_every_payload_by_name():
    class All_(Workflow, name="all_of"):
        @step
        def call(self):
            return {"got": wait_for_all(["a", "b", "c"], timeout=hours(1))}

    with clock.freeze(NOON) as time:
        execution = durable.start(All_)
        durable.send_event(execution, "b", 2)
        execution = finish(execution)
        assert "a, b, c" in execution.waiting_for
        durable.send_event(execution, "c", 3)
        durable.send_event(execution, "b", 22)
        assert drain() == 0
        time.advance(minutes(59))
        durable.send_event(execution, "a", 1)
        execution = finish(execution)

    assert execution.result == {"got": {"a": 1, "b": 2, "c": 3}}
    assert taken() == [True, True, False, True]


@pytest.mark.django_db
def test_what_all_had_got_when_its_time_ran_out_is_for_the_next_wait():
    class Patient(Workflow):
        @step(retry=Retry(max_attempts=2, base=seconds(0)))
        def call(self):
            return {"got": wait_for_all(["a", "b"], timeout=hours(1))}

    with clock.freeze(NOON) as time:
        execution = durable.start(Patient)
        durable.send_event(execution, "a", 1)
        drain()
        time.advance(hours(1))
        drain()
        assert fresh(execution).attempt == 2
        durable.send_event(execution, "b", 2)
        execution = finish(execution)

    assert execution.result == {"got": {"a": 1, "b": 2}}


@pytest.mark.django_db
def test_what_all_had_got_when_a_sibling_failed_is_there_after_a_retry():
    failing = [True]

    class Patient(Workflow):
        class Both(Parallel):
            class Waits(Lane):
                @step
                def call(self):
                    return wait_for_all(["a", "b"])

            class Fails(Lane):
                go = WaitForEvent("go")

                @step
                def fail(self):
                    if failing:
                        raise Fail(str(failing.pop()))

    execution = finish(durable.start(Patient))
    durable.send_event(execution, "a", 1)
    durable.send_event(execution, "go")
    assert finish(execution).status == "failed"

    durable.retry(execution)
    drain()
    durable.send_event(execution, "b", 2)

    assert finish(execution).result["waits"] == {"a": 1, "b": 2}


@pytest.mark.django_db
def test_many_names_together_are_longer_than_a_column():
    names = [f"{'x' * 100}-{n}" for n in range(20)]

    class Many(Workflow):
        @step
        def call(self):
            return {"got": wait_for_any(names), "more": wait_for_any([*names, "y"])}

    execution = finish(durable.start(Many))
    assert execution.status == "waiting", execution.error
    durable.send_event(execution, names[7], 1)
    execution = finish(execution)
    durable.send_event(execution, "y", 2)

    assert finish(execution).result == {"got": (names[7], 1), "more": ("y", 2)}


@pytest.mark.django_db
@pytest.mark.parametrize("names", ["text", []])
def test_names_are_a_list_of_at_least_one(names):
    class Misnamed(Workflow):
        @step
        def call(self):
            wait_for_any(names)

    assert finish(durable.start(Misnamed)).error["type"] in ("TypeError", "ValueError")


# --- What may be sent -----------------------------------------------------------------


@pytest.mark.django_db
def test_one_event_id_is_one_event_of_its_execution():
    one, other = durable.start(Twice), durable.start(Twice)

    first = durable.send_event(one, "news", 1, event_id="e-1")
    again = durable.send_event(one, "news", 99, event_id="e-1")
    elsewhere = durable.send_event(other, "news", 2, event_id="e-1")

    assert first.pk == again.pk != elsewhere.pk
    assert again.payload == 1
    assert Event.objects.count() == 2
    assert finish(one).status == "waiting"


@pytest.mark.django_db
def test_a_closed_execution_refuses_events_but_knows_those_it_had():
    execution = durable.start(Paid)
    event = durable.send_event(execution, "payment.success", 1, event_id="e-1")
    drain()

    with pytest.raises(ExecutionClosed):
        durable.send_event(execution, "payment.success", 2)
    again = durable.send_event(execution, "payment.success", 1, event_id="e-1")

    assert again.pk == event.pk
    assert Event.objects.count() == 1


@pytest.mark.django_db
def test_an_unknown_execution_gets_no_events():
    for unknown in ("00000000-0000-7000-8000-000000000000", "nonsense"):
        with pytest.raises(ExecutionNotFound):
            durable.send_event(unknown, "news")


# --- Bodies that run again ------------------------------------------------------------


@pytest.mark.django_db
def test_answers_are_found_by_name_and_not_by_position():
    script = [["a", "b"], ["c", "a", "b"], ["b", "c"]]

    class Edited(Workflow):
        @step
        def call(self):
            return {"got": {name: wait_for_event(name) for name in script[0]}}

    execution = finish(durable.start(Edited))
    durable.send_event(execution, "a", 1)
    drain()
    script.pop(0)
    durable.send_event(execution, "b", 2)
    execution = finish(execution)
    assert execution.waiting_for == "the event c"
    script.pop(0)
    durable.send_event(execution, "c", 3)

    assert finish(execution).result == {"got": {"b": 2, "c": 3}}


@pytest.mark.django_db
def test_what_was_answered_is_still_known_after_a_failed_attempt_and_a_retry():
    is_broken = [True]

    class Breaks(Workflow):
        @step(retry=Retry(max_attempts=2, base=seconds(0)))
        def call(self, ctx):
            got = wait_for_event("a")
            if is_broken[0]:
                raise ConnectionError
            return {"got": got, "attempt": ctx.attempt}

    execution = finish(durable.start(Breaks))
    durable.send_event(execution, "a", 1)
    assert finish(execution).status == "failed"
    is_broken[0] = False
    durable.retry(execution)

    assert finish(execution).result == {"got": 1, "attempt": 1}


@pytest.mark.django_db
def test_a_sleep_ends_at_its_time_and_not_with_an_event():
    class Rests(Workflow):
        @step
        def call(self):
            durable.sleep(hours(1))
            durable.sleep_until(NOON + hours(3))
            durable.sleep_until(NOON)
            return {"at": clock.now()}

    with clock.freeze(NOON) as time:
        execution = finish(durable.start(Rests))
        durable.send_event(execution, "a")
        assert "sleep" in execution.waiting_for
        time.advance(minutes(59))
        assert drain() == 0
        time.advance(minutes(1))
        execution = finish(execution)
        assert execution.available_at == NOON + hours(3)
        time.advance(hours(2))
        execution = finish(execution)

    assert execution.result == {"at": NOON + hours(3)}
