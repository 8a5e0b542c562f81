"""Description -> form class, and what is wrong with a description."""

from __future__ import annotations

import difflib
import pkgutil
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeGuard

from django import forms
from django.utils.html import escape

from django_durable import codec
from django_durable.forms.fields import (
    ApprovalField,
    ChoicesField,
    MultiChoicesField,
    TextField,
    YesNoField,
    split_choices,
)
from django_durable.types import InputType

Description = Mapping[str, Any]

VALUE = "value"
"""The name of the one field of an answer that is not a form."""

_FIELD_KEYS = ("name", "type", "label", "required", "choices", "help")


def form_class_for(description: Description) -> type[forms.BaseForm]:
    """Return the form class that asks what ``description`` describes."""
    kind = InputType(description["type"])
    if kind is InputType.FORM and description.get("form"):
        return _load_form(description["form"])
    if kind is InputType.FORM:
        fields = {
            field["name"]: _field_for(field) for field in _plain(description, "fields")
        }
    else:
        fields = {VALUE: _single_field(kind, description)}
    return type("AnswerForm", (forms.Form,), fields)


def check_description(description: Description) -> None:
    """Raise ``ValueError`` if nothing can be asked with this description."""
    kind = description.get("type")
    if kind not in list(InputType):
        raise ValueError(_unknown("type", kind, [type_.value for type_ in InputType]))
    if kind in (InputType.CHOICE, InputType.MULTI_CHOICE):
        _check_choices(str(kind), _plain(description, "choices"))
    elif kind == InputType.FORM and description.get("form"):
        _load_form(description["form"])
    elif kind == InputType.FORM:
        _check_fields(_plain(description, "fields"))


def form_path(form_class: type[forms.BaseForm]) -> str:
    """Return ``"module.ClassName"``, from which a worker finds the form class again.

    Raises ``ValueError`` for what is no form class or cannot be imported.
    """
    if not _is_form_class(form_class):
        name = getattr(form_class, "__name__", type(form_class).__name__)
        raise ValueError(f"form={name}: give a Django form class.")
    path = f"{form_class.__module__}.{form_class.__qualname__}"
    if "<locals>" in path:
        raise ValueError(
            f"The form {form_class.__name__} is defined inside a function, so no other "
            "process can import it. Move it to the top level of a module."
        )
    if _load_form(path) is not form_class:
        raise ValueError(
            f"{path!r} leads to another class than the form that was given. Give the "
            "form the name under which its module holds it."
        )
    return path


def _plain(description: Description, key: str) -> Any:
    return codec.decode(description.get(key), name=key)


def _load_form(path: str) -> type[forms.BaseForm]:
    try:
        found = pkgutil.resolve_name(path)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"The form {path!r} cannot be imported: {error}. Keep it under this name "
            "as long as executions wait for it."
        ) from error
    if not _is_form_class(found):
        raise ValueError(f"{path!r} is no Django form class.")
    return found


def _is_form_class(found: object) -> TypeGuard[type[forms.BaseForm]]:
    return isinstance(found, type) and issubclass(found, forms.BaseForm)


def _single_field(kind: InputType, description: Description) -> forms.Field:
    label = str(description.get("prompt") or "")
    match kind:
        case InputType.APPROVAL:
            return ApprovalField(label=label)
        case InputType.CHOICE:
            return ChoicesField(_plain(description, "choices"), label=label)
        case InputType.MULTI_CHOICE:
            return MultiChoicesField(_plain(description, "choices"), label=label)
        case _:
            return TextField(label=label, widget=forms.Textarea)


def _date(**options: Any) -> forms.Field:
    widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
    return forms.DateField(widget=widget, **options)


def _datetime(**options: Any) -> forms.Field:
    widget = forms.DateTimeInput(
        format="%Y-%m-%dT%H:%M:%S", attrs={"type": "datetime-local", "step": "1"}
    )
    return forms.DateTimeField(widget=widget, **options)


def _textarea(**options: Any) -> forms.Field:
    return TextField(widget=forms.Textarea, **options)


_FIELDS: dict[str, Callable[..., forms.Field]] = {
    "text": TextField,
    "textarea": _textarea,
    "integer": forms.IntegerField,
    "decimal": forms.DecimalField,
    "boolean": YesNoField,
    "date": _date,
    "datetime": _datetime,
    "email": forms.EmailField,
    "select": ChoicesField,
    "multi_select": MultiChoicesField,
}
_WITH_CHOICES = ("select", "multi_select")


def _field_for(field: Mapping[str, Any]) -> forms.Field:
    options: dict[str, Any] = {"required": field.get("required", True)}
    if field.get("label"):
        options["label"] = str(field["label"])
    if field.get("help"):
        # Django shows it as HTML, and it may hold what users have entered.
        options["help_text"] = escape(field["help"])
    if field["type"] in _WITH_CHOICES:
        options["choices"] = field["choices"]
    return _FIELDS[field["type"]](**options)


def _is_filled_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and bool(value)


def _check_choices(what: str, choices: Any) -> None:
    if not _is_filled_list(choices):
        raise ValueError(
            f"{what}: give choices=[…], a list of values or of (value, label) pairs."
        )
    for choice in choices:
        if isinstance(choice, list | tuple) and len(choice) != 2:
            raise ValueError(f"{what}: {choice!r} is no (value, label) pair.")
    texts = [text for text, _, _ in split_choices(choices)]
    if not all(texts):
        raise ValueError(
            f"{what}: an empty choice cannot be told from no answer. Give it a value."
        )
    double = sorted({text for text in texts if texts.count(text) > 1})
    if double:
        raise ValueError(
            f"{what}: several choices are posted as {', '.join(map(repr, double))}. "
            "Give each its own value."
        )


def _check_fields(fields: Any) -> None:
    if not _is_filled_list(fields):
        raise ValueError(
            'form: give fields=[{"name": …, "type": …}, …], or form= with a Django '
            "form class."
        )
    names: set[str] = set()
    for field in fields:
        _check_field(field)
        if field["name"] in names:
            raise ValueError(f"form: two fields are named {field['name']!r}.")
        names.add(field["name"])


def _check_field(field: Any) -> None:
    name = field.get("name") if isinstance(field, Mapping) else None
    if not isinstance(name, str) or not name:
        raise ValueError('form: each field is a mapping with "name" and "type".')
    for key in field:
        if key not in _FIELD_KEYS:
            raise ValueError(f"field {name!r}: {_unknown('key', key, _FIELD_KEYS)}")
    if field.get("type") not in _FIELDS:
        told = _unknown("type", field.get("type"), _FIELDS)
        raise ValueError(f"field {name!r}: {told}")
    if field["type"] in _WITH_CHOICES:
        _check_choices(f"field {name!r}", field.get("choices"))


def _unknown(what: str, given: Any, known: Collection[str]) -> str:
    close = difflib.get_close_matches(str(given), known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"unknown {what} {given!r}.{hint} Use one of: {', '.join(known)}."
