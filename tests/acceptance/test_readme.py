"""The README, run from top to bottom against one `kennel up`, and the demo that it uses.

In the README, blocks marked `bash` and `python` are run, in one shell and in their order; `sh` blocks are not
run, and NOT_RUN says why; a `json` or `text` block shows what the block before it printed.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from ops import demo
from shared.settings import Settings
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(180)

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
START_S = 90.0
STOP_S = 15.0
EXAMPLES_S = 90.0

STAGE_FILE = "# workers/stages/unique_by.py\n"
# First line of each block that is not run -> why.
NOT_RUN = {
    "make run     ": "the fixture starts the same program, on free ports; what it prints is compared below",
    "export KENNEL_API_KEY=": "needs a Docker engine",
}
# These differ from machine to machine, Python to Python or run to run: only their type is compared.
VOLATILE = re.compile(
    r"\w+_at|title|revision|total|total_returned|returned|output_count|\w*duration_ms|credits_used|next_cursor"
    r"|state|words|workers_online|input_count"
)


@dataclass(frozen=True)
class Block:
    language: str
    code: str

    @property
    def is_run(self) -> bool:
        return self.language in ("bash", "python") and not self.code.startswith(STAGE_FILE)

    @property
    def is_output(self) -> bool:
        return self.language in ("json", "text")

    @property
    def script(self) -> str:
        return self.code if self.language == "bash" else f"python - <<'PYTHON'\n{self.code}PYTHON\n"


BLOCKS = [Block(*found) for found in re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)]
EXAMPLES = [block for block in BLOCKS if block.is_run]
SHOWN = {before: after for before, after in pairwise(BLOCKS) if after.is_output}  # example -> its output


@dataclass
class Kennel:
    """One `kennel up` in a directory that looks like a checkout in which `make run` was called."""

    directory: Path
    log: str

    def url(self, what: str) -> str:
        found = re.search(rf"^{what} +(http://\S+)", self.log, re.MULTILINE)
        assert found, self.log
        return found[1]

    @property
    def api_key(self) -> str:
        return (self.directory / ".kennel" / "api_key").read_text().strip()

    def here(self, text: str) -> str:
        """The README's addresses as they are in this run."""
        return text.replace("http://127.0.0.1:8000", self.url("API")).replace(
            "http://127.0.0.1:5555", self.url("Flower")
        )

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.directory,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=EXAMPLES_S,
            check=False,
        )


@pytest.fixture(scope="module")
def kennel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kennel]:
    directory = tmp_path_factory.mktemp("readme")
    (directory / ".venv").symlink_to(sys.prefix)
    log_file = directory / "log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KENNEL_")}
    environment["PYTHONPATH"] = str(install_stage(directory))
    command = [sys.executable, "-m", "ops.cli", "up", "--port=0", "--flower-port=0", "--workers=1"]
    with log_file.open("wb") as log:
        process = subprocess.Popen(command, cwd=directory, env=environment, stdout=log, stderr=log)

    def is_ready() -> bool:
        assert process.poll() is None, log_file.read_text()
        return "Ctrl-C stops everything" in log_file.read_text()

    try:
        wait_until(is_ready, START_S, "kennel up is ready")
        yield Kennel(directory, log_file.read_text())
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_S)


def install_stage(directory: Path) -> Path:
    """The README's stage as an outside package: the same loader, without writing into the checkout."""
    packages = directory / "packages"
    about = packages / "readme_stage-1.0.dist-info"
    about.mkdir(parents=True)
    [block] = [block for block in BLOCKS if block.code.startswith(STAGE_FILE)]
    (packages / "readme_stage.py").write_text(block.code)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: readme-stage\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[kennel.stages]\nunique_by = readme_stage:UniqueBy\n")
    return packages


@pytest.fixture(scope="module")
def outputs(kennel: Kennel) -> dict[Block, str]:
    """What each example printed; it ends with the first that fails."""
    between = "\n@@@\n"
    script = "".join(f"{block.script}\nprintf '{between}'\n" for block in EXAMPLES)
    result = kennel.run(kennel.here(script))
    printed = result.stdout.split(between)[:-1]
    found = dict(zip(EXAMPLES, printed, strict=False))
    assert result.returncode == 0, f"{EXAMPLES[len(found)].code}\nfailed: {result.stderr}"
    return found


