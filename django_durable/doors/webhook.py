"""The webhook: an event from outside, signed with a key that both sides have.

Whoever has no key learns nothing: no execution is looked for before the signature is
found to be right.
"""

from __future__ import annotations

import json
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from django_durable import clock
from django_durable.api.operating import send_event
from django_durable.conf import Settings, WebhookSettings, get_instances, get_settings
from django_durable.doors.signatures import Message, is_signed
from django_durable.exceptions import ExecutionClosed, ExecutionNotFound
from django_durable.models import Event

TIMESTAMP = "Durable-Timestamp"
SIGNATURE = "Durable-Signature"
EVENT_ID = "Durable-Event-Id"

_LONGEST_TIMESTAMP, _LONGEST_LENGTH = 12, 15


class Refused(Exception):
    """A request is not served; ``status`` and ``error`` say why to programs."""

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error = error


@never_cache
@csrf_exempt
def receive(
    request: HttpRequest, execution: str, name: str, durable: str = "default"
) -> HttpResponse:
    """Send an event to an execution, if the request is signed."""
    try:
        settings, door = _door(durable, request.method)
        message = Message(
            timestamp=request.headers.get(TIMESTAMP, ""),
            execution=execution,
            name=name,
            event_id=request.headers.get(EVENT_ID, ""),
            body=_body(request, settings.max_payload_bytes),
        )
        _refuse_strangers(message, request.headers.get(SIGNATURE, ""), door)
        event = _send(message, durable)
    except Refused as refused:
        return _refusal(refused)
    told = {
        "event": str(event.pk),
        "created": event.created,
        "taken": event.taken_by_id is not None,
    }
    return JsonResponse(told, status=202 if event.created else 200)


def _door(durable: str, method: str | None) -> tuple[Settings, WebhookSettings]:
    """Return the settings of an instance whose webhook is open."""
    settings = get_settings(durable) if durable in get_instances() else None
    if settings is None or settings.webhook is None:
        raise Refused(404, "not_found", "There is nothing here.")
    if method != "POST":
        raise Refused(405, "method_not_allowed", "Send a POST.")
    return settings, settings.webhook


def _body(request: HttpRequest, limit: int) -> bytes:
    """Return the body, of which no more than the limit is ever read."""
    announced = request.META.get("CONTENT_LENGTH") or "0"
    is_fine = len(announced) <= _LONGEST_LENGTH and announced.isdecimal()
    try:
        if is_fine and int(announced) <= limit and len(request.body) <= limit:
            return request.body
    except RequestDataTooBig:
        # DATA_UPLOAD_MAX_MEMORY_SIZE is smaller.
        pass
    raise Refused(413, "too_large", "The body is larger than this site takes.")


def _refuse_strangers(message: Message, signature: str, door: WebhookSettings) -> None:
    """Refuse what no key has signed, and what was signed too long ago, alike."""
    if not (
        is_signed(message, signature, door.keys)
        and _is_recent(message.timestamp, door.tolerance)
    ):
        raise Refused(
            401,
            "unauthorized",
            "The signature is missing or wrong, or the timestamp too far from now.",
        )


def _is_recent(timestamp: str, tolerance: float) -> bool:
    if not timestamp.isdecimal() or len(timestamp) > _LONGEST_TIMESTAMP:
        return False
    return abs(clock.now().timestamp() - int(timestamp)) <= tolerance


def _send(message: Message, durable: str) -> Event:
    payload = _payload(message.body)
    try:
        return send_event(
            message.execution,
            message.name,
            payload,
            # The same request twice is a replay, and one event.
            event_id=message.event_id or f"signed:{message.digest()}",
            durable=durable,
        )
    except ExecutionNotFound as error:
        raise Refused(404, "execution_not_found", str(error)) from None
    except ExecutionClosed as error:
        raise Refused(409, "execution_closed", str(error)) from None
    except (TypeError, ValueError) as error:
        raise Refused(400, "invalid", str(error)) from None


def _payload(body: bytes) -> Any:
    """Return the payload of an event; without a body it has none."""
    if not body:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "invalid_json", "The body is no JSON.") from None


def _refusal(refused: Refused) -> HttpResponse:
    told = {"error": refused.error, "message": str(refused)}
    response = JsonResponse(told, status=refused.status)
    if refused.status == 405:
        response["Allow"] = "POST"
    elif refused.status == 401:
        response["WWW-Authenticate"] = "Durable-Signature"
    return response
