"""What README and docs say is true: their code runs, their links lead somewhere.

``python -m tests.test_docs --write`` writes the generated page anew.

Blocks of ``python`` run in their order, all of one page in one module. A page may prepare
what it does not show in a comment::

    <!-- setup
    order = Order.objects.create(number="1001")
    -->

A block that cannot run has the reason before it, and is only parsed::

    <!-- not run: it needs a second process -->
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import sys
from argparse import SUPPRESS
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

import pytest

from django_durable.conf import FINAL_STATUSES
from django_durable.engine.transitions import TRANSITIONS
from django_durable.types import ExecutionStatus

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PACKAGE = ROOT / "django_durable"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]

_BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+?) -->\n+)?"
    r"(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^(?P=indent)```$"
    r"|^<!-- setup\n(?P<setup>.*?)^-->$",
    re.MULTILINE | re.DOTALL,
)
_LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@dataclass(frozen=True)
class Block:
    """A block of code of a page; ``line`` is where its body begins, from 1."""

    language: str
    body: str
    line: int
    reason: str | None = None


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        group = "body" if found["setup"] is None else "setup"
        indent = len(found["indent"] or "")
        lines = found[group].split("\n")
        yield Block(
            language="python" if group == "setup" else found["language"],
            body="\n".join(line[indent:] for line in lines),
            line=text.count("\n", 0, found.start(group)) + 1,
            reason=found["reason"],
        )


# --- code ------------------------------------------------------------------------------


@pytest.fixture
def page_module(monkeypatch, db, settings) -> Iterator[ModuleType]:
    """A module for the code of one page, with workflows of its own.

    The shop of the pages is that of the test project.
    """
    from django_durable.definition import registry
    from testproject import shop
    from testproject.shop import carrier, models, payments, warehouse

    monkeypatch.setattr(registry, "_workflows", {})
    monkeypatch.setattr(registry, "_kept", {})
    modules = {
        "carrier": carrier,
        "models": models,
        "payments": payments,
        "warehouse": warehouse,
    }
    monkeypatch.setitem(sys.modules, "shop", shop)
    for name, shop_module in modules.items():
        monkeypatch.setitem(sys.modules, f"shop.{name}", shop_module)
    module = ModuleType("code_of_a_page")
    # For what a page prepares: what is set here is reset after the test.
    module.settings = settings  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_code_of_a_page_runs(page, page_module):
    from django_durable import conf

    for block in blocks_of(page):
        if block.language != "python":
            continue
        # Empty lines before it, so that a traceback names the line of the page.
        source = "\n" * (block.line - 1) + block.body
        code = compile(source, str(page), "exec", dont_inherit=True)
        if block.reason is None:
            vars(page_module).pop("DURABLE", None)
            exec(code, vars(page_module))  # noqa: S102
            assert conf.find_problems(getattr(page_module, "DURABLE", {})) == []


def commands_of(page: Path) -> list[str]:
    """Return the commands that a page tells its reader to type."""
    lines = [
        line.partition(" #")[0].strip()
        for block in blocks_of(page)
        if block.language == "sh"
        for line in re.sub(r"\\\n", " ", block.body).splitlines()
    ]
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_commands_of_a_page_exist(page):
    from django.core.management import get_commands, load_command_class

    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for command in commands_of(page):
        words = [
            word for word in shlex.split(command) if not re.match("[A-Z_]+=", word)
        ]
        if words[0] == "make":
            assert set(words[1:]) <= set(targets), command
        elif "manage.py" in words:
            words = words[words.index("manage.py") + 1 :]
            assert words[0] in get_commands(), command
            found = load_command_class(get_commands()[words[0]], words[0])
            found.create_parser("manage.py", words[0]).parse_args(words[1:])


# --- links -----------------------------------------------------------------------------


def anchors_of(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    }


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_links_of_a_page_lead_somewhere(page):
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    for link in _LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name_of(page)}: {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors_of(target), f"{name_of(page)}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_pictures_of_a_page_are_there(page):
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    for source in re.findall(r'\bsrc(?:set)?="([^"]+)"', text):
        assert (page.parent / source).is_file(), f"{name_of(page)}: {source}"


def test_every_picture_is_shown_somewhere():
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    pictures = {path.name for path in (DOCS / "images").iterdir()}
    assert not {name for name in pictures if name not in pages}


def test_every_page_can_be_reached_from_the_index():
    reached, ahead = set(), [DOCS / "index.md"]
    while ahead:
        page = ahead.pop()
        reached.add(page)
        found = {
            (page.parent / link.partition("#")[0]).resolve()
            for link in _LINK.findall(page.read_text(encoding="utf-8"))
            if not re.match(r"[a-z]+:|#", link)
        }
        ahead += [one for one in found if one.suffix == ".md" and one not in reached]

    assert set(DOCS.rglob("*.md")) <= reached


def test_the_files_that_pages_name_exist():
    missing = {
        f"{name_of(page)}: {path}"
        for page in PAGES
        for path in re.findall(
            r"`((?:django_durable|tests|testproject|docs|bench)/[\w./-]+)`",
            page.read_text(encoding="utf-8"),
        )
        if not (ROOT / path).exists()
    }

    assert missing == set()


def test_what_the_architecture_names_is_there():
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w/]+\.py): (\w+)`", page)

    missing = [
        f"{path}: {name}"
        for path, name in named
        if name not in names_defined_in(PACKAGE / path)
    ]

    assert named
    assert missing == []


def names_defined_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }


# --- the reference -----------------------------------------------------------------------


def ids_in_the_code() -> set[str]:
    """Return the ids of checks: whole (``durable.E001``), or as ``problem`` takes them."""
    constants = {
        node.value
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    found = {
        match
        for text in constants
        for match in re.findall(r"durable\.([EW]\d{3})", text)
    }
    return found | {text for text in constants if re.fullmatch(r"[EW]\d{3}", text)}


def test_every_check_is_explained():
    page = (DOCS / "reference" / "checks.md").read_text(encoding="utf-8")

    assert set(re.findall(r"^### durable\.([EW]\d{3})", page, re.MULTILINE)) == (
        ids_in_the_code()
    )


def test_every_public_name_is_in_the_reference():
    import django_durable

    text = "".join(
        _BLOCK.sub("", page.read_text(encoding="utf-8"))
        for page in (DOCS / "reference").glob("*.md")
    )
    explained = set(re.findall(r"\w+", " ".join(re.findall(r"`[^`\n]+`", text))))
    # Each function has its twin for asynchronous callers; the page says so once.
    explained |= {f"a{name}" for name in explained}

    assert set(django_durable.__all__) - explained == set()


def test_every_setting_is_explained():
    from django_durable.conf import rules

    page = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")

    assert {key for key in rules.INSTANCE_RULES if f"`{key}`" not in page} == set()


def test_every_signal_is_explained_with_what_it_passes():
    from django.dispatch import Signal

    from django_durable import signals

    page = (DOCS / "reference" / "signals.md").read_text(encoding="utf-8")
    names = {name for name, it in vars(signals).items() if isinstance(it, Signal)}

    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == names


def subcommands_of(parser):
    """Return the parsers of a command's subcommands, by name."""
    [action] = [one for one in parser._actions if isinstance(one.choices, dict)]
    return action.choices