@pytest.mark.parametrize("block", EXAMPLES, ids=lambda block: block.code.splitlines()[0][:40])
def test_an_example_prints_what_the_readme_shows(block: Block, outputs: dict[Block, str]) -> None:
    shown, printed = SHOWN.get(block), outputs[block]
    if shown is None:
        assert '"success":false' not in printed
    elif shown.language == "json":
        assert_shows(json.loads(shown.code), json.loads(printed))
    else:
        assert re.fullmatch(as_pattern(shown.code.strip()), printed.strip()), printed


def assert_shows(shown: Any, printed: Any, place: str = "") -> None:
    """Everything shown was printed so; more fields may have been printed, and more elements after a "…"."""
    if isinstance(shown, dict):
        for name, value in shown.items():
            matching = [key for key in printed if re.fullmatch(as_pattern(name), key)]
            assert matching, f"{place}.{name} was not printed"
            assert_shows(value, printed[matching[0]], f"{place}.{name}")
    elif isinstance(shown, list):
        wanted = shown[:-1] if shown[-1:] == ["…"] else shown
        assert len(printed) == len(shown) if wanted == shown else len(printed) > len(wanted), place
        for index, value in enumerate(wanted):
            assert_shows(value, printed[index], f"{place}[{index}]")
    elif isinstance(shown, float) or VOLATILE.fullmatch(place.rpartition(".")[2]):
        assert type(shown) is type(printed), f"{place} is {printed!r}"
    elif isinstance(shown, str):
        assert re.fullmatch(as_pattern(shown), printed, re.DOTALL), f"{place} is {printed!r}"
    else:
        assert shown == printed, f"{place} is {printed!r}"


def as_pattern(shown: str) -> str:
    """`…` stands for anything, and so does a quoted text: it comes from the docstrings of this Python."""
    return re.sub("'[^']*'", "'[^']*'", re.escape(shown)).replace("…", ".*")


def test_the_start_prints_what_the_readme_shows(kennel: Kennel) -> None:
    [block] = [block for block in BLOCKS if block.code.startswith("make run ")]
    for line in SHOWN[block].code.splitlines():
        assert re.search(f"^{as_pattern(kennel.here(line))}$", kennel.log, re.MULTILINE), line


def test_the_quickstart_of_the_start_works_when_pasted(kennel: Kennel) -> None:
    quickstart = kennel.log.partition("Try it:\n")[2].partition("\nCtrl-C")[0]
    result = kennel.run(quickstart)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["status"] == "completed"
    assert len(json.loads(result.stdout)["documents"]) == 10


def test_each_block_that_is_not_run_has_a_reason() -> None:
    not_run = [block.code for block in BLOCKS if block.language == "sh"]
    assert all(any(code.startswith(first) for first in NOT_RUN) for code in not_run)
    assert len(not_run) == len(NOT_RUN)
    known = {"bash", "python", "sh", "json", "text"}
    assert {block.language for block in BLOCKS} <= known


def test_the_table_of_settings_is_that_of_the_code() -> None:
    table = settings_table()
    assert table in README, f"replace the README's table by:\n{table}"


def settings_table() -> str:
    rows = ["| Variable | Default | Meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else str(field.default)
        if isinstance(field.default, bool):
            default = default.lower()
        shown = f"`{default}`" if default else ""
        rows.append(f"| `KENNEL_{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(rows)


def test_each_link_leads_to_a_file() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).is_file()] == []


def test_a_demo_that_is_there_is_not_loaded_again(kennel: Kennel) -> None:
    lines: list[str] = []
    demo.load(kennel.url("API"), kennel.api_key, lines.append)
    assert lines == []


def test_a_demo_that_is_cut_off_is_completed(kennel: Kennel) -> None:
    headers = {"Authorization": f"Bearer {kennel.api_key}", "X-Namespace": "demo"}
    lines: list[str] = []
    with httpx.Client(base_url=f"{kennel.url('API')}/v1", headers=headers, timeout=30) as client:
        client.delete("/retrievers/module_contents").raise_for_status()
        some = {"filters": {"module": "json"}}
        deleted = client.request("DELETE", "/collections/python_docs/documents/batch", json=some)
        assert deleted.json()["deleted_count"] > 0
        demo.load(kennel.url("API"), kennel.api_key, lines.append)
        assert client.get("/collections/python_docs/documents/count").json()["count"] == demo.DOCUMENTS_MAX
        assert client.get("/retrievers/module_contents").status_code == 200
    assert "demo: retriever module_contents created" in lines
    assert "demo: retriever search_python_docs created" not in lines
