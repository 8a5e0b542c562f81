"""What is asked before something is done to an execution."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from django_durable import codec
from django_durable.admin.fields import (
    AS_STORED,
    JSONObjectField,
    JSONTextField,
    reason_field,
)
from django_durable.admin.payloads import whole
from django_durable.admin.permissions import Rights
from django_durable.models import Execution, Wait
from django_durable.types import WaitStatus


class OperationForm(forms.Form):
    """A form about one execution, or, without a ``row``, about several."""

    required_css_class = "required"

    def __init__(
        self,
        data: Any = None,
        *,
        row: Execution | None = None,
        rights: Rights | None = None,
    ) -> None:
        super().__init__(data)
        self.row = row
        self.rights = rights or Rights()


class ReasonForm(OperationForm):
    """Why it is done."""

    reason = reason_field(_("Is kept in the history of the execution."))


class CancelForm(ReasonForm):
    """Why, and whether what was done is to be undone."""

    compensate = forms.BooleanField(
        label=_("Undo completed steps"),
        required=False,
        help_text=_("Runs the compensations of what is completed, last one first."),
    )


class EventForm(OperationForm):
    """Which event, and what comes with it."""

    name = forms.CharField(label=_("Name"), max_length=codec.MAX_NAME)
    payload = JSONTextField(
        label=_("Payload"), required=False, help_text=_("JSON, or nothing.")
    )

    def __init__(self, data: Any = None, **options: Any) -> None:
        """Begin with the name that is waited for."""
        super().__init__(data, **options)
        if self.row is not None:
            waits = Wait.objects.using(self.row._state.db).filter(
                execution=self.row, status=WaitStatus.OPEN
            )
            for wait in waits.exclude(names=[]).order_by("id")[:1]:
                self.initial["name"] = wait.names[0]


class AgainForm(ReasonForm):
    """The input to start with: the same, unless one may see and change it."""

    input = JSONObjectField(label=_("Input"), help_text=AS_STORED)
    field_order = ("input", "reason")

    def __init__(self, data: Any = None, **options: Any) -> None:
        """Begin with the input that there was."""
        super().__init__(data, **options)
        if not self.rights.see_payloads:
            del self.fields["input"]
        elif data is None and self.row is not None:
            self.initial["input"] = stored_input(self.row)


def stored_input(row: Execution) -> Any:
    """Return the input of an execution as it is stored."""
    rows: Any = Execution.rows.using(row._state.db)
    return whole(rows.filter(pk=row.pk), "input")
