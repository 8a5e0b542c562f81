"""Events: kept until a wait takes them."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from django_durable import clock
from django_durable.models import Event
from django_durable.models.fields import Encoded
from django_durable.store import executions, waits
from django_durable.types import JSON


def send(
    execution_id: UUID, name: str, payload: JSON, *, event_id: str | None, using: str
) -> Event:
    """Append an event, and hand it to the oldest open wait that asks for its name.

    The execution's row is locked first, so that of two senders one comes first, and a
    wait that is being opened either sees the event or is seen by it.
    """
    with transaction.atomic(using=using):
        row = executions.lock_workflow(execution_id, using=using)
        if event_id is not None:
            known = Event.objects.using(using).filter(execution=row, event_id=event_id)
            if found := known.first():
                found.created = False  # type: ignore[misc]
                return found
        executions.refuse_closed(row)
        event = Event(
            execution=row,
            name=name,
            payload=Encoded(payload),
            event_id=event_id,
            created_at=clock.db_now(),
        )
        event.save(using=using, force_insert=True)
        for wait in waits.waiting_for(name, row.pk, using=using):
            if waits.offer(wait, using=using):
                break
    event.refresh_from_db(using=using)
    return event
