"""Links that answer one input request: made by code for somebody, signed, and expiring."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.core.signing import BadSignature, Signer
from django.urls import NoReverseMatch, reverse

from django_durable import clock
from django_durable.conf import AnswerLinkSettings, get_instances, get_settings
from django_durable.models import InputRequest

TOKEN = "token"  # noqa: S105
"""The parameter of the query that holds what is signed.

Not a part of the path, which Django logs for every answer that is no success.
"""

_SALT = "django_durable.doors.answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What a link says: which question, for whom, made when, and for how long."""

    input_id: UUID
    durable: str
    user: str | None
    made_at: datetime
    max_age: timedelta

    def is_expired(self, settings: AnswerLinkSettings) -> bool:
        """Say whether it is too old; a ``max_age`` that was lowered since counts too."""
        return clock.now() >= self.made_at + min(self.max_age, settings.max_age)


def answer_link(
    asked: InputRequest, *, user: Any = None, max_age: timedelta | None = None
) -> str:
    """Return a link with which whoever has it answers ``asked``, once.

    The link is the permission: hand it to nobody else. ``user`` is recorded as who
    answered, and must be active then. ``max_age`` is at most that of the settings. The
    link is a path only as long as ``ANSWER_LINKS`` has no ``base_url``.
    """
    durable = _instance_of(asked)
    settings = get_settings(durable).answer_links
    if settings is None:
        raise ImproperlyConfigured(
            f'DURABLE["{durable}"] has no ANSWER_LINKS, so nobody could open a link. '
            'Write "ANSWER_LINKS": {"base_url": "https://…"}.'
        )
    age = settings.max_age if max_age is None else max_age
    token = Signer(salt=_SALT).sign_object(
        [
            asked.pk.hex,
            durable,
            None if user is None else user._meta.pk.value_to_string(user),
            int(clock.now().timestamp()),
            int(age.total_seconds()),
        ]
    )
    query = urlencode({TOKEN: token})
    return f"{settings.base_url.rstrip('/')}{_path()}?{query}"


def read(token: str) -> Link | None:
    """Return what a token says, or ``None`` for one that was not made here."""
    try:
        input_id, durable, user, made_at, age = Signer(salt=_SALT).unsign_object(token)
    except BadSignature:
        return None
    return Link(
        input_id=UUID(hex=input_id),
        durable=durable,
        user=user,
        made_at=datetime.fromtimestamp(made_at, UTC),
        max_age=timedelta(seconds=age),
    )


def find_user(key: str) -> Any:
    """Return the user a link stands for, if there is one still who is active."""
    found = get_user_model()._default_manager.filter(pk=key).first()
    return found if found is not None and found.is_active else None


def _instance_of(asked: InputRequest) -> str:
    """Return the instance whose database an input request was read from."""
    database = asked._state.db
    for name in get_instances():
        if get_settings(name).database == database:
            return name
    raise ValueError(f"{asked} was read from {database!r}, which no instance uses.")


def _path() -> str:
    try:
        return reverse("django_durable:answer")
    except NoReverseMatch:
        raise ImproperlyConfigured(
            "No URL leads to the links that answer. Add to urlpatterns: "
            'path("durable/", include("django_durable.urls")).'
        ) from None
