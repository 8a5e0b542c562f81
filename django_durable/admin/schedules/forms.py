"""What is asked before a schedule is made, changed or triggered."""

from __future__ import annotations

import zoneinfo
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from django_durable import cron
from django_durable.admin.fields import AS_STORED, JSONObjectField, reason_field
from django_durable.admin.payloads import whole
from django_durable.admin.permissions import ScheduleRights
from django_durable.conf import Settings
from django_durable.definition import registry
from django_durable.definition.schedules import MAX_NAME
from django_durable.models import Schedule
from django_durable.types import CatchUp, Overlap

ZONES, QUEUES = "durable-zones", "durable-queues"
"""The ids of what the browser proposes."""

OVERLAPS = (
    (Overlap.SKIP.value, _("skip: it starts nothing")),
    (Overlap.ALLOW.value, _("allow: it starts another one beside it")),
    (Overlap.CANCEL.value, _("cancel: the previous one is cancelled")),
)
CATCH_UPS = (
    (CatchUp.ONE.value, _("one: one execution makes up for all")),
    (CatchUp.ALL.value, _("all: one for each, up to 100")),
    (CatchUp.NONE.value, _("none: they are left out")),
)


class ScheduleForm(forms.Form):
    """A form about a schedule, or, without a ``row``, about one that is made."""

    required_css_class = "required"

    def __init__(
        self,
        data: Any = None,
        *,
        settings: Settings,
        row: Schedule | None = None,
        rights: ScheduleRights | None = None,
    ) -> None:
        super().__init__(data)
        self.row = row
        self.settings = settings
        self.rights = rights or ScheduleRights()
        for field in self.fields.values():
            # What somebody else has changed meanwhile is not set back.
            field.show_hidden_initial = row is not None


class ReasonForm(ScheduleForm):
    """Why it is done."""

    reason = reason_field(_("Is kept in the history of the schedule."))


class _WithInput(ScheduleForm):
    """Has an input, for those who may see payloads; it begins with what is stored."""

    input = JSONObjectField(label=_("Input"), help_text=AS_STORED, empty={})

    def __init__(self, data: Any = None, **options: Any) -> None:
        """Begin with the input that is stored."""
        super().__init__(data, **options)
        self.initial["input"] = {}
        self.fields["input"].widget.attrs["rows"] = 6
        if self.row is not None and self.rights.see_payloads:
            rows: Any = Schedule.objects.using(self.settings.database)
            self.initial["input"] = whole(rows.filter(pk=self.row.pk), "input")
        elif self.row is not None:
            del self.fields["input"]


class TriggerForm(ReasonForm, _WithInput):
    """The input to start with: that of the schedule, unless it is changed."""

    field_order = ("input", "reason")


class OptionsForm(_WithInput):
    """When a schedule fires, and what it does then."""

    cron = forms.CharField(
        label=_("Cron expression"),
        max_length=MAX_NAME,
        widget=forms.TextInput({"class": "durable-mono", "autocomplete": "off"}),
        help_text=_(
            "Five fields: minute, hour, day of month, month, day of week. "
            "Or @hourly, @daily, @weekly, @monthly, @yearly."
        ),
    )
    timezone = forms.CharField(
        label=_("Time zone"),
        max_length=100,
        widget=forms.TextInput({"list": ZONES, "autocomplete": "off"}),
        help_text=_("The expression means what clocks on the wall show there."),
    )
    queue = forms.CharField(
        label=_("Queue"),
        max_length=100,
        required=False,
        widget=forms.TextInput({"list": QUEUES, "autocomplete": "off"}),
        help_text=_("Empty: that of the workflow."),
    )
    overlap = forms.ChoiceField(
        label=_("When the previous execution has not ended"), choices=OVERLAPS
    )
    catch_up = forms.ChoiceField(
        label=_("Fire times that were missed"), choices=CATCH_UPS
    )
    jitter = forms.DurationField(
        label=_("Jitter"),
        required=False,
        help_text=_("The longest delay that is drawn for each start, as H:MM:SS."),
    )

    field_order: tuple[str, ...] = ("cron", "timezone", "input", "queue", "overlap")

    def __init__(self, data: Any = None, **options: Any) -> None:
        """Begin with what is stored, or with what is usual."""
        super().__init__(data, **options)
        row = self.row
        if row is None:
            usual = {"timezone": "UTC", "overlap": "skip", "catch_up": "one"}
            self.initial.update(usual)
            return
        for name in ("cron", "timezone", "queue", "overlap", "catch_up", "jitter"):
            self.initial[name] = getattr(row, name)

    @property
    def zones(self) -> list[str]:
        """The names of time zones."""
        return sorted(zoneinfo.available_timezones())

    @property
    def queues(self) -> list[str]:
        """The queues of the instance."""
        return sorted(self.settings.queues)

    def clean_cron(self) -> str:
        """Refuse an expression that means nothing."""
        return self._checked("cron", cron.validate)

    def clean_timezone(self) -> str:
        """Refuse a time zone that is none."""
        return self._checked("timezone", cron.validate_timezone)

    def _checked(self, name: str, validate: Any) -> str:
        value: str = self.cleaned_data[name]
        if problem := validate(value):
            raise ValidationError(problem)
        return value

    def clean_queue(self) -> str | None:
        """Return ``None`` for the queue of the workflow."""
        return self.cleaned_data["queue"] or None

    def changes(self) -> dict[str, Any]:
        """Return what is no longer as it was."""
        return {name: self.cleaned_data[name] for name in self.changed_data}


class NewForm(OptionsForm):
    """A schedule that is made."""

    workflow = forms.ChoiceField(label=_("Workflow"))
    name = forms.CharField(
        label=_("Name"),
        max_length=MAX_NAME,
        required=False,
        help_text=_("Empty: that of the workflow."),
    )
    enabled = forms.BooleanField(label=_("Enabled"), required=False, initial=True)

    field_order = ("workflow", "name", *OptionsForm.field_order)

    def __init__(self, data: Any = None, **options: Any) -> None:
        """Offer the workflows of this code."""
        super().__init__(data, **options)
        field: Any = self.fields["workflow"]
        field.choices = [(name, name) for name in registry.names()]
