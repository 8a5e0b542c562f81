"""Who may answer what an execution asks: users, groups and permissions of Django."""

from __future__ import annotations

from typing import Any

from django.db.models import BooleanField, ExpressionWrapper, F, Q, QuerySet, Value
from django.db.models.expressions import Combinable, OrderBy

from django_durable.models import InputRequest

OPEN_TO_ALL = Q(username="", group="", permission="")
"""An input that names nobody is for everyone with ``PERMISSION``."""

PERMISSION = "django_durable.provide_input"


def may_answer(user: Any, request: InputRequest) -> bool:
    """Say whether ``user`` may answer an input: named, in the group, or permitted."""
    if not user.is_active:
        return False
    if user.is_superuser or user.get_username() in {request.username} - {""}:
        return True
    if request.permission and user.has_perm(request.permission):
        return True
    if request.group and user.groups.filter(name=request.group).exists():
        return True
    is_open = not (request.username or request.group or request.permission)
    return is_open and user.has_perm(PERMISSION)


def why_not(user: Any, request: InputRequest) -> str:
    """Say why a user may not answer an input."""
    if user.is_active:
        return f"{user} may not answer {request.name!r}; {who_may_answer(request)}."
    return f"{user} may not answer {request.name!r}: that is no active account."


def answerable_by(found: QuerySet[InputRequest], user: Any) -> QuerySet[InputRequest]:
    """Narrow ``found`` to what ``user`` may answer; says what ``may_answer`` says."""
    may = _may_answer(user, _is_for(user))
    if isinstance(may, bool):
        return found if may else found.none()
    return found.filter(may)


def judged(found: QuerySet[InputRequest], user: Any) -> QuerySet[Any, Any]:
    """Read with each input whether it ``is_mine`` and whether it ``is_answerable``.

    Mine is what names the user or a group of theirs; of what is closed both are said as
    if it were open.
    """
    is_for = _is_for(user)
    return found.annotate(
        is_mine=_flag(is_for if user.is_active else False),
        is_answerable=_flag(_may_answer(user, is_for)),
    )


def soonest() -> tuple[str | OrderBy, ...]:
    """Return the order to answer in what is ``judged``.

    Mine comes first; of it and of the rest what times out soonest.
    """
    return ("-is_mine", F("until").asc(nulls_last=True), "id")


def inbox(found: QuerySet[InputRequest], user: Any) -> QuerySet[Any, Any]:
    """Narrow ``found`` to what ``user`` may answer, in the order to answer it in."""
    return judged(found, user).filter(is_answerable=True).order_by(*soonest())


def mine(found: QuerySet[InputRequest], user: Any) -> QuerySet[InputRequest]:
    """Narrow ``found`` to what ``user`` is asked by name or as member of a group."""
    return answerable_by(found, user).filter(_is_for(user))


def count_up_to(most: int, found: QuerySet[InputRequest]) -> int:
    """Return how many open inputs there are, counting no further than ``most``."""
    # In the order of the index of what is open: a database that looks for any few of
    # them may read all that was ever closed before it comes to the first.
    return len(found.order_by("until", "id").values_list("pk", flat=True)[:most])


def _may_answer(user: Any, is_for: Q) -> Q | bool:
    if not user.is_active or user.is_superuser:
        return bool(user.is_active)
    allowed = is_for | Q(permission__in=sorted(user.get_all_permissions()))
    allowed &= ~OPEN_TO_ALL
    return allowed | OPEN_TO_ALL if user.has_perm(PERMISSION) else allowed


def _flag(condition: Q | bool) -> Combinable:
    if isinstance(condition, bool):
        return Value(condition, output_field=BooleanField())
    return ExpressionWrapper(condition, output_field=BooleanField())


def _is_for(user: Any) -> Q:
    """Return which inputs name this user, or a group that the user is in."""
    # Read first, for users may live in another database.
    groups = list(user.groups.values_list("name", flat=True))
    return Q(username=user.get_username()) & ~Q(username="") | Q(group__in=groups)


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
