"""What the planner answers, as tables; and that it always answers."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_durable.definition.graph import Graph
from django_durable.definition.nodes import BranchNode, CaseNode, StepNode
from django_durable.definition.paths import join
from django_durable.definition.retry import ONCE, Retry
from django_durable.definition.steps import Goto
from django_durable.engine.actions import (
    CancelExecution,
    Choose,
    Complete,
    GiveUp,
    GoOn,
    MoveQueue,
    Park,
    RunStep,
    StepFailed,
    TryAgain,
    Wait,
)
from django_durable.engine.outcomes import (
    CancelledItself,
    Raised,
    Returned,
    Snoozed,
    Suspended,
)
from django_durable.engine.planner import after_attempt, after_choice, next_action
from django_durable.engine.retrying import attempts_allowed, backoff, delay_after_loss
from django_durable.engine.state import ExecutionState
from django_durable.engine.waiting import WaitKey, WaitRequest
from django_durable.types import ErrorInfo, StepKind, StepStatus, WaitKind

THRICE = Retry(max_attempts=3, jitter=0)


def step(path, **options):
    return StepNode(path=path, kind=options.pop("kind", StepKind.STEP), **options)


def branch(path, **cases):
    return BranchNode(
        path=path,
        on=lambda: None,
        cases=tuple(
            CaseNode(
                path=join(path, name),
                values=(name,),
                is_default=False,
                nodes=tuple(nodes),
            )
            for name, nodes in cases.items()
        ),
    )


GRAPH = Graph(
    workflow="order",
    max_steps=50,
    nodes=(
        step("a"),
        branch("route", x=[step("route.x.b", queue="slow")]),
        step("c", retry=THRICE),
        step("d", kind=StepKind.DECISION, targets=("a", "c")),
    ),
)
A, B, C, D = (GRAPH.find(path) for path in ("a", "route.x.b", "c", "d"))


def plan(position, graph=GRAPH, max_lost=3, **state):
    return next_action(
        graph, ExecutionState(position=position, **state), max_lost=max_lost
    )


@pytest.mark.parametrize(
    ("state", "action"),
    [
        ({"position": None}, RunStep(path="a", node=A, attempt=1)),
        ({"position": "a", "attempt": 2}, RunStep(path="a", node=A, attempt=2)),
        ({"position": "route"}, Choose(path="route", node=GRAPH.find("route"))),
        ({"position": "route.x.b"}, MoveQueue(position="route.x.b", queue="slow")),
        (
            {"position": "route.x.b", "queue": "slow"},
            RunStep(path="route.x.b", node=B, attempt=1),
        ),
        ({"position": "c", "queue": "slow"}, MoveQueue(position="c", queue="default")),
        ({"position": "gone"}, Park(reason="code for gone is not deployed here")),
        ({"position": "c", "attempt": 3}, RunStep(path="c", node=C, attempt=3)),
        ({"position": "a", "attempt": 4}, RunStep(path="a", node=A, attempt=4)),
    ],
)
def test_the_next_action_of_a_state(state, action):
    assert plan(**state) == action


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ({"position": "a", "is_expired": True}, "workflow_timeout"),
        ({"position": None, "is_expired": True}, "workflow_timeout"),
        ({"position": "gone", "is_expired": True}, "workflow_timeout"),
        ({"position": "a", "sequence": 50}, "max_steps"),
        ({"position": "a", "attempt": 5}, "worker_lost"),
        ({"position": "c", "attempt": 4}, "worker_lost"),
        ({"position": "a", "attempt": 2, "max_lost": 0}, "worker_lost"),
    ],
)
def test_an_execution_is_given_up(state, error):
    action = plan(**state)

    assert isinstance(action, GiveUp)
    assert action.error["type"] == error


def test_a_workflow_that_this_code_does_not_have_is_parked():
    assert plan("a", graph=None) == Park(
        reason="code for its workflow is not deployed here"
    )


def test_a_workflow_without_nodes_is_complete_at_once():
    assert plan(None, graph=Graph(workflow="empty", nodes=())) == Complete()


def after(node, outcome, attempt=1, draw=0.5):
    run = RunStep(path=node.path, node=node, attempt=attempt)
    return after_attempt(GRAPH, run, outcome, draw=draw)


def returned(goto=None):
    return Returned(data={"n": 1}, output={"n": 1}, goto=goto)


@pytest.mark.parametrize(
    ("node", "goto", "position"),
    [
        (A, None, "route"),
        (B, None, "c"),
        (D, None, None),
        (D, Goto("a"), "a"),
        (D, Goto("c"), "c"),
    ],
)
def test_a_step_that_returned_is_followed_by_the_next_or_by_its_target(
    node, goto, position
):
    assert after(node, returned(goto)) == GoOn(
        position=position, data={"n": 1}, output={"n": 1}
    )


@pytest.mark.parametrize(("node", "target"), [(D, "d"), (D, "nowhere"), (A, "c")])
def test_a_jump_that_was_not_declared_fails_the_step(node, target):
    consequence = after(node, returned(Goto(target)))

    assert isinstance(consequence, StepFailed)
    assert consequence.error.type == "decision_error"
    assert repr(target) in consequence.error.message


ERROR = ErrorInfo("ConnectionError", "no route", "c")


def raised(exception, **options):
    return Raised(error=ERROR, exception=exception, **options)


def again(seconds, attempt, status=StepStatus.FAILED, error=ERROR):
    return TryAgain(
        delay=timedelta(seconds=seconds), attempt=attempt, status=status, error=error
    )


@pytest.mark.parametrize(
    ("outcome", "attempt", "consequence"),
    [
        (raised(ConnectionError()), 1, again(2, 2)),
        (raised(ConnectionError()), 2, again(4, 3)),
        (
            raised(ConnectionError()),
            3,
            StepFailed(error=ERROR, status=StepStatus.FAILED),
        ),
        (raised(None), 1, StepFailed(error=ERROR, status=StepStatus.FAILED)),
        (
            raised(ConnectionError(), delay=timedelta(seconds=70)),
            1,
            again(70, 2),
        ),
        (
            raised(ConnectionError(), delay=timedelta(seconds=70)),
            3,
            StepFailed(error=ERROR, status=StepStatus.FAILED),
        ),
        (
            raised(TimeoutError(), is_timeout=True),
            1,
            again(2, 2, status=StepStatus.TIMED_OUT),
        ),
        (
            raised(SystemExit()),
            1,
            StepFailed(error=ERROR, status=StepStatus.FAILED),
        ),
    ],
)
def test_what_follows_a_failed_attempt(outcome, attempt, consequence):
    assert after(C, outcome, attempt=attempt) == consequence


def test_a_step_without_retry_has_one_attempt():
    assert isinstance(after(A, raised(ConnectionError())), StepFailed)


def test_a_policy_chooses_what_it_tries_again():
    policy = Retry(on=(OSError,), give_up_on=ConnectionError)

    assert policy.covers(FileNotFoundError())
    assert not policy.covers(ConnectionResetError())
    assert not policy.covers(ValueError())


def test_a_snooze_uses_no_attempt():
    assert after(C, Snoozed(delay=timedelta(hours=1)), attempt=2) == again(
        3600, 2, status=StepStatus.SNOOZED, error=None
    )


def test_a_suspension_is_a_wait_and_a_cancel_cancels():
    request = WaitRequest(key=WaitKey(WaitKind.SLEEP, "", 0))

    assert after(A, Suspended(request=request)) == Wait(request=request)
    assert after(A, CancelledItself(reason="why")) == CancelExecution(reason="why")


def test_a_branch_that_matches_nothing_is_skipped():
    route = GRAPH.find("route")

    assert after_choice(GRAPH, "route", route, "x") == "route.x.b"
    assert after_choice(GRAPH, "route", route, "y") == "c"


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [
        ("exponential", [2, 4, 8, 10, 10]),
        ("linear", [1, 2, 3, 4, 5]),
        ("constant", [1, 1, 1, 1, 1]),
    ],
)
def test_backoff_grows_by_kind_up_to_its_cap(kind, seconds):
    policy = Retry(backoff=kind, max_backoff=timedelta(seconds=10), jitter=0)

    delays = [backoff(policy, attempt=attempt, draw=0.9) for attempt in range(1, 6)]

    assert [delay.total_seconds() for delay in delays] == seconds


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 10**9))
def test_jitter_spreads_a_delay_around_its_middle(draw, attempt):
    policy = Retry(max_backoff=timedelta(seconds=100), jitter=0.25)
    middle = min(2.0 ** min(attempt, 60), 100)

    delay = backoff(policy, attempt=attempt, draw=draw).total_seconds()

    assert 0.75 * middle - 1e-6 <= delay <= 1.25 * middle + 1e-6


def test_a_lost_attempt_uses_one_up_only_where_there_are_several():
    assert attempts_allowed(ONCE, max_lost=3) == 4
    assert attempts_allowed(Retry(max_attempts=2), max_lost=3) == 2


def test_what_keeps_killing_its_worker_comes_back_later_and_later():
    seconds = [delay_after_loss(attempt).total_seconds() for attempt in range(1, 9)]

    assert seconds == [0, 2, 4, 8, 16, 32, 60, 60]


# --- Properties: any graph, any state, any outcome ------------------------------------

names = st.lists(st.sampled_from("abcdefg"), unique=True, min_size=0, max_size=4)


@st.composite
def bodies(draw, around="", depth=0):
    nodes = []
    for name in draw(names):
        path = join(around, name)
        if depth < 3 and draw(st.booleans()):
            cases = [
                CaseNode(
                    path=join(path, case),
                    values=(case,),
                    is_default=draw(st.booleans()),
                    nodes=draw(bodies(join(path, case), depth + 1)),
                )
                for case in draw(names)
            ]
            nodes.append(BranchNode(path=path, on=lambda: None, cases=tuple(cases)))
        else:
            nodes.append(
                step(
                    path,
                    kind=draw(st.sampled_from([StepKind.STEP, StepKind.DECISION])),
                    retry=Retry(max_attempts=draw(st.integers(1, 3))),
                    queue=draw(st.sampled_from([None, "slow"])),
                    targets=tuple(draw(names)),
                )
            )
    return tuple(nodes)


graphs = st.builds(
    lambda nodes: Graph(workflow="random", nodes=nodes, max_steps=30), bodies()
)
outcomes = st.one_of(
    st.just(returned()),
    st.builds(lambda name: returned(Goto(name)), st.sampled_from("abcdefg")),
    st.sampled_from([raised(ValueError()), raised(None), Snoozed(delay=timedelta(0))]),
    st.just(CancelledItself(reason="")),
)


@given(graphs, st.data())
def test_any_graph_is_run_to_an_end_without_an_exception(graph, data):
    state, answered = ExecutionState(position=None), 0
    while True:
        answered += 1
        assert answered < 2000, "the planner stalls"
        action = next_action(graph, state, max_lost=3)
        match action:
            case Complete() | GiveUp():
                return
            case Park():
                pytest.fail("a position that the graph itself gave is known to it")
            case MoveQueue(queue=queue):
                state = moved(state, queue=queue)
            case Choose(path=path, node=node):
                answer = data.draw(st.sampled_from("abcdefgh"))
                position = after_choice(graph, path, node, answer)
                if position is None:
                    return
                state = moved(state, position=position)
            case RunStep():
                outcome = data.draw(outcomes)
                match after_attempt(graph, action, outcome, draw=0.5):
                    case GoOn(position=None) | StepFailed() | CancelExecution():
                        return
                    case GoOn(position=position):
                        state = moved(
                            state,
                            position=position,
                            sequence=state.sequence + 1,
                            attempt=1,
                        )
                    case TryAgain(attempt=attempt):
                        state = moved(state, position=action.path, attempt=attempt)


def moved(state, **changes):
    values = {
        "position": state.position,
        "sequence": state.sequence,
        "attempt": state.attempt,
        "queue": state.queue,
    }
    return ExecutionState(**{**values, **changes})


@given(graphs, st.text(max_size=20), st.integers(0, 100), st.integers(1, 9))
def test_any_stored_position_has_an_answer(graph, position, sequence, attempt):
    state = ExecutionState(position=position, sequence=sequence, attempt=attempt)

    assert next_action(graph, state, max_lost=3) is not None
