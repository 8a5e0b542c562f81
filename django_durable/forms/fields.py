"""Form fields that take what a browser posts and what a program gives alike."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from enum import Enum
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import EMPTY_VALUES
from django.utils.translation import gettext_lazy as _

_YES = frozenset({"true", "1", "on", "yes"})
_NO = frozenset({"false", "0", "off", "no"})
_NOTHING = ("", "---------")


def split_choices(choices: Sequence[Any]) -> list[tuple[str, Any, str]]:
    """Return ``(posted text, value, label)`` of values or ``(value, label)`` pairs."""
    return [_split_choice(choice) for choice in choices]


def _split_choice(choice: Any) -> tuple[str, Any, str]:
    if isinstance(choice, list | tuple):
        value, label = choice
    else:
        value, label = choice, getattr(choice, "label", None) or choice
        label = getattr(label, "name", label)
    return posted_text(value), value, str(label)


def posted_text(value: Any) -> str:
    """Return the text under which a choice is posted."""
    if isinstance(value, Enum):
        value = value.value
    return "" if value is None else str(value)


class ChoicesField(forms.TypedChoiceField):
    """One of some values; the value itself comes back, whatever text was posted."""

    def __init__(self, choices: Sequence[Any], **options: Any) -> None:
        split = split_choices(choices)
        values = {text: value for text, value, _ in split}
        super().__init__(
            # Nothing is chosen before a person chooses.
            choices=[_NOTHING, *((text, label) for text, _, label in split)],
            coerce=values.__getitem__,
            empty_value=None,
            **options,
        )

    def to_python(self, value: Any) -> str:
        text: str = super().to_python(posted_text(value))
        return text


class MultiChoicesField(forms.TypedMultipleChoiceField):
    """A list of some of the values."""

    def __init__(self, choices: Sequence[Any], **options: Any) -> None:
        split = split_choices(choices)
        values = {text: value for text, value, _ in split}
        super().__init__(
            choices=[(text, label) for text, _, label in split],
            coerce=values.__getitem__,
            empty_value=[],
            **options,
        )

    def to_python(self, value: Any) -> list[str]:
        if isinstance(value, set | frozenset):
            value = sorted(value, key=posted_text)
        if isinstance(value, list | tuple):
            value = list(dict.fromkeys(map(posted_text, value)))
        return super().to_python(value)


class ApprovalField(forms.ChoiceField):
    """``"approved"`` or ``"rejected"``; a program may say ``True`` or ``False``."""

    def __init__(self, **options: Any) -> None:
        choices = [("approved", _("Approve")), ("rejected", _("Reject"))]
        super().__init__(choices=choices, widget=forms.RadioSelect, **options)

    def to_python(self, value: Any) -> str:
        if isinstance(value, bool):
            return "approved" if value else "rejected"
        text: str = super().to_python(value)
        return text


class TextField(forms.CharField):
    """Text. Not the ``str()`` of a list, which ``CharField`` would take."""

    def to_python(self, value: Any) -> str | None:
        is_plain = isinstance(value, str | int | float | Decimal)
        if value not in EMPTY_VALUES and (not is_plain or isinstance(value, bool)):
            raise ValidationError(_("Enter a text."), code="invalid")
        return super().to_python(value)


class _Checkbox(forms.CheckboxInput):
    """Passes on what was given, where ``CheckboxInput`` takes any text for a tick."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        return data.get(name, False)


class YesNoField(forms.Field):
    """A bool. If it is required a person has to say yes or no: either will do.

    A box without a tick posts nothing, so a required one is not a box.
    """

    def __init__(self, *, required: bool = True, **options: Any) -> None:
        choices = [_NOTHING, ("True", _("Yes")), ("False", _("No"))]
        widget = forms.Select(choices=choices) if required else _Checkbox()
        super().__init__(required=required, widget=widget, **options)

    def to_python(self, value: Any) -> bool | None:
        if value in EMPTY_VALUES:
            return None if self.required else False
        text = str(value).lower()
        if text in _YES or text in _NO:
            return text in _YES
        raise ValidationError(_("Choose yes or no."), code="invalid")
