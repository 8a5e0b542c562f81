"""Which open executions the present code can continue."""

from __future__ import annotations

import pytest

from django_durable import Each, Lane, Loop, Parallel, Workflow, step
from django_durable.engine.deployed import missing_code
from django_durable.types import ExecutionStatus


class Deployed(Workflow, abstract=True):
    @step
    def first(self): ...

    class Both(Parallel):
        @step
        def left(self): ...

        class Right(Lane):
            @step
            def inner(self): ...

    class Items(Each):
        def items(self):
            return []

        @step
        def send(self): ...

    class Rounds(Loop):
        def condition(self):
            return False

        @step
        def poll(self): ...


def missing(position: str, scope: str = "", status: str = "waiting") -> str | None:
    return missing_code(
        Deployed.definition,
        position=position or None,
        scope=scope,
        status=ExecutionStatus(status),
    )


@pytest.mark.parametrize(
    ("position", "scope"),
    [
        ("", ""),
        ("first", ""),
        ("both", ""),
        ("", "both.left"),
        ("both.left", "both.left"),
        ("", "both.right"),
        ("both.right.inner", "both.right"),
        ("", "items[7]"),
        ("items[7].send", "items[7]"),
        ("rounds[3].poll", ""),
    ],
)
def test_what_stands_in_this_code_lacks_nothing(position, scope):
    assert missing(position, scope) is None


@pytest.mark.parametrize(
    ("position", "scope", "named"),
    [
        ("gone", "", "gone"),
        ("rounds[3].gone", "", "gone"),
        ("", "both.gone", "both.gone"),
        ("both.gone", "both.gone", "both.gone"),
        ("", "first", "first"),
        ("", "gone[1]", "gone[1]"),
        ("items[7].gone", "items[7]", "items[7].gone"),
    ],
)
def test_what_is_gone_from_the_code_is_named(position, scope, named):
    assert named in (missing(position, scope) or "")


def test_a_workflow_that_is_gone_is_missing_whatever_it_does():
    reason = missing_code(
        None, position=None, scope="", status=ExecutionStatus.COMPENSATING
    )

    assert reason == "there is no such workflow"


def test_undoing_needs_no_position():
    assert missing("gone", status="compensating") is None
