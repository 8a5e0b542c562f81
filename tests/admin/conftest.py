"""Staff with some permissions, and the browser of each."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

APP = "django_durable"

Login = Callable[..., Client]


@pytest.fixture
def login(db: None) -> Login:
    """Return the browser of a member of the staff who has these permissions."""
    from django.contrib.auth.models import Group, Permission, User

    def login(
        *permissions: str, name: str = "sam", groups: tuple[str, ...] = ()
    ) -> Client:
        user = User.objects.create_user(name, is_staff=True)
        for group in groups:
            user.groups.add(Group.objects.get_or_create(name=group)[0])
        for codename in permissions:
            user.user_permissions.add(
                Permission.objects.get(content_type__app_label=APP, codename=codename)
            )
        client = Client()
        client.force_login(user)
        return client

    return login


@pytest.fixture
def boss(db: None) -> Client:
    """Return the browser of a superuser."""
    from django.contrib.auth.models import User

    user = User.objects.create_superuser("boss")
    client = Client()
    client.force_login(user)
    return client
