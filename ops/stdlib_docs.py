"""Docstrings of the Python standard library: real text that is on every machine.

Source files are parsed with `ast` and never imported, so nothing of them runs.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["module", "class", "function", "method"]
Documented = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

# Tools and data instead of a library, or absent from many installations.
LEFT_OUT = frozenset(
    (
        "distutils",
        "encodings",
        "ensurepip",
        "idlelib",
        "lib2to3",
        "msilib",
        "pydoc_data",
        "tkinter",
        "turtledemo",
    )
)
_SKIPPED_FOLDERS = frozenset(("test", "tests", "__pycache__"))


@dataclass(frozen=True, slots=True)
class Docstring:
    """One documented name."""

    title: str  # qualified: "json.JSONEncoder.encode"
    text: str  # cleaned as `inspect.getdoc` does
    module: str
    kind: Kind
    line: int  # where the definition begins; 1 for a module
    signature: str  # "encode(self, o)"; "class JSONEncoder"; "module json"
    path: str  # of the source file, relative to the library, with slashes

    @property
    def is_public(self) -> bool:
        """No part of the name begins with an underscore, names like `__init__` excepted."""
        return not any(
            part.startswith("_") and not (part.startswith("__") and part.endswith("__"))
            for part in self.title.split(".")
        )


def read_docstrings(library: Path) -> Iterator[Docstring]:
    """Every docstring of the public modules under `library`, by module name, then in the order of the file.

    A name that is documented twice, such as a property and its setter, comes once: the first. Files that
    cannot be read or parsed are left out.
    """
    for path in _sources(library):
        relative = path.relative_to(library)
        module = ".".join(relative.with_suffix("").parts).removesuffix(".__init__")
        try:
            tree = ast.parse(path.read_bytes(), filename=str(path))
        except (OSError, SyntaxError, ValueError):
            continue
        yield from _first_of_each(_docstrings(tree, module, relative.as_posix()))


def choose(docstrings: Iterable[Docstring], limit: int) -> list[Docstring]:
    """At most `limit` docstrings, in the order given and the same for the same library.

    What readers look up comes first: public modules, classes and functions. Then all others; the group that
    does not fit as a whole is thinned evenly.
    """
    groups: tuple[list[tuple[int, Docstring]], ...] = ([], [])
    for position, docstring in enumerate(docstrings):
        is_first = docstring.is_public and docstring.kind != "method"
        groups[0 if is_first else 1].append((position, docstring))
    chosen: list[tuple[int, Docstring]] = []
    for group in groups:
        wanted = min(limit - len(chosen), len(group))
        chosen += [group[index * len(group) // wanted] for index in range(wanted)]
    return [docstring for _, docstring in sorted(chosen, key=lambda pair: pair[0])]


def _sources(library: Path) -> Iterator[Path]:
    for name in sorted(sys.stdlib_module_names - LEFT_OUT):
        if name.startswith("_"):
            continue
        if (library / f"{name}.py").is_file():
            yield library / f"{name}.py"
        for path in sorted((library / name).rglob("*.py")):
            if not _is_skipped(path.relative_to(library)):
                yield path


def _is_skipped(relative: Path) -> bool:
    is_private = relative.stem.startswith("_") and relative.stem != "__init__"
    return is_private or not _SKIPPED_FOLDERS.isdisjoint(relative.parts)


def _first_of_each(docstrings: Iterable[Docstring]) -> Iterator[Docstring]:
    seen: set[str] = set()
    for docstring in docstrings:
        if docstring.title not in seen:
            seen.add(docstring.title)
            yield docstring


def _docstrings(tree: ast.Module, module: str, path: str) -> Iterator[Docstring]:
    text = ast.get_docstring(tree)
    if text:
        yield Docstring(module, text, module, "module", 1, f"module {module}", path)
    for owner, node in _definitions(tree, module):
        text = ast.get_docstring(node)
        if text:
            title = f"{owner}.{node.name}"
            yield Docstring(
                title, text, module, _kind(node, owner, module), node.lineno, _signature(node), path
            )


def _definitions(parent: ast.Module | ast.ClassDef, owner: str) -> Iterator[tuple[str, Documented]]:
    """(qualified name of the owner, definition); classes are searched too, functions are not."""
    for node in parent.body:
        if isinstance(node, Documented):
            yield owner, node
        if isinstance(node, ast.ClassDef):
            yield from _definitions(node, f"{owner}.{node.name}")


def _kind(node: Documented, owner: str, module: str) -> Kind:
    if isinstance(node, ast.ClassDef):
        return "class"
    return "function" if owner == module else "method"


def _signature(node: Documented) -> str:
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in node.bases)
        return f"class {node.name}({bases})" if bases else f"class {node.name}"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{node.name}({ast.unparse(node.args)}){returns}"
