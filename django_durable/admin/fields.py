"""Fields that forms of the admin share: JSON as it is stored, and the reason why."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from django_durable import codec
from django_durable.admin.display import pretty
from django_durable.exceptions import NotStorable

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


def reason_field(help_text: Any) -> forms.CharField:
    """Return the field that asks why, for those who read the history later."""
    return forms.CharField(
        label=_("Reason"),
        required=False,
        max_length=500,
        widget=forms.Textarea({"rows": 2, "cols": 60}),
        help_text=help_text,
    )
