"""What every test of this folder runs under."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="session", autouse=True)
def refused_transitions(django_db_setup: None, django_db_blocker: Any) -> None:
    """Let the database refuse every change of status that is not in the table."""
    # Models cannot be imported before Django is set up, and this file is.
    from tests.factories import refuse_other_transitions

    with django_db_blocker.unblock():
        refuse_other_transitions()
