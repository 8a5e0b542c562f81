"""``Workflow.graph()``: nodes, edges, and Mermaid that survives hostile names."""

from __future__ import annotations

import pytest

from django_durable import (
    Branch,
    CallWorkflow,
    Case,
    Default,
    DefinitionError,
    Each,
    Goto,
    Lane,
    Loop,
    Parallel,
    Sleep,
    WaitForApproval,
    WaitForEvent,
    Workflow,
    days,
    decision,
    minutes,
    step,
)


def nothing(self): ...


class AllBlocks(Workflow, abstract=True):
    first = step(nothing)

    @first.compensate
    def undo(self): ...

    class Route(Branch):
        def on(self): ...

        class Small(Case, when=[1, 2]):
            cheap = step(nothing)

        class Empty(Case, when="none"):
            pass

        class Otherwise(Default):
            nap = Sleep(days(1))

    class Checks(Parallel, on_error="complete_all"):
        fraud = step(nothing)

        class Legal(Lane):
            read = step(nothing)
            paid = WaitForEvent("paid")

    class Every(Each, max_concurrency=10):
        def items(self): ...

        send = step(nothing)

    class Again(Loop, max_iterations=5):
        def condition(self): ...

        poll = step(nothing)

        @decision(targets=["checks"])
        def enough(self):
            return Goto("checks")


GOLDEN = """\
flowchart TD
    n0(("start"))
    n1["first<br>undone on failure"]
    n2{"route"}
    subgraph n3["small"]
        n4["cheap"]
    end
    subgraph n5["empty"]
    end
    subgraph n6["otherwise"]
        n7(["nap<br>sleep 1 day"])
    end
    subgraph n8["checks<br>complete_all"]
        n9["fraud"]
        subgraph n10["legal"]
            n11["read"]
            n12(["paid<br>event paid"])
        end
    end
    subgraph n13["every<br>at most 10 at once"]
        n14["send"]
    end
    subgraph n15["again<br>at most 5 rounds"]
        n16["poll"]
        n17{"enough"}
    end
    n18(("end"))
    n0 --> n1
    n1 --> n2
    n2 -->|"1, 2"| n4
    n2 -->|"otherwise"| n7
    n4 --> n9
    n2 -->|"none"| n9
    n7 --> n9
    n4 --> n11
    n2 -->|"none"| n11
    n7 --> n11
    n11 --> n12
    n9 --> n14
    n12 --> n14
    n14 --> n16
    n16 --> n17
    n17 -->|"again"| n16
    n17 --> n18
    n14 -->|"no round"| n18
    n17 -.->|"checks"| n9
"""


def test_a_workflow_of_all_blocks_is_drawn_as_agreed():
    assert AllBlocks.graph().to_mermaid() == GOLDEN


def test_nodes_say_what_they_are_and_what_is_around_them():
    nodes = {node.path: node for node in AllBlocks.graph().nodes}

    assert nodes["checks.legal.paid"].kind == "wait"
    assert nodes["checks.legal.paid"].around == "checks.legal"
    assert nodes["checks"].is_block
    assert not nodes["route"].is_block
    assert nodes["again.enough"].kind == "decision"
    edges = {(edge.source, edge.target) for edge in AllBlocks.graph().edges}
    assert all(source in nodes and target in nodes for source, target in edges)


def test_nodes_say_what_they_wait_for_and_how_often_they_are_tried():
    class Telling(Workflow, abstract=True):
        nap = Sleep(days(3))
        later = Sleep(until=lambda data: data["at"])
        paid = WaitForEvent("payment.success", timeout=days(7))
        ask = WaitForApproval(prompt="{x}?", group="finance", timeout=minutes(90))
        bill = CallWorkflow("billing")

        @step(retry=4)
        def charge(self):
            """Take the money.

            All of it.
            """

    nodes = {node.path: node for node in Telling.graph().nodes}

    assert {path: (node.wait, node.note) for path, node in nodes.items()} == {
        "(start)": ("", ""),
        "nap": ("sleep", "sleep 3 days"),
        "later": ("sleep", "sleep"),
        "paid": ("event", "event payment.success, at most 7 days"),
        "ask": ("input", "approval by finance, at most 1 hour 30 minutes"),
        "bill": ("child", "workflow billing"),
        "charge": ("", ""),
        "(end)": ("", ""),
    }
    assert nodes["charge"].max_attempts == 4
    assert nodes["charge"].doc == "Take the money."


