"""What a person or a program answers -> cleaned values, or ``InvalidInput``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext as _

from django_durable.exceptions import InvalidInput
from django_durable.forms.descriptions import VALUE, Description, form_class_for
from django_durable.types import InputType


def clean_answer(description: Description, value: Any) -> Any:
    """Return the cleaned answer: a dict for a form, else what was entered or chosen.

    ``value`` holds strings as a browser posts them or Python values as a program gives
    them. Raises ``InvalidInput``; for what is not a form its ``errors`` are under
    ``"value"``.
    """
    form_class = form_class_for(description)
    if description["type"] == InputType.FORM:
        return clean_input(form_class, value)
    return clean_input(form_class, {VALUE: value})[VALUE]


def clean_input(
    form_class: type[forms.BaseForm], value: Any, *, what: str = "answer"
) -> dict[str, Any]:
    """Return ``cleaned_data`` of a form for a mapping. Nothing is saved.

    What was cleaned before is taken as it is, so that an input can be used again.
    Raises ``InvalidInput``, also for names that the form does not have, and for files.
    """
    if not isinstance(value, Mapping):
        raise InvalidInput(
            _("Give a mapping of field names to values, not %(type)s.")
            % {"type": type(value).__name__}
        )
    form = form_class(data=value)
    _refuse_unknown(form.fields, value)
    _refuse_files(form.fields, value)
    form.data = _as_posted(form.fields, value)
    for field in form.fields.values():
        _guard(field)
    if form.is_valid():
        return dict(form.cleaned_data)
    errors = {
        name: [str(text) for text in texts] for name, texts in form.errors.items()
    }
    told = "; ".join(f"{name}: {' '.join(texts)}" for name, texts in errors.items())
    raise InvalidInput(
        _("The %(what)s is not valid: %(errors)s") % {"what": what, "errors": told},
        errors,
    )


def posted_answer(description: Description, post: MultiValueDict[str, str]) -> Any:
    """Return what ``request.POST`` holds of an answer, to be given to ``clean_answer``.

    Everything else in it, such as the CSRF token, is left out.
    """
    form_class = form_class_for(description)
    if description["type"] == InputType.FORM:
        return posted_input(form_class, post)
    widget = form_class(data=post).fields[VALUE].widget
    return widget.value_from_datadict(post, MultiValueDict(), VALUE)


def posted_input(
    form_class: type[forms.BaseForm], post: MultiValueDict[str, str]
) -> MultiValueDict[str, str]:
    """Return what ``request.POST`` holds for a form, to be given to ``clean_input``."""
    known = _input_names(form_class(data=post).fields)
    return MultiValueDict({name: post.getlist(name) for name in post if name in known})


def _guard(field: forms.Field) -> None:
    """Let a field of this form refuse what it stumbles over.

    Django's fields rely on strings where a browser posts them; a program may give a
    date field a number.
    """
    clean = field.clean

    def guarded(value: Any, *initial: Any) -> Any:
        try:
            return clean(value, *initial)
        except (AttributeError, TypeError) as error:
            if value is None or isinstance(value, str):
                raise
            raise ValidationError(_("Enter a valid value."), code="invalid") from error

    field.clean = guarded  # type: ignore[method-assign]


def _input_names(fields: Mapping[str, forms.Field]) -> set[str]:
    """Return the names of all inputs: a widget of several parts has several."""
    parts = {name + part for name, field in fields.items() for part in _parts(field)}
    return parts.union(fields)


def _parts(field: forms.Field) -> list[str]:
    widget = field.widget
    if isinstance(widget, forms.MultiWidget):
        return list(widget.widgets_names)  # type: ignore[attr-defined]
    is_date = isinstance(widget, forms.SelectDateWidget)
    return ["_year", "_month", "_day"] if is_date else []


def _refuse_unknown(
    fields: Mapping[str, forms.Field], value: Mapping[str, Any]
) -> None:
    known = _input_names(fields)
    unknown = [str(name) for name in value if name not in known]
    if unknown:
        raise InvalidInput(
            _("There is no field %(unknown)s. The fields are: %(fields)s.")
            % {"unknown": ", ".join(map(repr, unknown)), "fields": ", ".join(fields)}
        )


def _refuse_files(fields: Mapping[str, forms.Field], value: Mapping[str, Any]) -> None:
    """Refuse what a form asks to be uploaded, for no execution can hold a file."""
    reason = _("A file cannot be stored here. Save it first, and give its name.")
    errors = {
        name: [reason]
        for name, field in fields.items()
        if isinstance(field, forms.FileField) and (field.required or value.get(name))
    }
    if errors:
        raise InvalidInput(f"{', '.join(errors)}: {reason}", errors)


def _as_posted(fields: Mapping[str, forms.Field], value: Mapping[str, Any]) -> Any:
    """Return what a program gives as a browser posts it.

    A value for a widget of several inputs is spread over them; model instances become
    what their field knows them by. What a browser has posted stays as it is.
    """
    if isinstance(value, MultiValueDict):
        return value
    changed: dict[str, Any] = {}
    for name, field in fields.items():
        if name not in value:
            continue
        if isinstance(field.widget, forms.MultiWidget):
            parts = _decompressed(field.widget, name, value[name])
            names = [name + part for part in _parts(field)]
            changed |= dict(zip(names, parts, strict=False))
        elif isinstance(field, forms.ModelChoiceField):
            changed[name] = field.prepare_value(value[name])
    return {**value, **changed} if changed else value


def _decompressed(widget: forms.MultiWidget, name: str, value: Any) -> Sequence[Any]:
    try:
        return widget.decompress(value) or ()
    except (AttributeError, TypeError, ValueError) as error:
        errors = {name: [_("Enter a valid value.")]}
        raise InvalidInput(f"{name}: {errors[name][0]}", errors) from error
