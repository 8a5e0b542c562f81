"""The application whose workflows real worker processes run in the tests."""

import os

from django.apps import AppConfig


class TestAppConfig(AppConfig):
    name = "tests.testapp"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self):
        """Let every schedule fire each second, where a test has asked for that."""
        if os.environ.get("TEST_CRON_OF_SECONDS"):
            from datetime import timedelta

            from django_durable import cron

            cron.next_fire = lambda expression, timezone, after: (
                after.replace(microsecond=0) + timedelta(seconds=1)
            )
