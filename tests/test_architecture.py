"""Promises about the code that no import linter knows."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "django_durable"
SOURCES = sorted(
    path
    for path in PACKAGE.rglob("*.py")
    if "migrations" not in path.relative_to(PACKAGE).parts
)

LONGEST_FILE = 400
LONGEST_FUNCTION = 40

# `tasks` and `workflows` are imported from every installed app, by others and by us;
# the rest say nothing about what they hold.
FORBIDDEN_NAMES = {"tasks", "workflows", "utils", "helpers", "common", "manager"}

WRITES = {
    "bulk_create",
    "bulk_update",
    "create",
    "delete",
    "get_or_create",
    "save",
    "select_for_update",
    "update",
    "update_or_create",
}
WRITES |= {f"a{name}" for name in WRITES}

# (file, source of the call up to its arguments): not the ORM, although it reads so.
NOT_THE_ORM: set[tuple[str, str]] = set()


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def writes_in(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of each call that reads like a write through the ORM.

    `update` with positional arguments only is that of a dict or a set: a queryset's
    takes nothing but keywords. A function of the store may be called anything.
    """
    tree = ast.parse(source)
    store = names_from_the_store(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="update" | "aupdate"), keywords=[]):
                continue
            case ast.Call(func=ast.Attribute(value=ast.Name(id=module))) if (
                module in store
            ):
                continue
            case ast.Call(func=ast.Attribute(attr=name) as called) if name in WRITES:
                yield node.lineno, ast.unparse(called)


def names_from_the_store(tree: ast.Module) -> set[str]:
    """Return the modules that are imported by `from django_durable.store import …`."""
    return {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "django_durable.store"
        for alias in node.names
    }


def test_only_the_store_writes():
    found = [
        f"{name_of(path)}:{line} {call}()"
        for path in SOURCES
        if path.relative_to(PACKAGE).parts[0] != "store"
        for line, call in writes_in(path.read_text())
        if (name_of(path), call) not in NOT_THE_ORM
    ]

    assert found == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("execution.save()", ["execution.save"]),
        ("await rows.acreate(a=1)", ["rows.acreate"]),
        (
            "Execution.rows.filter(pk=1).update(a=1)",
            ["Execution.rows.filter(pk=1).update"],
        ),
        ("rows.update(**changes)", ["rows.update"]),
        ("rows.select_for_update(skip_locked=True)", ["rows.select_for_update"]),
        ("data.update({'a': 1}); names.update(more)", []),
        ("from django_durable.store import steps; steps.create(a=1)", []),
        ("from elsewhere import steps; steps.create(a=1)", ["steps.create"]),
        ("save(execution); update(data, 'a', 0, f)", []),
    ],
)
def test_a_write_is_told_from_what_only_looks_like_one(source, found):
    assert [call for _, call in writes_in(source)] == found


def test_exceptions_to_the_rule_are_still_needed():
    calls = {
        (name_of(path), call)
        for path in SOURCES
        for _, call in writes_in(path.read_text())
    }

    assert calls >= NOT_THE_ORM


def test_files_are_short():
    found = {
        name_of(path): count
        for path in SOURCES
        if (count := len(path.read_text().splitlines())) > LONGEST_FILE
    }

    assert found == {}


def test_functions_are_short():
    found = {
        f"{name_of(path)}:{node.lineno} {node.name}": count
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (count := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    }

    assert found == {}


def test_modules_have_names_that_say_something():
    parts = {
        part for path in SOURCES for part in Path(name_of(path)).with_suffix("").parts
    }

    assert parts & FORBIDDEN_NAMES == set()


def run_python(code: str) -> None:
    """Run code in a fresh interpreter that knows no settings."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PACKAGE.parent,
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("layer", ["definition", "engine"])
def test_the_core_is_imported_where_there_is_no_django(layer):
    run_python(f"""
import importlib, pkgutil, sys
sys.modules["django"] = None
package = importlib.import_module("django_durable.{layer}")
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    importlib.import_module(module.name)
""")


def test_importing_the_package_imports_no_model():
    run_python("""
import sys
from django_durable import Workflow
found = [name for name in sys.modules if name.startswith("django_durable.models")]
assert not found and "django.db.models" not in sys.modules, found
""")
