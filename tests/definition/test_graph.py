"""Class bodies become graphs, and mistakes are told where they are made."""

from datetime import timedelta

import pytest

from django_durable.definition import registry
from django_durable.definition.blocks import Branch, Case, Default, Loop
from django_durable.definition.compiling import snake_case
from django_durable.definition.retry import Retry
from django_durable.definition.steps import decision, step
from django_durable.definition.waits import Sleep, WaitForApproval, WaitForEvent
from django_durable.definition.workflow import Workflow
from django_durable.exceptions import DefinitionError, UnknownWorkflow
from django_durable.types import StepKind


class Paper(Workflow, name="graph_tests_paper", queue="papers", abstract=True):
    """Sort a paper.

    And more about it.
    """

    @step
    def scan(self, data): ...

    class Route(Branch):
        def on(self, kind):
            return kind

        class Invoice(Case, when=["invoice", "bill"]):
            @step
            def extract(self): ...

            class Size(Branch):
                def on(self, total):
                    return total > 100

                class Large(Case, when=True):
                    @step
                    def ask(self): ...

            @step
            def check(self): ...

        class Spam(Case, when="spam"):
            pass

        class Otherwise(Default):
            @step
            def review(self): ...

    cool_down = Sleep(timedelta(days=1))

    @decision(targets=["scan"])
    def good_enough(self): ...


def paths(workflow):
    return [node.path for node in workflow.definition.walk()]


def test_the_order_of_the_body_is_the_order_of_execution():
    assert paths(Paper) == [
        "scan",
        "route",
        "route.invoice.extract",
        "route.invoice.size",
        "route.invoice.size.large.ask",
        "route.invoice.check",
        "route.otherwise.review",
        "cool_down",
        "good_enough",
    ]


@pytest.mark.parametrize(
    ("path", "following"),
    [
        ("scan", "route"),
        ("route.invoice.extract", "route.invoice.size"),
        ("route.invoice.size.large.ask", "route.invoice.check"),
        ("route.invoice.check", "cool_down"),
        ("route.otherwise.review", "cool_down"),
        ("cool_down", "good_enough"),
        ("good_enough", None),
    ],
)
def test_what_follows_a_node(path, following):
    assert Paper.definition.after(path) == following


@pytest.mark.parametrize(
    ("answer", "entered"),
    [
        ("invoice", "route.invoice.extract"),
        ("bill", "route.invoice.extract"),
        ("spam", "cool_down"),
        ("anything", "route.otherwise.review"),
        (None, "route.otherwise.review"),
    ],
)
def test_a_branch_leads_to_its_case_or_past_the_block(answer, entered):
    graph = Paper.definition
    case = graph.find("route").choose(answer)

    assert (graph.enter("route", case) if case else graph.after("route")) == entered


def test_true_is_not_the_case_of_one():
    class Numbers(Workflow, abstract=True):
        class Which(Branch):
            def on(self, data): ...

            class One(Case, when=1):
                pass

            class Yes(Case, when=True):
                pass

    which = Numbers.definition.find("which")
    assert which.choose(True).path == "which.yes"
    assert which.choose(1).path == "which.one"
    assert which.choose(1.0).path == "which.one"
    assert which.choose(False) is None


@pytest.mark.parametrize(
    ("path", "name", "found"),
    [
        ("route.invoice.check", "extract", "route.invoice.extract"),
        ("route.invoice.size.large.ask", "check", "route.invoice.check"),
        ("route.invoice.size.large.ask", "cool_down", "cool_down"),
        ("scan", "extract", None),
        ("scan", "invoice", None),
        ("scan", "nothing", None),
    ],
)
def test_a_jump_reaches_its_own_block_and_those_around_it(path, name, found):
    assert Paper.definition.target(path, name) == found


def test_an_index_in_a_path_counts_and_does_not_choose_another_node():
    assert Paper.definition.find("route[3].invoice.check") is Paper.definition.find(
        "route.invoice.check"
    )


def test_a_case_is_no_node_to_stand_at():
    assert Paper.definition.find("route.invoice") is None


def test_options_and_description_are_part_of_the_graph():
    assert (Paper.definition.workflow, Paper.definition.queue) == (
        "graph_tests_paper",
        "papers",
    )
    assert Paper.definition.doc == "Sort a paper."


def test_a_subclass_overrides_a_node_in_its_place_and_keeps_options():
    class Better(Paper, abstract=True):
        @step(retry=5)
        def scan(self, data): ...

        @step
        def archive(self): ...

    assert paths(Better)[0] == "scan"
    assert paths(Better)[-1] == "archive"
    assert Better.definition.find("scan").retry == Retry(max_attempts=5)
    assert Better.definition.queue == "papers"
    assert Better.definition.workflow == "better"


def test_a_subclass_overrides_inside_a_block():
    class Better(Paper, abstract=True):
        class Route(Paper.Route):
            class Spam(Case, when="spam"):
                @step
                def report(self): ...

    assert "route.spam.report" in paths(Better)
    assert "route.invoice.extract" in paths(Better)
    assert paths(Better).index("route") == 1


