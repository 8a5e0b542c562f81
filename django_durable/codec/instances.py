"""Saved model instances, stored as a reference: model, primary key, database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS, models
from django.utils.connection import ConnectionDoesNotExist
from django.utils.functional import LazyObject, SimpleLazyObject, empty

from django_durable.codec.refusals import Refused
from django_durable.exceptions import InstanceGone, NotStorable


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a model instance is found. ``model`` is ``"app_label.modelname"``."""

    model: str
    pk: Any
    using: str

    def __str__(self) -> str:
        """Name it for people; a primary key is an int, a str or the like."""
        return f"{self.model} {self.pk!r}"


class LazyInstance(SimpleLazyObject):  # type: ignore[type-arg]
    """A stored model instance that is fetched on first use.

    It can be stored again, and copied, without being fetched.
    """

    def __init__(self, reference: Reference) -> None:
        super().__init__(lambda: fetch_instance(reference))
        # Not an attribute of the instance it stands for: past LazyObject.__setattr__.
        self.__dict__["_reference"] = reference

    def __repr__(self) -> str:
        """Tell which instance it is, without fetching it."""
        return f"<LazyInstance: {self.__dict__['_reference']}>"

    def __copy__(self) -> Any:
        """Copy the reference as long as nothing was fetched."""
        if self._wrapped is empty:
            return LazyInstance(self.__dict__["_reference"])
        return super().__copy__()

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Copy the reference as long as nothing was fetched."""
        if self._wrapped is empty:
            return LazyInstance(self.__dict__["_reference"])
        return super().__deepcopy__(memo)


def lazy_instance(reference: Reference) -> Any:
    """Return an object that becomes the instance on first use, or ``InstanceGone``."""
    return LazyInstance(reference)


def fetch_instance(reference: Reference) -> models.Model:
    """Return the instance as it is now, from the database it was loaded from.

    Raises ``InstanceGone`` when it was deleted, ``NotStorable`` when its model or its
    database is no longer part of the project.
    """
    try:
        manager = apps.get_model(reference.model)._base_manager
        instance: models.Model = manager.using(reference.using).get(pk=reference.pk)
    except models.ObjectDoesNotExist:
        raise InstanceGone(
            str(reference),
            f"it no longer exists in the database {reference.using!r}: it was deleted "
            "after it was stored.",
        ) from None
    except LookupError as error:
        raise NotStorable(
            str(reference), "its model is no longer part of the project."
        ) from error
    except ConnectionDoesNotExist as error:
        raise NotStorable(
            str(reference), f"settings.DATABASES has no {reference.using!r} any more."
        ) from error
    except (TypeError, ValueError, ValidationError) as error:
        raise NotStorable(
            str(reference), "it is no primary key of the model any more."
        ) from error
    return instance


def reference_to(instance: models.Model) -> Reference:
    """Return the reference under which an instance is stored; it must be saved."""
    label = instance._meta.label_lower
    if instance._state.adding or instance.pk is None:
        raise Refused(
            f"an unsaved {instance._meta.label} cannot be stored. Save it first."
        )
    return Reference(label, instance.pk, instance._state.db or DEFAULT_DB_ALIAS)


def content_of(lazy: LazyObject[Any]) -> Any:
    """Return what a lazy object stands for: a reference, if it was not fetched yet."""
    wrapped = lazy._wrapped
    if wrapped is not empty:
        return wrapped
    if type(lazy) is LazyInstance:
        return lazy.__dict__["_reference"]
    lazy._setup()
    return lazy._wrapped
