"""The demo's documents: what is read from a library's sources, and which of it is chosen."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.stdlib_docs import Docstring, Kind, choose, read_docstrings

JSON = '''"""JSON, in a few words."""
from sys import exit
exit("must never run")

class Encoder(object, dict):
    """Makes text.

        Indented.
    """

    def encode(self, o, *, indent: int = 2) -> str:
        """Encode one object."""

        def inner():
            """Not reachable, so not listed."""

    @property
    def state(self):
        """First."""

    @state.setter
    def state(self, value):
        """Second."""

    class Part:
        """Inside."""

def _undocumented(): ...

async def dumps(obj, **kw):
    """Dump."""
'''


@pytest.fixture
def library(tmp_path: Path) -> Path:
    files = {
        "json/__init__.py": JSON,
        "json/scanner.py": '"""Scans."""',
        "json/_private.py": '"""Private."""',
        "json/tests/cases.py": '"""A test."""',
        "abc.py": '"""Base classes."""',
        "ast.py": "def broken(:",
        "tkinter/__init__.py": '"""Often absent."""',
        "mine.py": '"""Not of the standard library."""',
        "_thread.py": '"""Private."""',
    }
    for name, source in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return tmp_path


def docstring(title: str, kind: Kind) -> Docstring:
    return Docstring(title, "Text.", "m", kind, 1, "", "m.py")


def test_modules_classes_functions_and_methods_are_read_in_order(library: Path) -> None:
    found = [(each.title, each.kind) for each in read_docstrings(library)]
    assert found == [
        ("abc", "module"),
        ("json", "module"),
        ("json.Encoder", "class"),
        ("json.Encoder.encode", "method"),
        ("json.Encoder.state", "method"),
        ("json.Encoder.Part", "class"),
        ("json.dumps", "function"),
        ("json.scanner", "module"),
    ]


def test_a_docstring_carries_its_text_place_and_signature(library: Path) -> None:
    by_title = {each.title: each for each in read_docstrings(library)}
    assert by_title["json.Encoder"].text == "Makes text.\n\nIndented."
    assert by_title["json.Encoder"].signature == "class Encoder(object, dict)"
    assert by_title["json.Encoder.encode"].signature == "encode(self, o, *, indent: int=2) -> str"
    assert by_title["json.dumps"].path == "json/__init__.py"
    assert (by_title["json"].line, by_title["json.Encoder"].line) == (1, 5)


def test_a_property_and_its_setter_come_once(library: Path) -> None:
    states = [each.text for each in read_docstrings(library) if each.title == "json.Encoder.state"]
    assert states == ["First."]


@pytest.mark.parametrize(
    ("title", "is_public"),
    [("m.f", True), ("m.C.__init__", True), ("m._f", False), ("m._C.f", False), ("m.__mangled", False)],
)
def test_a_name_with_a_private_part_is_not_public(title: str, is_public: bool) -> None:
    assert docstring(title, "function").is_public is is_public


def test_public_definitions_come_before_methods_and_the_rest_is_thinned_evenly() -> None:
    methods = [docstring(f"m.C.f{number}", "method") for number in range(6)]
    public = [docstring("m", "module"), docstring("m.C", "class"), docstring("m.f", "function")]
    chosen = [each.title for each in choose([public[0], *methods, *public[1:]], 5)]
    assert chosen == ["m", "m.C.f0", "m.C.f3", "m.C", "m.f"]


@pytest.mark.parametrize(("limit", "expected"), [(0, []), (1, ["m"]), (2, ["m", "m.f"]), (9, ["m", "m.f"])])
def test_at_most_limit_docstrings_are_chosen(limit: int, expected: list[str]) -> None:
    given = [docstring("m", "module"), docstring("m.f", "function")]
    assert [each.title for each in choose(given, limit)] == expected


def test_the_same_library_gives_the_same_documents(library: Path) -> None:
    assert choose(read_docstrings(library), 5) == choose(read_docstrings(library), 5)
