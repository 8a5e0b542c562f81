"""Fields: ``PayloadField`` for any value the codec can store, ``UserField`` for a user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import connections, models, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Expression
from django.db.models.fields.related_descriptors import ForwardManyToOneDescriptor

from django_durable import codec
from django_durable.exceptions import NotStorable
from django_durable.types import JSON


@dataclass(frozen=True, slots=True)
class Encoded:
    """A tree that ``codec.encode`` made; a ``PayloadField`` stores it as it is."""

    tree: JSON


class PayloadField(models.JSONField):
    """A value of the user, encoded on the way in and decoded on the way out.

    Model instances come back lazily. What this code can no longer decode, such as an
    enum whose class is gone, comes back as the stored tree: reading never fails.
    """

    def get_prep_value(self, value: Any) -> Any:
        """Return the tree to store."""
        if isinstance(value, Encoded):
            return super().get_prep_value(value.tree)
        if value is None or hasattr(value, "resolve_expression"):
            return super().get_prep_value(value)
        return super().get_prep_value(codec.encode(value, name=self.name))

    def from_db_value(
        self, value: Any, expression: Expression, connection: BaseDatabaseWrapper
    ) -> Any:
        """Return the value that was stored."""
        return self.decode(super().from_db_value(value, expression, connection))

    @staticmethod
    def decode(tree: JSON) -> Any:
        """Return the value that ``tree`` stands for."""
        try:
            return codec.decode(tree)
        except NotStorable:
            return tree

    def deconstruct(self) -> Any:
        """Be a plain ``JSONField`` in migrations: the database sees no difference."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.JSONField", args, kwargs


class _WhereUsersLive(ForwardManyToOneDescriptor):  # type: ignore[type-arg]
    """Reads a user from the database of users, whichever one points to it."""

    def get_queryset(self, **hints: Any) -> Any:
        users = self.field.remote_field.model
        return super().get_queryset(**hints).using(router.db_for_read(users))

    def get_object(self, instance: models.Model) -> Any:
        try:
            return super().get_object(instance)
        except ObjectDoesNotExist:
            return None


class UserField(models.ForeignKey):  # type: ignore[type-arg]
    """A user, perhaps in another database; ``None`` once the user is deleted."""

    forward_related_accessor_class = _WhereUsersLive

    def deconstruct(self) -> Any:
        """Be a plain ``ForeignKey`` in migrations: the database sees no difference."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.ForeignKey", args, kwargs


class _HasMember(models.Func):
    """Whether a JSON list has a member, where ``contains`` cannot say it (SQLite)."""

    template = "EXISTS (SELECT 1 FROM json_each(%(expressions)s))"
    arg_joiner = ") WHERE json_each.value = ("
    output_field = models.BooleanField()


def has_member(column: str, member: str, *, using: str) -> Any:
    """Return the condition that a JSON list has a text as a member."""
    if connections[using].features.supports_json_field_contains:
        return models.Q(**{f"{column}__contains": [member]})
    return _HasMember(column, models.Value(member))
