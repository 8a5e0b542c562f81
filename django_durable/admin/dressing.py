"""Forms that workflows bring, in the looks of the admin.

What is entered is judged by ``start`` and ``provide_input``, as it is everywhere; a form
here is what a person sees of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS
from django.utils.translation import gettext as _

from django_durable.exceptions import DurableError

MOST_BUTTONS = 12
"""Choices that are all shown at once; more of them are in a box that opens."""

_CLASSES: Mapping[type[forms.Widget], str] = {
    forms.TextInput: "vTextField",
    forms.EmailInput: "vTextField",
    forms.URLInput: "vURLField",
    forms.NumberInput: "vIntegerField",
    forms.Textarea: "vLargeTextField",
}
"""What Django's own admin gives these widgets; others stay as their form has them."""

_PICKERS: Mapping[type[forms.Widget], tuple[str, str]] = {
    forms.DateInput: ("date", "%Y-%m-%d"),
    forms.DateTimeInput: ("datetime-local", "%Y-%m-%dT%H:%M"),
    forms.TimeInput: ("time", "%H:%M"),
}

F = TypeVar("F", bound=forms.BaseForm)


def dress(form: F, *, opens: str = "") -> F:
    """Give the widgets of a form the looks of the admin.

    Dates get what the browser has for them. ``opens`` names a field whose choices are to
    be seen at once.
    """
    for name, field in form.fields.items():
        widget = field.widget
        if name == opens:
            _open(field)
        elif type(widget) in _PICKERS and _takes_what_browsers_send(field):
            kind, format_ = _PICKERS[type(widget)]
            if widget.input_type == "text":
                widget.input_type, widget.format = kind, format_
        elif look := _CLASSES.get(type(widget)):
            widget.attrs.setdefault("class", look)
        elif type(widget) is forms.SelectMultiple:
            _open(field)
    return form


def _takes_what_browsers_send(field: forms.Field) -> bool:
    """Say whether a field of dates or times reads ISO 8601; every date-time does."""
    formats = [str(one) for one in getattr(field, "input_formats", [])]
    match field:
        case forms.DateTimeField():
            return True
        case forms.DateField():
            return "%Y-%m-%d" in formats
        case forms.TimeField():
            return "%H:%M" in formats
        case _:
            return False


def _open(field: forms.Field) -> None:
    """Show the choices of a field at once, unless there are many or nobody knows them."""
    is_known = isinstance(field, forms.ChoiceField) and not isinstance(
        field, forms.ModelChoiceField
    )
    choices: list[Any] = list(field.choices) if is_known else []  # type: ignore[attr-defined]
    # Without the one that stands for no choice: that is a button nobody has pressed.
    choices = [choice for choice in choices if choice[0] not in ("", None)]
    if not 0 < len(choices) <= MOST_BUTTONS:
        return
    is_multiple = isinstance(field, forms.MultipleChoiceField)
    widget = forms.CheckboxSelectMultiple if is_multiple else forms.RadioSelect
    field.widget = widget(attrs=field.widget.attrs, choices=choices)
    field.widget.is_required = field.required


def show_errors(
    form: forms.BaseForm, error: DurableError, *, elsewhere: str = NON_FIELD_ERRORS
) -> None:
    """Put what was refused into a bound form, each part of it where one looks for it.

    ``elsewhere`` is the field that shows what is about none, if the form has it.
    """
    rest = elsewhere if elsewhere in form.fields else NON_FIELD_ERRORS
    for name, lines in _told(error).items():
        place = name if name in form.fields else rest
        # The form has judged by itself too, and mostly says the same.
        known: Any = form.errors.get(place, [])
        for line in lines:
            if line not in known:
                form.add_error(None if place == NON_FIELD_ERRORS else place, line)


def show_refused_input(form: forms.BaseForm, error: DurableError) -> None:
    """Say in the field ``input`` what was refused of what one would start with.

    Its parts are no fields of this form. Where the form has no such field, the input is
    not to be seen, and only names are told: what the form of a workflow says of a value
    quotes it.
    """
    told = _told(error)
    place = "input" if "input" in form.fields else None
    if place is None and hasattr(error, "errors"):
        names = ", ".join(name for name in told if name != NON_FIELD_ERRORS)
        said = _("The form of the workflow refuses this input")
        told = {NON_FIELD_ERRORS: [f"{said}: {names}." if names else f"{said}."]}
    for name, lines in told.items():
        prefix = "" if name == NON_FIELD_ERRORS else f"{name}: "
        for line in lines:
            form.add_error(place, f"{prefix}{line}")


def _told(error: DurableError) -> Mapping[str, list[str]]:
    """Return what an error says, by the field that it is about."""
    return getattr(error, "errors", None) or {NON_FIELD_ERRORS: [str(error)]}


def focus(*shown: forms.BaseForm) -> None:
    """Let the page open at the first field that has errors."""
    for form in shown:
        for name, field in form.fields.items():
            if name in form.errors:
                field.widget.attrs["autofocus"] = True
                return
