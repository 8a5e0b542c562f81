"""Django's entry point: finds the workflows of every installed app at start-up."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.apps import apps as global_apps
from django.db import router
from django.db.models.signals import post_migrate
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class DjangoDurableConfig(AppConfig):
    """The app ``django_durable``."""

    name = "django_durable"
    label = "django_durable"
    verbose_name = _("Durable workflows")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Import ``workflows.py`` of every app, like ``admin.py``; register the rest."""
        from django_durable import checks
        from django_durable.store import paths

        checks.register()
        paths.teach_all()
        autodiscover_modules("workflows")
        post_migrate.connect(
            _register_schedules, sender=self, dispatch_uid="django_durable.schedules"
        )


def _register_schedules(
    *, using: str, apps: Any = None, plan: object = None, **_: Any
) -> None:
    """Store the schedules of the code in the database that was just migrated.

    ``flush`` sends this signal too, without a plan: what it has emptied stays empty.
    """
    from django_durable import conf
    from django_durable.api import schedules

    if plan is None or not _has_present_table(using, apps):
        return
    for durable in conf.get_instances():
        if conf.get_settings(durable).database == using:
            schedules.register_code_schedules(durable, retires=True)


def _has_present_table(using: str, migrated: Any) -> bool:
    """Say whether schedules are stored there, as this code stores them.

    ``migrated`` are the models as they are there; ``None``: as they are here.
    """
    from django_durable.models import Schedule

    if not router.allow_migrate_model(using, Schedule):
        return False
    try:
        there = (migrated or global_apps).get_model("django_durable", "Schedule")
    except LookupError:
        return False
    columns = {field.column for field in Schedule._meta.concrete_fields}
    return columns == {field.column for field in there._meta.concrete_fields}
