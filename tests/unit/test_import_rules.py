"""Imports point one way: api -> shared, workers -> shared, ops -> shared and client; nothing else of ours."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
OURS = frozenset({"api", "workers", "shared", "ops", "client", "tests", "benchmarks"})
# Package -> what of ours it may import, besides itself.
ALLOWED: dict[str, frozenset[str]] = {
    "api": frozenset({"shared"}),
    "workers": frozenset({"shared"}),
    "ops": frozenset({"shared", "client"}),
    "client": frozenset({"shared.models"}),
    "shared": frozenset(),
}
# Inside of shared: the innermost modules, which import nothing of ours but each other.
INNERMOST = ("shared.models", "shared.errors", "shared.clock", "shared.ids")
# A stage reaches documents, time and other services only through its context.
STAGES_MAY = ("shared.errors", "shared.filters", "shared.models", "workers.context", "workers.documents",
              "workers.search", "workers.stages.base")  # fmt: skip


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, module) of each import of ours, also those inside of functions and under TYPE_CHECKING."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import hides where it points"
            assert node.module is not None
            # `from shared import keys` is an import of shared.keys
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from ((node.lineno, name) for name in names if name.split(".", 1)[0] in OURS)


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def within(name: str, packages: tuple[str, ...] | frozenset[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def others(package: str, allowed: tuple[str, ...] | frozenset[str]) -> list[str]:
    """Imports of a package, or one module, that point elsewhere."""
    top = package.split(".", 1)[0]
    return [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in files(top)
        if within(module_name(path), (package,))
        for line, name in imports(path)
        if not within(name, allowed)
    ]


@pytest.mark.parametrize("package", [name for name in ALLOWED if (ROOT / name).is_dir()])
def test_a_package_imports_only_what_it_may(package: str) -> None:
    assert files(package)
    assert others(package, ALLOWED[package] | {package}) == []


@pytest.mark.parametrize("module", INNERMOST)
def test_the_innermost_modules_import_only_each_other(module: str) -> None:
    assert others(module, INNERMOST) == []


def test_stages_import_no_store_and_no_other_stage() -> None:
    stages = [path for path in files("workers/stages") if path.stem not in ("__init__", "base", "registry")]
    assert stages
    strays = [
        f"{path.name}:{line} imports {name}"
        for path in stages
        for line, name in imports(path)
        if not within(name, STAGES_MAY)
    ]
    assert strays == []


def test_every_package_of_ours_has_its_rule() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages - {"tests", "benchmarks"} <= ALLOWED.keys()


@pytest.mark.parametrize(
    ("package", "statement"),
    [
        ("api", "from workers.execution.pipeline import Pipeline"),
        ("workers", "import api.main"),
        ("shared", "def f():\n    from api import errors"),
        ("shared", "from tests import stack"),
    ],
)
def test_a_forbidden_import_is_found(tmp_path: Path, package: str, statement: str) -> None:
    stray = tmp_path / "stray.py"
    stray.write_text(statement)
    assert [name for _, name in imports(stray) if not within(name, ALLOWED[package] | {package})]
