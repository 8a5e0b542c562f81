"""The people of the shop; the password of each is the name."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, Permission, User


def make_people() -> None:
    """Create who may look and who may decide; those who are there stay as they are."""
    finance, _ = Group.objects.get_or_create(name="finance")
    finance.permissions.add(
        *Permission.objects.filter(
            content_type__app_label__in=["shop", "django_durable"],
            codename__startswith="view_",
        )
    )
    service, _ = Group.objects.get_or_create(name="service")
    _make_user("admin", is_staff=True, is_superuser=True)
    _make_user("fiona", is_staff=True, first_name="Fiona").groups.add(finance)
    # She has no permission at all: that she is asked lets her answer.
    _make_user("selma", is_staff=True, first_name="Selma").groups.add(service)


def _make_user(name: str, **fields: Any) -> User:
    user, is_new = User.objects.get_or_create(username=name, defaults=fields)
    if is_new:
        user.set_password(name)
        user.save()
    return user