def test_a_case_says_which_answers_lead_into_it():
    nodes = {node.path: node for node in AllBlocks.graph().nodes}

    assert nodes["route.small"].when == "1, 2"
    assert nodes["route.empty"].when == "none"
    assert nodes["route.otherwise"].when == "otherwise"


def test_every_node_can_be_reached_and_left():
    chart = AllBlocks.graph()
    steps = {node.path for node in chart.nodes if not node.is_block}

    assert steps - {"(start)"} == {edge.target for edge in chart.edges}
    assert steps - {"(end)"} == {edge.source for edge in chart.edges}


@pytest.mark.parametrize(
    "hostile",
    ['"] --> n0; click n1 "javascript:x"', "<script>", "a|b", "end", "`x`\n%%"],
)
def test_what_mermaid_would_read_as_syntax_is_escaped(hostile):
    class Hostile(Workflow, abstract=True):
        class Route(Branch):
            def on(self): ...

            class One(Case, when=hostile):
                only = step(nothing)

    lines = Hostile.graph().to_mermaid().splitlines()

    (label,) = (line for line in lines if line.endswith("| n3"))
    assert len(lines) == 11, "none was added"
    inside = label.removeprefix('    n1 -->|"').removesuffix('"| n3')
    assert not set(inside) & set('"<>|`%\n[]{}')


def test_a_step_called_start_or_end_is_not_the_start_or_the_end():
    class Confusing(Workflow, abstract=True):
        start = step(nothing)
        end = step(nothing)

    chart = Confusing.graph()

    assert len({node.path for node in chart.nodes}) == len(chart.nodes) == 4
    assert len(chart.edges) == 3


# --- Mistakes -------------------------------------------------------------------------


def body_of(kind, *, base=(), **members):
    return type("Wrong", (kind,), members, **dict(base))


@pytest.mark.parametrize(
    ("number", "make"),
    [
        ("E006", lambda: body_of(Each, only=step(nothing))),
        ("E006", lambda: body_of(Loop, only=step(nothing))),
        ("E006", lambda: body_of(Branch, One=body_of(Case, base={"when": 1}.items()))),
        ("E007", lambda: body_of(Parallel)),
        ("E007", lambda: body_of(Each, items=nothing)),
        ("E007", lambda: body_of(Loop, condition=nothing)),
        ("E007", lambda: body_of(Branch, on=nothing)),
        ("E007", lambda: body_of(Parallel, Inner=body_of(Lane))),
        ("E015", lambda: body_of(Parallel, base={"max_concurrency": 3}.items())),
        ("E015", lambda: body_of(Lane, base={"on_error": "fail_fast"}.items())),
        ("E016", lambda: body_of(Lane, only=step(nothing))),
        ("E016", lambda: body_of(Case, base={"when": 1}.items())),
        ("E018", lambda: body_of(Parallel, base={"on_error": "ignore"}.items())),
        ("E018", lambda: body_of(Each, base={"max_concurrency": 0}.items())),
        ("E018", lambda: body_of(Each, base={"max_concurrency": True}.items())),
        ("E018", lambda: body_of(Loop, base={"max_iterations": None}.items())),
    ],
)
def test_a_mistake_in_a_block_is_an_error_at_import(number, make):
    with pytest.raises(DefinitionError, match=f"durable.{number}"):
        type("Mistaken", (Workflow,), {"Block": make()}, abstract=True)


def test_a_target_in_another_member_is_an_error_at_import():
    with pytest.raises(DefinitionError, match="E005"):

        class Across(Workflow, abstract=True):
            class Both(Parallel):
                class Left(Lane):
                    @decision(targets=["there"])
                    def jump(self): ...

                class Right(Lane):
                    there = step(nothing)
