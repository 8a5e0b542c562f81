"""Who may answer what an execution asks: users, groups and permissions of Django."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet

from django_durable.models import InputRequest

OPEN_TO_ALL = Q(username="", group="", permission="")
"""An input that names nobody is for everyone with ``PERMISSION``."""

PERMISSION = "django_durable.provide_input"


def may_answer(user: Any, request: InputRequest) -> bool:
    """Say whether ``user`` may answer an input: named, in the group, or permitted."""
    if not user.is_active:
        return False
    if user.is_superuser or user.get_username() == request.username:
        return True
    if request.permission and user.has_perm(request.permission):
        return True
    if request.group and user.groups.filter(name=request.group).exists():
        return True
    is_open = not (request.username or request.group or request.permission)
    return is_open and user.has_perm(PERMISSION)


def answerable_by(found: QuerySet[InputRequest], user: Any) -> QuerySet[InputRequest]:
    """Narrow ``found`` to what ``user`` may answer; says what ``may_answer`` says."""
    if not user.is_active:
        return found.none()
    if user.is_superuser:
        return found
    allowed = Q(username=user.get_username()) | Q(
        group__in=list(user.groups.values_list("name", flat=True))
    )
    allowed |= Q(permission__in=sorted(user.get_all_permissions()))
    allowed &= ~OPEN_TO_ALL
    if user.has_perm(PERMISSION):
        allowed |= OPEN_TO_ALL
    return found.filter(allowed)


def who_may_answer(request: InputRequest) -> str:
    """Say in words who may answer an input."""
    roles = [
        f"{role} {value}"
        for role, value in (
            ("user", request.username),
            ("group", request.group),
            ("everyone with permission", request.permission),
        )
        if value
    ]
    return (
        f"it is for {' or '.join(roles)}"
        if roles
        else ("it is for everyone with permission django_durable.provide_input")
    )
