"""What is asked before something is done to an execution."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from django_durable import codec
from django_durable.admin.display import pretty
from django_durable.admin.payloads import whole
from django_durable.admin.permissions import Rights
from django_durable.exceptions import NotStorable
from django_durable.models import Execution, Wait
from django_durable.types import WaitStatus

AS_STORED = _(
    'A JSON object. What JSON does not have is written as it is stored, with "$type".'
)


class JSONTextField(forms.JSONField):
    """JSON to read and to write by hand."""

    widget = forms.Textarea(
        {"rows": 14, "cols": 80, "spellcheck": "false", "class": "durable-json"}
    )

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Return what was typed in, as it was."""
        return data

    def prepare_value(self, value: Any) -> Any:
        """Return the text to begin with."""
        if value is None or isinstance(value, str):
            return value
        return pretty(value)

    def to_python(self, value: Any) -> Any:
        """Return the value; JSON can be wrong in ways that are no errors of syntax."""
        try:
            return super().to_python(value)
        except (RecursionError, ValueError) as error:
            raise ValidationError(_("This is no JSON that can be read.")) from error


class JSONObjectField(JSONTextField):
    """A JSON object, as it is stored; cleaned it is the value that it stands for.

    ``empty`` is what no text at all stands for, if anything.
    """

    def __init__(self, *, empty: Any = None, **options: Any) -> None:
        # Django's field takes an empty object for no object.
        super().__init__(required=False, **options)
        self.empty = empty

    def clean(self, value: Any) -> Any:
        """Return the value; raises ``ValidationError`` where there is none."""
        tree = super().clean(value)
        tree = self.empty if tree is None else tree
        if not isinstance(tree, dict):
            raise ValidationError(_("Give a JSON object."))
        try:
            return codec.decode(tree)
        except NotStorable as error:
            raise ValidationError(str(error)) from error


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


def reason_field(help_text: Any) -> forms.CharField:
    """Return the field that asks why, for those who read the history later."""
    return forms.CharField(
        label=_("Reason"),
        required=False,
        max_length=500,
        widget=forms.Textarea({"rows": 2, "cols": 60}),
        help_text=help_text,
    )


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
