"""What the tests of ``manage.py durable`` share."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command

Durable = Callable[..., str]


@pytest.fixture
def durable(db: None) -> Durable:
    """Run a subcommand and return what it prints."""

    def run(*arguments: str, **options: Any) -> str:
        stdout = io.StringIO()
        call_command("durable", *map(str, arguments), stdout=stdout, **options)
        return stdout.getvalue()

    return run


@pytest.fixture
def durable_json(durable: Durable) -> Callable[..., list[dict[str, Any]]]:
    """Run a subcommand with ``--format json`` and return its objects."""

    def run(*arguments: str) -> list[dict[str, Any]]:
        lines = durable(*arguments, "--format", "json").splitlines()
        return [json.loads(line) for line in lines]

    return run
