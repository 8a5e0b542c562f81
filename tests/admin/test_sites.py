"""On a site of the project's own, beside Django's, links stay on the site."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.admin.sites import AdminSite
from django.urls import include, path

from django_durable import Workflow, step
from django_durable.admin import ExecutionAdmin
from django_durable.models import Execution
from tests.admin.rows import elements, make_execution
from tests.factories import fresh

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

operations = AdminSite(name="operations")
operations.register(Execution, ExecutionAdmin)

urlpatterns = [
    path("admin/", admin.site.urls),
    path("operations/", operations.urls),
    # The theme of the test project wants it.
    path("i18n/", include("django.conf.urls.i18n")),
]


class AdminSites(Workflow, name="admin_sites"):
    @step
    def work(self): ...


def links(client, address: str) -> set[str]:
    html = client.get(address).text
    return {
        str(value).partition("?")[0]
        for tag, attributes in elements(html)
        for key, value in attributes.items()
        if key in ("href", "action", "data-hx-get")
        if str(value).startswith(("/admin/", "/operations/"))
    }


def test_links_stay_on_the_site(boss):
    parent = make_execution()
    execution = make_execution(
        workflow="admin_sites", status="running", parent=parent, tags=["vip"]
    )
    root = "/operations/django_durable/execution/"
    tabs = ("steps", "family", "events", "history")
    page = f"{root}{execution.pk}/change/"

    for address in (
        root,
        *(f"{page}?tab={tab}" for tab in tabs),
        *(f"{page}?tab={tab}&_live=1" for tab in tabs),
        f"{root}{execution.pk}/do/cancel/",
    ):
        found = links(boss, address)
        assert "/operations/django_durable/execution/" in found or "_live" in address
        assert all(link.startswith("/operations/") for link in found), address


def test_actions_stay_on_the_site(boss):
    execution = make_execution(status="running")
    root = "/operations/django_durable/execution/"

    found = boss.post(f"{root}{execution.pk}/do/pause/", {"confirmed": "yes"})

    assert found.headers["Location"] == f"{root}{execution.pk}/change/"
    assert fresh(execution).status == "paused"