def options_of(parser, name: str) -> set[str]:
    """Return the options that a command declares itself and tells of."""
    from django.core.management import BaseCommand

    common = BaseCommand().create_parser("manage.py", name)
    known = {option for one in common._actions for option in one.option_strings}
    return {
        option
        for one in parser._actions
        for option in one.option_strings
        if option.startswith("--") and option not in known and one.help != SUPPRESS
    }


def test_every_subcommand_and_option_is_explained():
    from django.core.management import load_command_class

    page = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
    workers, durable = page.split("## manage.py durable")
    parser = load_command_class("django_durable", "runworkers").create_parser(
        "manage.py", "runworkers"
    )
    missing = [
        option
        for option in options_of(parser, "runworkers")
        if not re.search(_told(option), workers)
    ]
    parser = load_command_class("django_durable", "durable").create_parser(
        "manage.py", "durable"
    )
    for name, subcommand in subcommands_of(parser).items():
        wanted = [name, *options_of(subcommand, "durable")]
        missing += [
            f"{name}: {one}" for one in wanted if not re.search(_told(one), durable)
        ]

    assert missing == []


def _told(word: str) -> str:
    """Return a pattern for code that has a word in it."""
    return rf"`[^`\n]*(?<![\w-]){re.escape(word)}(?![\w-])[^`\n]*`"


