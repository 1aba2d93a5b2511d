"""Benchmarks run by hand and seldom: what they name has to be there all the same."""

import ast
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = {"backline", "audio", "portal", "rights", "experiments", "audio_samples", "listening",
        "workers", "benchmarks", "tests"}  # fmt: skip
MODULES = sorted((ROOT / "benchmarks").rglob("*.py"))
NOT_THERE = object()


def programs(tree: ast.AST) -> Iterator[ast.AST]:
    """The file, and each program in it that is kept as text."""
    yield tree
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if "import " in text and "\n" in text:
                with suppress(SyntaxError):
                    yield from programs(ast.parse(text))


def get(module: str, name: str) -> Any:
    """What `from module import name` gives."""
    with suppress(ImportError):
        found = import_module(module)
        if hasattr(found, name):
            return getattr(found, name)
        return import_module(f"{module}.{name}")
    return NOT_THERE


def missing_in(program: ast.AST) -> Iterator[str]:
    modules: dict[str, ModuleType] = {}
    for node in ast.walk(program):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in OURS:
            for name in node.names:
                found = get(str(node.module), name.name)
                if found is NOT_THERE:
                    yield f"{node.module}.{name.name}"
                elif isinstance(found, ModuleType):
                    modules[name.asname or name.name] = found
    for node in ast.walk(program):
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name in modules:
                if get(modules[name].__name__, attribute) is NOT_THERE:
                    yield f"{modules[name].__name__}.{attribute}"


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.name)
def test_what_a_benchmark_names_is_there(file: Path) -> None:
    found = programs(ast.parse(file.read_text(encoding="utf-8")))
    assert sorted({name for program in found for name in missing_in(program)}) == []
