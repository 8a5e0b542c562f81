"""What a person can do to schedules, to one from its page and to many from the list."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from django_durable import api
from django_durable.admin.operation import RowOperation
from django_durable.admin.permissions import ScheduleRights
from django_durable.admin.schedules.forms import (
    OptionsForm,
    ReasonForm,
    ScheduleForm,
    TriggerForm,
)
from django_durable.models import Execution, Schedule
from django_durable.store.schedules import changed_by_hand, from_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(RowOperation[Schedule, ScheduleForm]):
    """One thing to do to schedules.

    One that ``is_direct`` is done by its button, and a page asks only those who came by
    its address.
    """

    form: type[ScheduleForm] = ReasonForm
    is_direct: bool = False

    def entry(self, form: ScheduleForm) -> str:
        """Return what the history says of it."""
        names = ", ".join(form.changed_data) if isinstance(form, OptionsForm) else ""
        what = f" {names}" if names else ""
        reason = form.cleaned_data.get("reason")
        return f"{self.past}{what}{f': {reason}' if reason else ''}"


def _trigger(row: Schedule, form: ScheduleForm, durable: str) -> Execution:
    # What is stored may have changed meanwhile: only what was edited is given.
    is_edited = "input" in form.changed_data
    given = form.cleaned_data["input"] if is_edited else None
    return api.trigger_schedule(row.name, given, durable=durable)


def _edit(row: Schedule, form: ScheduleForm, durable: str) -> None:
    assert isinstance(form, OptionsForm)
    if changes := form.changes():
        api.update_schedule(row.name, durable=durable, **changes)


def _follow_code(row: Schedule, form: ScheduleForm, durable: str) -> None:
    changes = from_code(row, changed_by_hand(row).keys() - {"workflow"})
    api.update_schedule(row.name, durable=durable, **changes)


ENABLE = Operation(
    name="enable",
    label=_("Enable"),
    bulk_label=_("Enable selected schedules"),
    past="Enabled",
    explanation=_(
        "It fires from now on. What it missed while disabled is not made up."
    ),
    right="change",
    condition=lambda row: not row.enabled,
    act=lambda row, _form, durable: api.enable_schedule(row.name, durable=durable),
    is_direct=True,
)
DISABLE = Operation(
    name="disable",
    label=_("Disable"),
    bulk_label=_("Disable selected schedules"),
    past="Disabled",
    explanation=_("It fires no more, until it is enabled. What it started goes on."),
    right="change",
    condition=lambda row: row.enabled,
    act=lambda row, _form, durable: api.disable_schedule(row.name, durable=durable),
    is_direct=True,
)
TRIGGER = Operation(
    name="trigger",
    label=_("Trigger now"),
    bulk_label=_("Trigger selected schedules now"),
    past="Triggered",
    explanation=_(
        "An execution starts now. The fire times of the schedule stay as they are."
    ),
    right="change",
    act=_trigger,
    form=TriggerForm,
)
EDIT = Operation(
    name="edit",
    label=_("Edit"),
    button=_("Save"),
    past="Changed",
    explanation=_("What is changed here stays, also when the code says otherwise."),
    right="change",
    act=_edit,
    form=OptionsForm,
)
FOLLOW_CODE = Operation(
    name="follow-code",
    label=_("Follow the code again"),
    past="Set back to what the code says",
    explanation=_("What a person has changed is set back to what the code says."),
    right="change",
    condition=lambda row: bool(changed_by_hand(row)),
    act=_follow_code,
)
DELETE = Operation(
    name="delete",
    label=_("Delete"),
    past="Deleted",
    explanation=_("It fires no more. What it started stays."),
    right="delete",
    act=lambda row, _form, durable: api.delete_schedule(row.name, durable=durable),
    is_dangerous=True,
    is_deletion=True,
)

OPERATIONS: tuple[Operation, ...] = (
    TRIGGER,
    ENABLE,
    DISABLE,
    EDIT,
    FOLLOW_CODE,
    DELETE,
)
BULK: tuple[Operation, ...] = (ENABLE, DISABLE, TRIGGER)


def named(name: str) -> Operation | None:
    """Return the operation of that name."""
    return next((one for one in OPERATIONS if one.name == name), None)


def offered(row: Schedule, rights: ScheduleRights) -> list[Operation]:
    """Return what its state and the rights of a person allow."""
    return [one for one in OPERATIONS if one.is_allowed(rights) and one.suits(row)]
