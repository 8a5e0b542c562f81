"""System checks: what is wrong with the settings, said before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings
from django.core import checks
from django.forms import FileField
from django.urls import NoReverseMatch, reverse

from django_durable import conf, cron, database_checks
from django_durable.definition import registry
from django_durable.definition.graph import Graph
from django_durable.definition.nodes import StepNode
from django_durable.definition.schedules import ScheduleSpec, code_schedules
from django_durable.definition.workflow import Workflow


def register() -> None:
    """Make Django run the checks of this module."""
    checks.register(check_settings)
    checks.register(check_queues)
    checks.register(check_schedules)
    checks.register(check_input_forms)
    checks.register(check_doors_have_urls, checks.Tags.urls)
    checks.register(check_links_are_private, checks.Tags.security, deploy=True)
    for check in database_checks.CHECKS:
        checks.register(check)


def check_settings(**_: Any) -> Sequence[checks.CheckMessage]:
    """``durable.E101``: unknown keys and wrong types in ``settings.DURABLE``."""
    found = conf.find_problems(
        getattr(settings, "DURABLE", {}), databases=settings.DATABASES
    )
    return [
        checks.Error(problem.message, hint=problem.hint, id="durable.E101")
        for problem in found
    ]


def check_queues(**_: Any) -> Sequence[checks.CheckMessage]:
    """``durable.W101``: a workflow or step names a queue that no worker serves."""
    if check_settings():
        return []
    served = {
        queue
        for name in conf.get_instances()
        for queue in conf.get_settings(name).queues
    }
    return [
        checks.Warning(
            f"{where} uses the queue {queue!r}, which no instance has in QUEUES.",
            hint=f"Add it to settings.DURABLE, or use one of: {', '.join(sorted(served))}.",
            id="durable.W101",
        )
        for name in registry.names()
        for where, queue in [
            *_queues(registry.get(name).definition),
            *_schedule_queues(registry.get(name)),
        ]
        if queue not in served
    ]


def check_schedules(**_: Any) -> Sequence[checks.CheckMessage]:
    """``durable.E110``: a schedule of the code that cannot work."""
    found: list[checks.CheckMessage] = []
    owners: dict[tuple[str, str], str] = {}
    for spec in code_schedules():
        owner = owners.setdefault((spec.durable, spec.name), spec.workflow)
        found.extend(
            checks.Error(
                f"The schedule {spec.name!r} of workflow {spec.workflow}: {problem}",
                hint=hint,
                id="durable.E110",
            )
            for problem, hint in _schedule_problems(spec, owner)
        )
    return found


def check_input_forms(**_: Any) -> Sequence[checks.CheckMessage]:
    """``durable.W105``: the form of an input asks for a file, which cannot be stored."""
    graphs = [registry.get(name).definition for name in registry.names()]
    return [
        checks.Warning(
            f"The input_form of workflow {graph.workflow} has the file field {name!r}.",
            hint="An execution holds no files. Save the file in a model, and take that.",
            id="durable.W105",
        )
        for graph in graphs
        for name, field in getattr(graph.input_form, "base_fields", {}).items()
        if isinstance(field, FileField)
    ]


def check_doors_have_urls(**_: Any) -> Sequence[checks.CheckMessage]:
    """``durable.W106``: a signed door is open, and no URL leads to it."""
    is_open = any(one.answer_links or one.webhook for one in _instances())
    if not is_open or not getattr(settings, "ROOT_URLCONF", None):
        return []
    try:
        reverse("django_durable:answer")
    except NoReverseMatch:
        return [
            checks.Warning(
                "ANSWER_LINKS or WEBHOOK opens a door, and no URL leads to it.",
                hint=(
                    "Add to urlpatterns: "
                    'path("durable/", include("django_durable.urls")).'
                ),
                id="durable.W106",
            )
        ]
    return []


def check_links_are_private(**_: Any) -> Sequence[checks.CheckMessage]:
    """``durable.W107``: links that answer would travel where others can read them."""
    return [
        checks.Warning(
            f'DURABLE["{one.alias}"]["ANSWER_LINKS"]["base_url"] is not https, so '
            "whoever reads the traffic can answer.",
            hint="Give the https:// address of the site.",
            id="durable.W107",
        )
        for one in _instances()
        if one.answer_links and one.answer_links.base_url.startswith("http:")
    ]


def _instances() -> Sequence[conf.Settings]:
    """Return the settings of all instances; of a wrong setting ``E101`` tells."""
    if check_settings():
        return []
    return [conf.get_settings(name) for name in conf.get_instances()]


def _schedule_problems(spec: ScheduleSpec, owner: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a schedule, and what would be right."""
    problems = (cron.validate(spec.cron), cron.validate_timezone(spec.timezone))
    for problem in filter(None, problems):
        yield problem, "Correct the @schedule above the class."
    if owner != spec.workflow:
        yield (
            f"workflow {owner} has a schedule of that name too.",
            'Give one of them another name: @schedule(…, name="…").',
        )
    if spec.durable not in conf.get_instances():
        yield (
            f"settings.DURABLE has no instance {spec.durable!r}.",
            f"Use one of: {', '.join(conf.get_instances())}.",
        )


def _queues(graph: Graph) -> list[tuple[str, str]]:
    """Return where a workflow names which queue."""
    steps = [node for node in graph.walk() if isinstance(node, StepNode) and node.queue]
    return [
        (f"Workflow {graph.workflow}", graph.queue),
        *(
            (f"Step {node.path} of workflow {graph.workflow}", node.queue or "")
            for node in steps
        ),
    ]


def _schedule_queues(workflow: type[Workflow]) -> list[tuple[str, str]]:
    return [
        (f"The schedule {spec.name!r} of workflow {spec.workflow}", spec.queue)
        for spec in workflow.schedule_specs
        if spec.queue
    ]
