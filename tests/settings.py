"""The settings of the test project, with the application of the tests beside its own."""

from __future__ import annotations

import json
import os

from testproject.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.testapp"]  # noqa: F405

# A second database, for processes of the tests of instances.
if os.environ.get("TEST_OTHER_DATABASE_URL"):
    DATABASES["other"] = database_urls.parse(  # noqa: F405
        os.environ["TEST_OTHER_DATABASE_URL"]
    )

# Worker processes get theirs from the test that starts them.
DURABLE = json.loads(os.environ.get("TEST_DURABLE", "{}"))
