"""Who may see and do what: each view as anonymous, as staff, with each permission."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from django_durable import Workflow, step
from django_durable.models import Execution
from tests.admin.rows import (
    act_url,
    list_url,
    make_event,
    make_execution,
    make_input,
    make_step,
    make_wait,
    page_url,
    stored_url,
)

pytestmark = pytest.mark.django_db

WORD = "sesame"
PERMISSIONS = (
    "view_execution",
    "view_payload",
    "operate_execution",
    "start_execution",
    "delete_execution",
    "provide_input",
)
TABS = ("graph", "timeline", "steps", "logs", "data", "family", "events", "history")

# What each view needs besides view_execution; an operation with a status that allows it.
OPERATIONS = {
    "cancel": ("operate_execution", "running"),
    "pause": ("operate_execution", "running"),
    "send-event": ("operate_execution", "running"),
    "resume": ("operate_execution", "paused"),
    "retry": ("operate_execution", "failed"),
    "start-again": ("start_execution", "failed"),
    "delete": ("delete_execution", "failed"),
}


class AdminRows(Workflow, name="admin_rows"):
    @step
    def ship(self): ...


@pytest.fixture
def execution() -> Execution:
    found = make_execution(
        status="running",
        input={"word": WORD},
        data={"word": WORD},
        error={
            "type": "E",
            "message": "no",
            "step": "ship",
            "details": {"word": WORD},
        },
    )
    make_step(found, output={"word": WORD}, error={"type": "E", "details": {"w": WORD}})
    wait = make_wait(found, status="satisfied")
    make_input(found, wait, status="satisfied", answer=WORD, metadata={"word": WORD})
    make_event(found, payload={"word": WORD})
    return found


def addresses(execution: Execution) -> list[str]:
    return [
        list_url(),
        list_url(_live="1"),
        *(page_url(execution, tab=tab) for tab in TABS),
        *(page_url(execution, tab=tab, _live="1") for tab in TABS),
    ]


def payload_addresses(execution: Execution) -> list[str]:
    return [
        stored_url(execution, "input"),
        stored_url(execution, "data"),
        stored_url(execution, "step", execution.steps.get().pk),
        stored_url(execution, "event", execution.events.get().pk),
        stored_url(execution, "answer", execution.inputs.get().pk),
        stored_url(execution, "metadata", execution.inputs.get().pk),
    ]


def everything(execution: Execution) -> list[str]:
    acts = [act_url(execution, name) for name in OPERATIONS]
    return [*addresses(execution), *payload_addresses(execution), *acts]


def test_anonymous_people_are_asked_to_log_in(execution):
    for address in everything(execution):
        found = Client().get(address)
        assert found.status_code == 302
        assert found.headers["Location"].startswith("/admin/login/")


def test_people_who_are_no_staff_are_asked_to_log_in(execution):
    client = Client()
    client.force_login(User.objects.create_user("customer"))

    for address in everything(execution):
        assert client.get(address).status_code == 302


def test_staff_without_permissions_see_nothing(execution, login):
    client = login()

    for address in everything(execution):
        assert client.get(address).status_code == 403
    assert "Executions" not in client.get("/admin/").text


@pytest.mark.parametrize(
    "permission", [one for one in PERMISSIONS if one != "view_execution"]
)
def test_no_other_permission_lets_see_or_do_anything_alone(
    execution, login, permission
):
    client = login(permission)

    for address in everything(execution):
        assert client.get(address).status_code == 403
        assert client.post(address).status_code in (403, 405)


def test_to_view_is_to_see_every_page_and_no_payload(execution, login):
    client = login("view_execution")

    for address in addresses(execution):
        found = client.get(address)
        assert found.status_code == 200
        assert WORD not in found.text
    for address in payload_addresses(execution):
        assert client.get(address).status_code == 403
    assert "Hidden" in client.get(page_url(execution, tab="data")).text


def test_payloads_are_seen_with_the_permission_for_them(execution, login):
    client = login("view_execution", "view_payload")

    for tab in ("steps", "data", "events"):
        assert WORD in client.get(page_url(execution, tab=tab)).text
    for address in payload_addresses(execution):
        assert WORD in client.get(address).text


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("permission", PERMISSIONS)
def test_each_operation_needs_its_permission(login, name, permission):
    needed, status = OPERATIONS[name]
    execution = make_execution(status=status)
    client = login(*{"view_execution", permission})
    before = Execution.objects.values().get()

    page = client.get(page_url(execution)).text
    asked = client.get(act_url(execution, name))
    done = client.post(act_url(execution, name), {"confirmed": "yes", "name": "paid"})

    is_allowed = permission == needed
    assert (f'data-action="{name}"' in page) == is_allowed
    assert asked.status_code == (200 if is_allowed else 403)
    assert done.status_code == (302 if is_allowed else 403)
    if not is_allowed:
        assert Execution.objects.values().get() == before
        assert not Execution.objects.exclude(pk=execution.pk).exists()


@pytest.mark.parametrize("name", ["cancel", "retry", "pause", "resume", "delete"])
@pytest.mark.parametrize("permission", PERMISSIONS)
def test_each_action_on_several_needs_its_permission(login, name, permission):
    needed, status = OPERATIONS[name]
    execution = make_execution(status=status)
    client = login(*{"view_execution", permission})
    given = {
        "action": f"{name}_selected",
        "_selected_action": [str(execution.pk)],
        "confirmed": "yes",
    }

    page = client.get(list_url()).text
    client.post(list_url(), given)

    is_allowed = permission == needed
    assert (f'value="{name}_selected"' in page) == is_allowed
    row = Execution.objects.filter(pk=execution.pk).first()
    assert (row is None or row.status != status) == is_allowed


def test_without_payloads_one_starts_again_with_the_same_input_only(login):
    execution = make_execution(status="failed", input={"word": WORD})
    client = login("view_execution", "start_execution")
    address = act_url(execution, "start-again")

    asked = client.get(address).text
    client.post(address, {"confirmed": "yes", "input": '{"word": "other"}'})

    assert WORD not in asked
    again = Execution.objects.exclude(pk=execution.pk).get()
    assert again.input == {"word": WORD}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_change_is_a_post_with_a_token(boss, name):
    _, status = OPERATIONS[name]
    execution = make_execution(status=status)
    address = act_url(execution, name)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="boss"))

    boss.get(address, {"confirmed": "yes"})

    assert strict.post(address, {"confirmed": "yes"}).status_code == 403
    assert Execution.objects.get().status == status


def test_superusers_see_and_do_everything(execution, boss):
    for address in everything(execution):
        assert boss.get(address).status_code == 200


def test_the_app_has_few_entries(boss):
    (app,) = [
        app
        for app in boss.get("/admin/").context["app_list"]
        if app["app_label"] == "django_durable"
    ]

    names = [model["name"].strip() for model in app["models"]]

    assert not {"Steps", "Waits", "Events", "Log lines"} & set(names)
    assert {"Executions", "Inputs", "Schedules", "Workers"} <= set(names)


@pytest.mark.parametrize("permissions", [(), ("view_execution", "view_payload")])
def test_djangos_own_pages_show_payloads_to_those_who_may_see_them(
    execution, login, permissions
):
    client = login("view_inputrequest", *permissions)
    request = execution.inputs.get()

    html = client.get(
        reverse("admin:django_durable_inputrequest_change", args=[request.pk])
    ).text

    assert (WORD in html) == bool(permissions)
