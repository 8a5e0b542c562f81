"""Durable calls that wait for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal

from django_durable import codec, forms
from django_durable.runtime.asking import wait_for
from django_durable.types import MISSING, InputType, WaitKind


def wait_for_input(
    name: str,
    type: InputType | str = "text",  # noqa: A002
    prompt: str = "",
    fields: Sequence[Mapping[str, Any]] | None = None,
    choices: Sequence[Any] | None = None,
    form: type | None = None,
    metadata: Any = None,
    user: Any = None,
    group: str | None = None,
    permission: str | None = None,
    timeout: timedelta | None = None,
    timeout_value: Any = MISSING,
    on_timeout: Literal["resume", "fail"] = "resume",
) -> Any:
    """Wait until a person answers, and return what was entered.

    ``user`` (or its user name), ``group`` (a name) and ``permission``
    (``"app.codename"``) say who may answer; any one of those given is enough.
    ``metadata`` is what the person should see. ``on_timeout="fail"`` fails the step
    without retry.
    """
    if on_timeout not in ("resume", "fail"):
        raise ValueError(f"on_timeout={on_timeout!r}: use 'resume' or 'fail'.")
    asked = _asked(
        {"type": str(type), "prompt": _text(prompt, "prompt"), "form": form},
        {"choices": choices, "fields": fields, "metadata": metadata},
        {"username": user, "group": group, "permission": permission},
    )
    return wait_for(
        WaitKind.INPUT,
        codec.check_name(name),
        (),
        timeout,
        timeout_value,
        f"{asked['type']} {name}{_whom(asked)}",
        asked=asked,
        fails_step=on_timeout == "fail",
    )


def _asked(
    texts: Mapping[str, Any], payloads: Mapping[str, Any], who: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what is stored of a question, after checking that it can be answered."""
    form = texts["form"]
    description = {
        **texts,
        "form": forms.form_path(form) if form else "",
        **{key: codec.encode(value, name=key) for key, value in payloads.items()},
    }
    forms.check_description(description)
    return {
        **description,
        **_who(
            user=_username(who["username"]),
            group=getattr(who["group"], "name", who["group"]),
            permission=who["permission"],
        ),
    }


def _who(*, user: str, group: str | None, permission: str | None) -> dict[str, str]:
    """Return who may answer, as it is stored: empty for what was not said."""
    if user:
        codec.check_name(user, "user", limit=codec.MAX_KEY)
    if group:
        codec.check_name(group, "group", limit=150)
    if permission:
        codec.check_name(permission, "permission", limit=codec.MAX_KEY)
    return {"username": user, "group": group or "", "permission": permission or ""}


def wait_for_approval(name: str, **options: Any) -> Any:
    """Wait until a person decides; return ``"approved"`` or ``"rejected"``."""
    return wait_for_input(name, type=InputType.APPROVAL, **options)


def wait_for_choice(name: str, choices: Sequence[Any], **options: Any) -> Any:
    """Wait until a person chooses one of ``choices``; return the value."""
    return wait_for_input(name, type=InputType.CHOICE, choices=choices, **options)


def wait_for_text(name: str, **options: Any) -> Any:
    """Wait until a person enters a text; return it."""
    return wait_for_input(name, type=InputType.TEXT, **options)


def wait_for_form(name: str, **options: Any) -> Any:
    """Wait until a person fills in ``fields`` or ``form``; return the cleaned data."""
    return wait_for_input(name, type=InputType.FORM, **options)


def _text(text: Any, name: str) -> str:
    """Return a text, lazy ones included, if it can be stored."""
    codec.encode(str(text), name=name)
    return str(text)


def _username(user: Any) -> str:
    if user is None:
        return ""
    return str(user.get_username()) if hasattr(user, "get_username") else str(user)


def _whom(asked: Mapping[str, Any]) -> str:
    parts = [
        f"{role} {asked[key]}"
        for role, key in (("user", "username"), ("group", "group"))
        if asked[key]
    ]
    if asked["permission"]:
        parts.append(f"anyone with {asked['permission']}")
    return f" by {' or '.join(parts)}" if parts else ""