def test_a_node_set_to_none_is_left_out():
    class Shorter(Paper, abstract=True):
        cool_down = None

    assert "cool_down" not in paths(Shorter)


def test_mixins_bring_their_nodes_first():
    class Audited(Workflow, abstract=True):
        @step
        def audit(self): ...

    class Both(Audited, Paper, abstract=True):
        pass

    assert paths(Both)[:2] == ["scan", "route"]
    assert paths(Both)[-1] == "audit"


def test_the_retry_of_the_workflow_is_that_of_its_steps():
    class Stubborn(Workflow, retry=4, abstract=True):
        @step
        def first(self): ...

        @step(retry=Retry(max_attempts=2))
        def second(self): ...

    assert Stubborn.definition.find("first").retry.max_attempts == 4
    assert Stubborn.definition.find("second").retry.max_attempts == 2


def test_steps_stay_plain_methods():
    class Plain(Workflow, abstract=True):
        @step
        def double(self, n, data):
            """Double it."""
            return {"n": n * 2, **data}

    assert Plain().double(4, data={"a": 1}) == {"n": 8, "a": 1}
    assert Plain.double.__doc__ == "Double it."


def test_a_block_reaches_what_stands_around_it():
    class Outer(Workflow, abstract=True):
        def limit(self):
            return 7

        class Which(Branch):
            extra = 1

            def on(self, data):
                return self.limit() + self.extra

            class Seven(Case, when=8):
                @step
                def use(self):
                    return {"limit": self.limit() + self.extra}

    block = Outer.Which(Outer())
    assert block.on({}) == 8
    assert Outer.Which.Seven(block).use() == {"limit": 8}
    with pytest.raises(AttributeError, match="nothing"):
        _ = block.nothing_of_the_kind


def test_wait_nodes_are_named_by_their_attribute():
    class Waits(Workflow, abstract=True):
        paid = WaitForEvent("payment.success")

    assert Waits.definition.find("paid").kind is StepKind.WAIT


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ProcessOrder", "process_order"),
        ("HTTPCheck", "http_check"),
        ("CheckHTTP", "check_http"),
        ("Route2", "route2"),
        ("already_snake", "already_snake"),
    ],
)
def test_names_become_snake_case(name, expected):
    assert snake_case(name) == expected


def two_of_one_name():
    class One(Workflow, abstract=True):
        @step(name="same")
        def first(self): ...

        @step
        def same(self): ...


def unknown_option():
    class One(Workflow, abstract=True, que="x"):
        pass


def wrong_timeout():
    class One(Workflow, abstract=True, timeout=30):
        pass


def endless_timeout():
    class One(Workflow, abstract=True, timeout=timedelta(days=10**6)):
        pass


def wrong_retry():
    class One(Workflow, abstract=True, retry="often"):
        pass


def unknown_target():
    class One(Workflow, abstract=True):
        @decision(targets=["nowhere"])
        def choose(self): ...


def target_inside_a_case():
    class One(Workflow, abstract=True):
        @decision(targets=["inner"])
        def choose(self): ...

        class Which(Branch):
            def on(self): ...

            class Yes(Case, when=True):
                @step
                def inner(self): ...


def branch_without_on():
    class One(Workflow, abstract=True):
        class Which(Branch):
            class Yes(Case, when=True):
                pass


def branch_without_cases():
    class One(Workflow, abstract=True):
        class Which(Branch):
            def on(self): ...


def step_in_a_branch():
    class One(Workflow, abstract=True):
        class Which(Branch):
            def on(self): ...

            class Yes(Case, when=True):
                pass

            @step
            def lost(self): ...


def two_defaults():
    class One(Workflow, abstract=True):
        class Which(Branch):
            def on(self): ...

            class Else(Default):
                pass

            class Otherwise(Default):
                pass


def two_cases_of_one_value():
    class One(Workflow, abstract=True):
        class Which(Branch):
            def on(self): ...

            class Yes(Case, when=["a", "b"]):
                pass

            class No(Case, when="b"):
                pass


def case_without_when():
    class One(Workflow, abstract=True):
        class Which(Branch):
            def on(self): ...

            class Yes(Case):
                pass


def case_outside_a_branch():
    class One(Workflow, abstract=True):
        class Yes(Case, when=True):
            pass


def unknown_option_of_a_block():
    class Which(Branch, mode="fast"):
        def on(self): ...


def undecorated_override():
    class One(Paper, abstract=True):
        def scan(self, data): ...


def async_and_atomic():
    class One(Workflow, abstract=True):
        @step(atomic=True)
        async def write(self): ...


def timeout_in_plain_seconds():
    class One(Workflow, abstract=True):
        @step(timeout=5)
        def slow(self): ...


def starred_parameters():
    class One(Workflow, abstract=True):
        @step
        def greedy(self, **everything): ...


def targets_as_text():
    class One(Workflow, abstract=True):
        @decision(targets="ship")
        def choose(self): ...


def sleep_of_nothing():
    Sleep()


def name_with_a_dot():
    class One(Workflow, abstract=True):
        @step(name="a.b")
        def first(self): ...


