"""Every address of the admin, as anonymous, as staff, with each permission and without it.

The addresses are those of the site, so that one that is added later is tried too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import URLResolver, reverse

import django_durable as durable
from django_durable import Workflow, step
from django_durable.admin.executions.operations import OPERATIONS
from django_durable.admin.executions.tabs import TABS
from django_durable.admin.schedules.operations import OPERATIONS as FOR_SCHEDULES
from django_durable.models import (
    Event,
    Execution,
    InputRequest,
    Log,
    Schedule,
    Step,
    Wait,
    Worker,
)
from tests.admin.rows import (
    make_event,
    make_execution,
    make_input,
    make_log,
    make_step,
    make_wait,
    make_worker,
)

pytestmark = pytest.mark.django_db

PREFIX = "/admin/django_durable/"
NOBODY: tuple[frozenset[str], ...] = ()
STAFF = (frozenset[str](),)


def needs(*alternatives: str) -> tuple[frozenset[str], ...]:
    """Return sets of permissions, each of which is enough."""
    return tuple(frozenset(one.split()) for one in alternatives)


SEES = needs("view_execution")
SEES_SCHEDULES = needs("view_schedule")

PERMISSIONS = (
    "view_execution",
    "view_payload",
    "operate_execution",
    "start_execution",
    "delete_execution",
    "provide_input",
    "view_inputrequest",
    "view_schedule",
    "add_schedule",
    "change_schedule",
    "delete_schedule",
    "view_worker",
)

# Words that are found in what is stored, and who may read them.
PAYLOAD, FAILURE, PROMPT, RULE, OPEN_PROMPT = (
    "sesame",
    "quicksand",
    "marmalade",
    "moonstone",
    "tangerine",
)
READERS = {
    PAYLOAD: needs("view_payload"),
    FAILURE: SEES,
    PROMPT: needs("view_execution", "view_inputrequest"),
    RULE: SEES_SCHEDULES,
    OPEN_PROMPT: needs("view_execution", "view_inputrequest", "provide_input"),
}


class Addressed(Workflow, name="addressed"):
    @step
    def ship(self): ...


@dataclass(frozen=True, slots=True)
class Rows:
    """One row of each kind, with a word in all that is not for everybody."""

    open: Execution
    failed: Execution
    paused: Execution
    ended: Execution
    asked: InputRequest
    anybody: InputRequest
    schedule: Schedule
    off: Schedule
    edited: Schedule

    def suited(self, operation: str) -> Execution:
        """Return an execution that an operation is for."""
        others = {"retry": self.failed, "resume": self.paused, "delete": self.ended}
        return others.get(operation, self.open)

    def suited_schedule(self, operation: str) -> Schedule:
        """Return a schedule that an operation is for."""
        return {"enable": self.off, "follow-code": self.edited}.get(
            operation, self.schedule
        )


@pytest.fixture
def rows(db) -> Rows:
    told = {
        "type": "OSError",
        "message": FAILURE,
        "step": "ship",
        "details": {"a": PAYLOAD},
        "traceback": f"Traceback:\n{FAILURE}",
    }
    secret = {"word": PAYLOAD}
    worker = make_worker()
    running = make_execution(
        workflow="addressed",
        status="running",
        input=secret,
        data=secret,
        leased_by=worker.pk,
        progress={"done": 1, "total": 2, "message": FAILURE},
        tags=[FAILURE],
        idempotency_key=FAILURE,
    )
    failed = make_execution(
        workflow="addressed", status="failed", error=told, input=secret, data=secret
    )
    make_execution(
        workflow="addressed", status="failed", error=told, parent=running, input=secret
    )
    make_step(running, output=secret, error=told, status="failed")
    make_event(running, payload=secret)
    make_log(running, FAILURE)
    asked = make_input(
        running, make_wait(running), prompt=PROMPT, metadata=secret, username="else"
    )
    answered = {"answer": secret, "comment": PAYLOAD, "metadata": secret}
    make_input(
        running,
        make_wait(running, name="was", status="satisfied"),
        username="else",
        prompt=PROMPT,
        status="satisfied",
        **answered,
    )
    anybody = make_input(running, make_wait(running, name="any"), prompt=OPEN_PROMPT)
    return Rows(
        open=running,
        failed=failed,
        paused=make_execution(workflow="addressed", status="paused"),
        ended=make_execution(workflow="addressed"),
        asked=asked,
        anybody=anybody,
        schedule=_schedule("on", failed=failed),
        off=_schedule("off", enabled=False, disabled_reason=RULE),
        edited=_schedule("edited", code={"cron": "1 1 * * *", "input": secret}),
    )


def _schedule(
    name: str, *, failed: Execution | None = None, **columns: Any
) -> Schedule:
    made = durable.schedule(
        "addressed", "0 3 * * *", name=f"{RULE} {name}", input={"word": PAYLOAD}
    )
    last = failed.pk if failed else None
    troubled = {"failure_count": 2, "last_error": RULE, "last_execution": last}
    Schedule.objects.filter(pk=made.pk).update(**troubled, **columns)
    return Schedule.objects.get(pk=made.pk)


# --- The addresses --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """One address; ``opens`` are the sets of permissions each of which is enough."""

    address: str
    opens: tuple[frozenset[str], ...]
    given: dict[str, str] = field(default_factory=dict)

    def is_open(self, permissions: frozenset[str]) -> bool:
        """Say whether these permissions are enough."""
        return any(one <= permissions for one in self.opens)


CHANGES = {
    "retry": "view_execution operate_execution",
    "resume": "view_execution operate_execution",
    "run-now": "view_execution operate_execution",
    "pause": "view_execution operate_execution",
    "send-event": "view_execution operate_execution",
    "cancel": "view_execution operate_execution",
    "start-again": "view_execution start_execution",
    "delete": "view_execution delete_execution",
}
CHANGES_SCHEDULES = {
    "trigger": "view_schedule change_schedule",
    "enable": "view_schedule change_schedule",
    "disable": "view_schedule change_schedule",
    "edit": "view_schedule change_schedule",
    "follow-code": "view_schedule change_schedule",
    "delete": "view_schedule delete_schedule",
}
ACTIONS = {
    **{("execution", name): needs(CHANGES[name]) for name in CHANGES},
    **{
        ("schedule", name): needs(CHANGES_SCHEDULES[name]) for name in CHANGES_SCHEDULES
    },
}
GIVEN = {"confirmed": "yes", "reason": "r", "name": "paid", "input": "{}"}


def places(rows: Rows) -> dict[str, list[Place]]:
    """Return what is tried of each route of the site."""
    pk, of_schedule = rows.open.pk, rows.schedule.pk
    step_, event = rows.open.steps.get().pk, rows.open.events.get().pk
    sees_payloads = needs("view_execution view_payload")
    whole = [("step", step_), ("event", event)]
    whole += [(part, rows.asked.pk) for part in ("answer", "metadata")]
    tabs = [_page(f"execution/{pk}/change/", SEES, tab=tab.slug) for tab in TABS]
    return {
        "overview/": [
            *_page("overview/", SEES),
            Place("overview/?_live=rates", SEES),
        ],
        "execution/": [
            *_page("execution/", SEES),
            *_page("execution/", SEES, q=FAILURE),
            *_page("execution/", SEES, status="unsuccessful"),
        ],
        "execution/<uuid:id_>/do/<slug:name>/": [
            Place(
                f"execution/{rows.suited(one.name).pk}/do/{one.name}/",
                needs(CHANGES[one.name]),
                GIVEN,
            )
            for one in OPERATIONS
        ],
        "execution/<uuid:id_>/stored/<slug:part>/": [
            Place(f"execution/{pk}/stored/{part}/", sees_payloads)
            for part in ("input", "data")
        ],
        "execution/<uuid:id_>/stored/<slug:part>/<uuid:of>/": [
            Place(f"execution/{pk}/stored/{part}/{of}/", sees_payloads)
            for part, of in whole
        ],
        "execution/add/": [Place("execution/add/", NOBODY)],
        "execution/<path:object_id>/history/": [
            Place(f"execution/{pk}/history/", SEES)
        ],
        "execution/<path:object_id>/delete/": [
            Place(f"execution/{rows.failed.pk}/delete/", NOBODY, {"post": "yes"})
        ],
        "execution/<path:object_id>/change/": [
            *(place for tab in tabs for place in tab),
            *_page(f"execution/{rows.failed.pk}/change/", SEES),
        ],
        "execution/<path:object_id>/": [Place(f"execution/{pk}/", SEES)],
        # Whoever is of the staff may look whether there is a question for them.
        "inputrequest/": [
            place
            for show in ("", "mine", "all", "answered", "closed")
            for place in _page("inputrequest/", STAFF, show=show, q=PROMPT[:4])
        ]
        + _page("inputrequest/", STAFF),
        "inputrequest/<uuid:id_>/change/": [
            *_page(f"inputrequest/{rows.asked.pk}/change/", READERS[PROMPT]),
            *_page(f"inputrequest/{rows.anybody.pk}/change/", READERS[OPEN_PROMPT]),
        ],
        "workflow/": _page("workflow/", SEES),
        "workflow/<str:segment>/": _page("workflow/addressed/", SEES),
        "workflow/<str:segment>/start/": [
            Place(
                "workflow/addressed/start/",
                needs("view_execution start_execution"),
                {"input": "{}"},
            )
        ],
        "schedule/": [
            *_page("schedule/", SEES_SCHEDULES),
            *_page("schedule/", SEES_SCHEDULES, q=RULE),
        ],
        "schedule/<uuid:id_>/do/<slug:name>/": [
            Place(
                f"schedule/{rows.suited_schedule(one.name).pk}/do/{one.name}/",
                needs(CHANGES_SCHEDULES[one.name]),
                {**GIVEN, "cron": "1 * * * *", "timezone": "UTC"},
            )
            for one in FOR_SCHEDULES
        ],
        "schedule/<uuid:id_>/stored/": [
            Place(
                f"schedule/{of_schedule}/stored/", needs("view_schedule view_payload")
            )
        ],
        "schedule/add/": [
            Place(
                "schedule/add/",
                needs("view_schedule add_schedule"),
                {
                    "workflow": "addressed",
                    "cron": "1 * * * *",
                    "timezone": "UTC",
                    "overlap": "skip",
                    "catch_up": "one",
                },
            )
        ],
        "schedule/<path:object_id>/history/": [
            Place(f"schedule/{of_schedule}/history/", SEES_SCHEDULES)
        ],
        "schedule/<path:object_id>/delete/": [
            Place(
                f"schedule/{of_schedule}/delete/",
                needs(CHANGES_SCHEDULES["delete"]),
                GIVEN,
            )
        ],
        "schedule/<path:object_id>/change/": [
            *_page(f"schedule/{of_schedule}/change/", SEES_SCHEDULES),
            *_page(f"schedule/{rows.edited.pk}/change/", SEES_SCHEDULES),
        ],
        "schedule/<path:object_id>/": [
            Place(f"schedule/{of_schedule}/", SEES_SCHEDULES)
        ],
        "worker/": _page("worker/", needs("view_worker")),
    }


def _page(address: str, opens: tuple[frozenset[str], ...], **query: str) -> list[Place]:
    """Return a page and its region."""
    both = ({**query, **live} for live in ({}, {"_live": "1"}))
    return [Place(f"{address}?{urlencode(one)}", opens) for one in both]


def all_places(rows: Rows) -> list[Place]:
    return [place for some in places(rows).values() for place in some]


def routes() -> Iterator[str]:
    """Yield the routes of this app on the site."""
    for found in admin.site.get_urls():
        base = str(found.pattern)
        if isinstance(found, URLResolver) and base.startswith("django_durable/"):
            for one in found.url_patterns:
                yield f"{base}{one.pattern}".removeprefix("django_durable/")


def stored() -> dict[str, list[dict[str, Any]]]:
    """Return all there is in the database."""
    models = (
        Event,
        Execution,
        InputRequest,
        Log,
        LogEntry,
        Schedule,
        Step,
        Wait,
        Worker,
    )
    return {
        model.__name__: list(model._base_manager.order_by("pk").values())
        for model in models
    }


def actions() -> Iterator[tuple[str, str]]:
    """Yield the model and the name of each action on rows that are marked."""
    for model, model_admin in admin.site._registry.items():
        if model._meta.app_label == "django_durable":
            for action in model_admin.actions or ():
                yield model._meta.model_name, action.__name__


# --- The tests ------------------------------------------------------------------------


def test_every_route_permission_and_action_is_tried(rows):
    assert sorted(places(rows)) == sorted(set(routes()))
    known = Permission.objects.filter(content_type__app_label="django_durable")
    assert set(known.values_list("codename", flat=True)) == set(PERMISSIONS)
    for model, name in actions():
        assert (model, name.removesuffix("_selected").replace("_", "-")) in ACTIONS


def test_whoever_is_not_of_the_staff_is_sent_to_the_login(rows):
    customer = Client()
    customer.force_login(User.objects.create_user("customer"))
    before = stored()

    for client in (Client(), customer):
        for place in all_places(rows):
            for found in (
                client.get(PREFIX + place.address),
                client.post(PREFIX + place.address, place.given),
            ):
                assert found.status_code == 302, place
                assert found["Location"].startswith("/admin/login/"), place
    assert stored() == before


def only(*permissions: str) -> Any:
    return pytest.param(frozenset(permissions), id=" ".join(permissions) or "none")


def all_but(permission: str) -> Any:
    left = frozenset(PERMISSIONS) - {permission}
    return pytest.param(left, id=f"all but {permission}")


PEOPLE: Sequence[Any] = (
    only(),
    *(only(one) for one in PERMISSIONS),
    *(all_but(one) for one in PERMISSIONS),
)


@pytest.mark.thorough
@pytest.mark.parametrize("permissions", PEOPLE)
def test_each_address_takes_its_permissions(rows, login, permissions):
    client, before = login(*permissions), stored()

    for place in all_places(rows):
        found = client.get(PREFIX + place.address, follow=True)
        is_open = place.is_open(permissions)
        assert found.status_code == (200 if is_open else 403), place
        for word, readers in READERS.items():
            may_read = any(one <= permissions for one in readers)
            asked_for = word in place.address
            assert may_read or asked_for or word not in found.text, (word, place)
        if not is_open:
            done = client.post(PREFIX + place.address, place.given, follow=True)
            assert done.status_code in (403, 405), place
    assert stored() == before


@pytest.mark.thorough
@pytest.mark.parametrize("permissions", PEOPLE)
def test_each_action_on_several_takes_its_permissions(rows, login, permissions):
    client, before = login(*permissions), stored()

    for model, action in actions():
        name = action.removesuffix("_selected").replace("_", "-")
        if any(one <= permissions for one in ACTIONS[model, name]):
            continue
        is_schedule = model == "schedule"
        row = rows.suited_schedule(name) if is_schedule else rows.suited(name)
        given = {**GIVEN, "action": action, "_selected_action": [str(row.pk)]}
        client.post(f"{PREFIX}{model}/", given)
        assert stored() == before, (model, action)


def test_to_look_changes_nothing(rows, boss):
    before = stored()

    for place in all_places(rows):
        address = PREFIX + place.address
        boss.get(address, place.given | dict(GIVEN, action="delete_selected"))
        boss.head(address)

    assert stored() == before


def test_what_is_sent_would_change_something_if_it_were_allowed(rows, boss):
    of_route = places(rows)
    for route in ("execution/<uuid:id_>/do/<slug:name>/", "schedule/add/"):
        for place in of_route[route]:
            if "/run-now/" not in place.address:  # Nothing here waits for a time.
                before = stored()
                boss.post(PREFIX + place.address, place.given)
                assert stored() != before, place


@pytest.mark.parametrize("marked", ["nonsense", "", "a\x00b", "9" * 10_000])
def test_a_mark_that_is_no_id_is_refused(rows, boss, marked):
    before = stored()

    for model, action in actions():
        given = {**GIVEN, "action": action, "_selected_action": [marked]}
        assert boss.post(f"{PREFIX}{model}/", given).status_code == 400, action

    assert stored() == before


def test_every_change_takes_a_token(rows, boss):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="boss"))
    before = stored()

    for place in all_places(rows):
        address = PREFIX + place.address.partition("?")[0]
        found = strict.post(address, place.given)
        assert found.status_code in (403, 405), place
    for model, action in actions():
        given = {**GIVEN, "action": action, "_selected_action": [str(rows.open.pk)]}
        assert strict.post(f"{PREFIX}{model}/", given).status_code == 403
    assert stored() == before


def test_an_execution_that_is_not_there_is_not_found_by_those_who_may_look(rows, login):
    sees, nobody = login("view_execution", name="sees"), login(name="nobody")
    address = reverse("admin:django_durable_execution_change", args=[uuid4()])

    assert sees.get(address).status_code == 404
    assert nobody.get(address).status_code == 403