def test_every_rule_of_the_doctor_is_explained():
    page = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
    rules = {
        match
        for path in (PACKAGE / "store" / "health").glob("*.py")
        for match in re.findall(
            r"\.finding\(\s*\"(\w+)\"", path.read_text(encoding="utf-8")
        )
    }

    assert len(rules) > 10
    assert {rule for rule in rules if f"`{rule}`" not in page} == set()


def test_the_settings_that_are_shown_are_the_defaults(page_module):
    from django_durable import conf

    page = DOCS / "reference" / "settings.md"
    shown = next(block for block in blocks_of(page) if "DURABLE" in block.body)
    exec(shown.body, vars(page_module))  # noqa: S102

    assert conf._build("default", page_module.DURABLE["default"]) == conf.Settings(
        alias="default"
    )


# --- the generated page -------------------------------------------------------------------

STATE_MACHINE = DOCS / "state-machine.md"
DRAWING = DOCS / "images" / "process_order.svg"

_MEANINGS = {
    ExecutionStatus.PENDING: "may be claimed now, or later: after a backoff, a snooze, "
    "at its scheduled start",
    ExecutionStatus.RUNNING: "leased by a worker",
    ExecutionStatus.WAITING: "parked: `waiting_for` says for what; nobody holds it",
    ExecutionStatus.PAUSED: "stopped by a person until `resume`",
    ExecutionStatus.COMPLETED: "every step is done; the data is the result",
    ExecutionStatus.FAILED: "ended with an `error`; `retry` opens it again",
    ExecutionStatus.CANCELLED: "ended by `cancel` or by a step that raised `Cancel`",
    ExecutionStatus.COMPENSATING: "failed for good, or cancelled with "
    "`compensate=True`; what it has done is being undone",
    ExecutionStatus.COMPENSATED: "ended without a result, and undone",
    ExecutionStatus.COMPENSATION_FAILED: "ended without a result, and not all of it "
    "could be undone",
}


def state_machine_page() -> str:
    """Return ``docs/state-machine.md`` as the table of transitions makes it."""
    used = [
        status
        for status in ExecutionStatus
        if any(status in pair for pair in TRANSITIONS)
    ]
    ways_out: dict[ExecutionStatus, list[str]] = defaultdict(list)
    for (before, after), reason in TRANSITIONS.items():
        ways_out[before].append(f"| `{before}` | `{after}` | {reason} |")
    return "\n".join(
        [
            "# The states of an execution",
            "",
            "<!-- Written by `python -m tests.test_docs --write` from",
            "     django_durable/engine/transitions.py. Change that, not this page. -->",
            "",
            "One column, `Execution.status`, says where in its life an execution is. What",
            "the second table does not have never happens.",
            "",
            "| Status | Meaning |",
            "| --- | --- |",
            *(f"| `{status}` | {_MEANINGS[status]} |" for status in used),
            "",
            "```mermaid",
            "stateDiagram-v2",
            "    [*] --> pending",
            *(
                f"    {before} --> {after}"
                for before, after in TRANSITIONS
                if before != after
            ),
            *(f"    {status} --> [*]" for status in used if status in FINAL_STATUSES),
            "```",
            "",
            "| From | To | When |",
            "| --- | --- | --- |",
            *(row for status in used for row in ways_out[status]),
            "",
            "Which file makes which of these moves is told in",
            "[the architecture](architecture.md).",
            "",
        ]
    )


def test_the_page_on_states_is_that_of_the_code():
    assert STATE_MACHINE.read_text(encoding="utf-8") == state_machine_page(), (
        "run: python -m tests.test_docs --write"
    )


def drawing_of_an_order() -> str:
    from django_durable.drawing import graph_svg
    from testproject.shop.workflows import ProcessOrder

    return graph_svg(ProcessOrder.graph(), embed_style=True) + "\n"


def test_the_drawing_of_an_order_is_that_of_the_code():
    assert DRAWING.read_text(encoding="utf-8") == drawing_of_an_order(), (
        "run: python -m tests.test_docs --write"
    )


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m tests.test_docs --write")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "testproject.settings")
    import django

    django.setup()
    STATE_MACHINE.write_text(state_machine_page(), encoding="utf-8")
    DRAWING.write_text(drawing_of_an_order(), encoding="utf-8")
