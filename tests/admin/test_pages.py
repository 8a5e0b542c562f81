"""Pages in the list of the app that show no table."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.sites import AdminSite
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import models
from django.test import RequestFactory
from django.utils.translation import gettext_lazy as _

from django_durable.admin.pages import PageAdmin, page
from django_durable.admin.registration import ExecutionAdmin
from django_durable.models import Execution

Summary = page("summary", _("Summary"), comes_first=True)


class SummaryAdmin(PageAdmin):
    template = "admin/django_durable/page.html"

    def get_page_context(self, request: Any) -> dict[str, Any]:
        return {"content": "all is well"}


@pytest.fixture
def site() -> AdminSite:
    site = AdminSite()
    site.register(Execution, ExecutionAdmin)
    site.register(Summary, SummaryAdmin)
    return site


def request_of(user: User) -> Any:
    request = RequestFactory().get("/")
    request.user = user
    return request


@pytest.mark.django_db
def test_a_page_can_come_first_in_the_list_of_the_app(site):
    request = request_of(User.objects.create_superuser("boss"))

    (app,) = site._build_app_dict(request).values()
    names = sorted(model["name"] for model in app["models"])

    assert [name.strip() for name in names] == ["Summary", "Executions"]


@pytest.mark.django_db
def test_a_page_is_shown_to_those_who_may_see_executions(site, login):
    request = request_of(User.objects.create_user("nobody", is_staff=True))

    with pytest.raises(PermissionDenied):
        site._registry[Summary].page_view(request)

    assert site._build_app_dict(request) == {}


def test_no_migration_and_no_permission_knows_a_page():
    from django.apps import apps

    assert issubclass(Summary, models.Model)
    assert "summary" not in apps.all_models["django_durable"]


def test_a_page_has_the_address_of_a_list(site):
    (pattern,) = site._registry[Summary].get_urls()

    assert pattern.name == "django_durable_summary_changelist"
    assert str(pattern.pattern) == ""