def timeout_of_a_million_years():
    class One(Workflow, abstract=True, timeout=timedelta(days=365_000_000)):
        pass


def priority_beyond_the_column():
    class One(Workflow, abstract=True, priority=2**31):
        pass


def empty_name():
    class One(Workflow, abstract=True, name=""):
        pass


def name_longer_than_the_column():
    class One(Workflow, abstract=True, name="x" * 201):
        pass


def step_that_may_take_a_million_years():
    class One(Workflow, abstract=True):
        @step(timeout=timedelta(days=365_000_000))
        def slow(self): ...


def path_longer_than_the_column():
    nodes = {"work": step(lambda self: None)}
    for number in range(9):
        body = {**nodes, "condition": lambda self: False}
        name = "R" * 45 + str(number)
        nodes = {name: type(name, (Loop,), body)}
    type("One", (Workflow,), nodes, abstract=True)


def wait_in_plain_seconds():
    WaitForApproval(timeout=30)


def sleep_in_plain_seconds():
    Sleep(30)


def wait_that_never_was():
    WaitForEvent("news", timeout=timedelta(0))


def event_without_a_name():
    WaitForEvent("")


def timeout_that_does_something_else():
    WaitForApproval(on_timeout="explode")


@pytest.mark.parametrize(
    ("mistake", "id", "told"),
    [
        (unknown_option, "E002", "que"),
        (wrong_timeout, "E003", "hours(2)"),
        (endless_timeout, "E003", "100 years"),
        (wrong_retry, "E003", "number of attempts"),
        (two_of_one_name, "E004", "One.same"),
        (unknown_target, "E005", "nowhere"),
        (target_inside_a_case, "E005", "inner"),
        (branch_without_on, "E006", "def on"),
        (branch_without_cases, "E007", "class Name(Case"),
        (step_in_a_branch, "E007", "which.lost"),
        (two_defaults, "E008", "two defaults"),
        (two_cases_of_one_value, "E008", "when='b'"),
        (case_without_when, "E008", "descend from Default"),
        (undecorated_override, "E009", "One.scan"),
        (async_and_atomic, "E010", "awaits"),
        (timeout_in_plain_seconds, "E011", "seconds(30)"),
        (starred_parameters, "E012", "**everything"),
        (targets_as_text, "E013", "['ship']"),
        (sleep_of_nothing, "E014", "days(3)"),
        (unknown_option_of_a_block, "E015", "mode"),
        (case_outside_a_branch, "E016", "Branch"),
        (name_with_a_dot, "E017", "letters"),
        (timeout_of_a_million_years, "E003", "100 years"),
        (priority_beyond_the_column, "E003", "larger runs first"),
        (empty_name, "E003", "printable"),
        (name_longer_than_the_column, "E003", "200 characters"),
        (step_that_may_take_a_million_years, "E011", "100 years"),
        (path_longer_than_the_column, "E019", "nest less deeply"),
        (wait_in_plain_seconds, "E022", "days(3)"),
        (sleep_in_plain_seconds, "E022", "days(3)"),
        (wait_that_never_was, "E022", "days(3)"),
        (event_without_a_name, "E022", "name of an event"),
        (timeout_that_does_something_else, "E022", "'resume' or 'fail'"),
    ],
)
def test_a_mistake_is_told_at_import_with_id_place_and_remedy(mistake, id, told):
    with pytest.raises(DefinitionError) as raised:
        mistake()

    assert f"durable.{id}" in str(raised.value)
    assert told in str(raised.value)


def test_all_mistakes_of_a_body_are_told_at_once():
    with pytest.raises(DefinitionError) as raised:

        class One(Workflow, abstract=True):
            @decision(targets=["nowhere"])
            def choose(self): ...

            class Which(Branch):
                class Yes(Case):
                    pass

    assert [line[:12] for line in str(raised.value).splitlines()] == [
        "durable.E006",
        "durable.E008",
        "durable.E005",
    ]


def test_two_workflows_of_one_name_are_a_mistake():
    class First(Workflow, name="graph_tests_same"):
        pass

    with pytest.raises(DefinitionError, match=r"durable\.E001.*graph_tests_same"):

        class Second(Workflow, name="graph_tests_same"):
            pass

    assert registry.get("graph_tests_same") is First


def test_a_module_that_is_imported_again_replaces_its_workflows():
    def define():
        class Again(Workflow, name="graph_tests_again"):
            pass

        return Again

    define()
    second = define()

    assert registry.get("graph_tests_again") is second


def test_an_unknown_workflow_is_told_with_the_known_ones():
    class Known(Workflow, name="graph_tests_known"):
        pass

    with pytest.raises(UnknownWorkflow, match=r"'nope'.*graph_tests_known"):
        registry.get("nope")


def test_an_abstract_workflow_is_not_registered():
    assert registry.find("graph_tests_paper") is None


@pytest.mark.parametrize(
    "options",
    [
        {"max_attempts": 0},
        {"backoff": "quadratic"},
        {"jitter": 2},
        {"base": 5},
        {"max_backoff": timedelta(seconds=-1)},
    ],
)
def test_an_impossible_retry_is_refused_where_it_is_written(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Retry(**options)
