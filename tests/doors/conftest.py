"""What the tests of this folder run under."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

# Models cannot be imported before Django is set up, and this file is.


@pytest.fixture(scope="session", autouse=True)
def refused_transitions(django_db_setup: None, django_db_blocker: Any) -> None:
    """Let the database refuse every change of status that is not in the table."""
    from tests.factories import refuse_other_transitions

    with django_db_blocker.unblock():
        refuse_other_transitions()


@pytest.fixture
def transactional_db(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """A database where transactions are real, for threads and crashes.

    Emptied by deleting a few rows: to flush every table, as pytest-django does, takes
    longer than most tests.
    """
    from tests.factories import emptied_afterwards

    with django_db_blocker.unblock(), emptied_afterwards():
        yield
