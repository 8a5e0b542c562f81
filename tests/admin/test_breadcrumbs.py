"""The way to a page begins at the first page of the admin, and passes it once."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

import django_durable as durable
from django_durable import WaitForApproval, Workflow
from django_durable.models import InputRequest
from tests.factories import drain

HOME = reverse("admin:index")


class FoundByCrumbs(Workflow):
    agreed = WaitForApproval()


def crumbs_of(html: str) -> list[str]:
    """Return what leads to a page, as Django before 6.1 and since then writes it."""
    found = re.search(r'class="breadcrumbs">(.*?)</(?:div|ol)>', html, re.DOTALL)
    return re.findall(r'<a href="([^"]*)"', found[1])


@pytest.mark.django_db
def test_every_page_is_found_from_home_through_the_app(boss):
    execution = durable.start(FoundByCrumbs)
    schedule = durable.schedule(FoundByCrumbs, "0 3 * * *", name="nightly")
    drain()
    question = InputRequest.objects.get()

    for view, args in [
        ("overview_changelist", ()),
        ("worker_changelist", ()),
        ("execution_change", (execution.pk,)),
        ("execution_act", (execution.pk, "cancel")),
        ("inputrequest_change", (question.pk,)),
        ("workflow_changelist", ()),
        ("workflow_change", ("found_by_crumbs",)),
        ("workflow_start", ("found_by_crumbs",)),
        ("schedule_add", ()),
        ("schedule_change", (schedule.pk,)),
        ("schedule_act", (schedule.pk, "edit")),
    ]:
        address = reverse(f"admin:django_durable_{view}", args=args)
        crumbs = crumbs_of(boss.get(address).text)
        assert crumbs[0] == HOME, view
        assert crumbs[1] == reverse("admin:app_list", args=["django_durable"]), view
        assert len(crumbs) == len(set(crumbs)), view
