"""Events from outside: signed ones arrive once, and others learn nothing."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.db import connection, connections, transaction
from django.test import Client
from django.urls import reverse

import django_durable as durable
from django_durable import WaitForEvent, Workflow, clock, step
from django_durable.models import Event
from tests.factories import NOON, finish, fresh, wait_until_somebody_waits

pytestmark = pytest.mark.django_db

KEY = "a key that both sides have, and nobody else"
OLD_KEY = "the key that was used before this one was"
STRANGERS_KEY = "a key that somebody else has thought of"


@pytest.fixture(autouse=True)
def time(settings):
    settings.DURABLE = {
        "default": {
            "WEBHOOK": {"keys": [KEY, OLD_KEY], "tolerance": 60},
            "MAX_PAYLOAD_BYTES": 1000,
        }
    }
    with clock.freeze(NOON) as frozen:
        yield frozen


class Listens(Workflow, name="doors_listens"):
    paid = WaitForEvent("paid")

    @step
    def tell(self, paid):
        return {"told": paid}


@pytest.fixture
def execution():
    return finish(durable.start(Listens))


def send(
    execution,
    name="paid",
    payload=None,
    *,
    body=None,
    key=KEY,
    at=None,
    event_id=None,
    prefix="/durable/",
    signed=None,
    client=None,
):
    """Send as another program would, which has nothing but the key."""
    if body is None:
        body = json.dumps(payload).encode()
    timestamp = str(int((at or clock.now()).timestamp()))
    id_ = getattr(execution, "pk", execution)
    text = signed or f"{timestamp}\n{event_id or ''}\n{id_}\n{name}\n".encode() + body
    mac = hmac.new(key.encode(), text, hashlib.sha256).hexdigest()
    headers = {"Durable-Timestamp": timestamp, "Durable-Signature": f"v1={mac}"}
    if event_id is not None:
        headers["Durable-Event-Id"] = event_id
    return (client or Client(enforce_csrf_checks=True)).post(
        f"{prefix}events/{id_}/{quote(name)}",
        body,
        content_type="application/json",
        headers=headers,
    )


# --- What arrives ---------------------------------------------------------------------


def test_a_signed_event_arrives_and_is_taken(execution):
    response = send(execution, payload={"amount": 12, "note": "Ö"})

    event = Event.objects.get()
    assert response.status_code == 202
    assert response.json() == {"event": str(event.pk), "created": True, "taken": True}
    assert "no-store" in response["Cache-Control"]
    assert finish(execution).result["told"] == {"amount": 12, "note": "Ö"}


@pytest.mark.parametrize("name", ["paid", "payment.paid", "a/b c", "ö:1", "100%"])
def test_an_event_may_have_any_name(execution, name):
    response = send(execution, name)

    assert response.status_code == 202
    assert response.json()["taken"] is (name == "paid")
    assert Event.objects.get().name == name


@pytest.mark.parametrize(
    ("body", "payload"),
    [
        (b"", None),
        (b"null", None),
        (b'"text"', "text"),
        (b"[1, 2.5, true]", [1, 2.5, True]),
        (b'{"$type": "uuid", "value": 1}', {"$type": "uuid", "value": 1}),
    ],
)
def test_the_payload_is_the_body_as_json(execution, body, payload):
    assert send(execution, body=body).status_code == 202

    assert Event.objects.get().payload == payload


def test_each_of_the_keys_opens_the_door(execution):
    assert send(execution, key=OLD_KEY).status_code == 202
    assert send(execution, key=STRANGERS_KEY).status_code == 401


def test_an_event_that_is_delivered_again_is_one_event(execution, time):
    first = send(execution, payload=1, event_id="evt-1")
    time.advance(timedelta(minutes=5))
    again = send(execution, payload=1, event_id="evt-1")

    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json()["event"] == first.json()["event"]
    assert again.json()["created"] is False
    assert Event.objects.get().event_id == "evt-1"


def test_a_request_that_somebody_has_recorded_and_sends_again_is_one_event(
    execution, time
):
    sent_at = time.instant
    assert send(execution, payload=1).status_code == 202
    time.advance(timedelta(seconds=30))

    assert send(execution, payload=1, at=sent_at).status_code == 200
    # A second later it is another one, as its sender has signed it anew.
    later = sent_at + timedelta(seconds=1)
    assert send(execution, payload=1, at=later).status_code == 202
    assert Event.objects.count() == 2


def test_a_known_event_is_known_even_when_the_execution_has_ended(execution):
    assert send(execution, event_id="evt-1").status_code == 202
    assert finish(execution).status == "completed"

    assert send(execution, event_id="evt-1").status_code == 200
    assert send(execution, event_id="evt-2").status_code == 409


# --- What does not --------------------------------------------------------------------


def test_strangers_learn_nothing(execution, django_assert_num_queries):
    """All of them get the same answer, and no question is asked to the database."""
    nobody = "00000000-0000-7000-8000-000000000000"
    stale = clock.now() - timedelta(seconds=61)
    early = clock.now() + timedelta(seconds=61)

    def path(id_):
        return f"/durable/events/{id_}/paid"

    with django_assert_num_queries(0):
        responses = [
            send(execution, key=STRANGERS_KEY),
            send(nobody, key=STRANGERS_KEY),
            send("nonsense", key=STRANGERS_KEY),
            send(execution, at=stale),
            send(execution, at=early),
            send(execution, body=b"{", key=STRANGERS_KEY),
            send(execution, "x" * 600, key=STRANGERS_KEY),
            Client().post(path(execution.pk)),
            Client().post(path(nobody), {"a": 1}),
            Client().post(path(execution.pk), headers={"Durable-Signature": "v1="}),
            Client().post(path(nobody), headers={"Durable-Signature": "ö"}),
        ]

    bodies = {response.content for response in responses}
    assert {response.status_code for response in responses} == {401}
    assert len(bodies) == 1
    assert responses[0].json()["error"] == "unauthorized"
    assert "WWW-Authenticate" in responses[0]
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    "timestamp", ["", "x", "-1", "1.5", " ", "٣", "9" * 400, "1e9", "+1900000000"]
)
def test_a_timestamp_is_a_number_of_seconds(execution, timestamp):
    text = f"{timestamp}\n\n{execution.pk}\npaid\n".encode()
    mac = hmac.new(KEY.encode(), text, hashlib.sha256).hexdigest()

    response = Client().post(
        f"/durable/events/{execution.pk}/paid",
        b"",
        content_type="application/json",
        headers={"Durable-Timestamp": timestamp, "Durable-Signature": f"v1={mac}"},
    )

    assert response.status_code == 401


def test_all_of_a_request_is_signed(execution, time):
    """What somebody has recorded can be sent nowhere else, nor as something else."""
    other = finish(durable.start(Listens))
    at = str(int(time.instant.timestamp()))

    def signed(execution=execution, name="paid", event_id="", body=b"1", at=at):
        return f"{at}\n{event_id}\n{execution.pk}\n{name}\n".encode() + body

    for changed in (
        signed(execution=other),
        signed(name="news"),
        signed(event_id="evt-2"),
        signed(body=b"2"),
        signed(at="1"),
    ):
        assert send(execution, body=b"1", signed=changed).status_code == 401
    assert send(execution, body=b"1", signed=signed()).status_code == 202


@pytest.mark.parametrize("prefix", ["", "v0=", "v2=", "V1=", "v1=v1="])
def test_a_signature_says_its_version(execution, prefix):
    at = str(int(clock.now().timestamp()))
    text = f"{at}\n\n{execution.pk}\npaid\n".encode()
    mac = hmac.new(KEY.encode(), text, hashlib.sha256).hexdigest()
    headers = {"Durable-Timestamp": at, "Durable-Signature": f"{prefix}{mac}"}

    response = Client().post(
        f"/durable/events/{execution.pk}/paid",
        b"",
        content_type="application/json",
        headers=headers,
    )

    assert response.status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{'a': 1}",
        b"\xff\xfe\xfa",
        b"NaN",
        b"[" * 900,
        b'"\\u0000"',
        b'"\\ud800"',
        b"1" * 999,
        b"[" * 200 + b"]" * 200,
    ],
)
def test_a_body_that_cannot_be_stored_is_a_bad_request(execution, body):
    response = send(execution, body=body)

    is_fine = response.status_code == 202 and body == b"1" * 999
    assert response.status_code == 400 or is_fine
    assert Event.objects.exists() is is_fine


@pytest.mark.parametrize(
    ("name", "event_id"), [("x" * 501, None), ("paid", "x" * 256), ("a\u0000b", None)]
)
def test_a_name_or_an_id_that_cannot_be_stored_is_a_bad_request(
    execution, name, event_id
):
    response = send(execution, name, event_id=event_id)

    assert response.status_code == 400
    assert response.json()["error"] == "invalid"
    assert not Event.objects.exists()


def test_only_whoever_signs_is_told_what_is_wrong(execution):
    durable.cancel(execution)

    ended = send(execution)
    assert (ended.status_code, ended.json()["error"]) == (409, "execution_closed")
    assert "cancelled" in ended.json()["message"]
    for nobody in ("00000000-0000-7000-8000-000000000000", "nonsense"):
        missing = send(nobody)
        assert (missing.status_code, missing.json()["error"]) == (
            404,
            "execution_not_found",
        )


def test_what_is_too_large_is_not_read(execution, settings):
    assert send(execution, body=b"1" + b" " * 999).status_code == 202
    response = send(execution, body=b"1" + b" " * 1000)
    assert (response.status_code, response.json()["error"]) == (413, "too_large")

    lying = Client().post(
        f"/durable/events/{execution.pk}/paid",
        b"",
        content_type="application/json",
        headers={"Content-Length": "9" * 30},
    )
    assert lying.status_code == 413
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    assert send(execution, body=b"1" + b" " * 200).status_code == 413
    assert Event.objects.count() == 1


@pytest.mark.parametrize("method", ["get", "head", "put", "delete", "patch", "options"])
def test_only_a_post_sends(execution, method):
    response = getattr(Client(), method)(f"/durable/events/{execution.pk}/paid")

    assert response.status_code == 405
    assert response["Allow"] == "POST"


def test_without_the_setting_there_is_no_door(execution, settings):
    settings.DURABLE = {"default": {}}

    for response in (send(execution), Client().get("/durable/events/x/paid")):
        assert response.status_code == 404
        assert response.json()["error"] == "not_found"
    assert not Event.objects.exists()


def test_another_instance_is_named_in_the_path(execution):
    path = reverse("django_durable:event", args=["default", execution.pk, "paid"])
    assert path == f"/durable/default/events/{execution.pk}/paid"

    assert send(execution, prefix="/durable/default/").status_code == 202
    assert send(execution, prefix="/durable/nowhere/").status_code == 404


def test_a_key_is_in_no_text_about_the_settings(settings):
    from django_durable.conf import get_settings

    assert KEY not in repr(get_settings())


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(
    connection.vendor != "postgresql", reason="a transaction locks all of SQLite"
)
def test_of_two_deliveries_at_once_one_is_an_event(execution):
    codes: list[int] = []

    def deliver():
        try:
            codes.append(send(execution, event_id="evt-1").status_code)
        finally:
            connections.close_all()

    with transaction.atomic():
        durable.send_event(execution, "paid", event_id="evt-1")
        thread = threading.Thread(target=deliver)
        thread.start()
        wait_until_somebody_waits()
    thread.join(20)

    assert codes == [200]
    assert Event.objects.count() == 1
    assert fresh(execution).status == "pending"
