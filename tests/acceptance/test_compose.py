"""docker-compose.yml without Docker: its form, and that it says what `kennel up` does.

The form is checked against the part of the Compose Specification that the file uses
(https://github.com/compose-spec/compose-spec, schema/compose-spec.json), written down here with
nothing else allowed. Docker itself is not run by any test.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from flower.options import default_options

from ops.commands import FLOWER_USER, POOL_CLASS, api_arguments, flower_arguments, worker_arguments
from shared.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.yml"

DURATION = {"type": "string", "pattern": r"^(\d+(us|ms|s|m|h))+$"}
TEXTS = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
HEALTHCHECK = {
    "type": "object",
    "properties": {
        "test": {"type": ["string", "array"], "items": {"type": "string"}},
        "interval": DURATION,
        "timeout": DURATION,
        "retries": {"type": "integer"},
    },
    "additionalProperties": False,
}
DEPENDS_ON = {
    "type": "object",
    "patternProperties": {
        r"^[a-zA-Z0-9._-]+$": {
            "type": "object",
            "properties": {
                "condition": {
                    "enum": ["service_started", "service_healthy", "service_completed_successfully"]
                }
            },
            "required": ["condition"],
            "additionalProperties": False,
        }
    },
    "additionalProperties": False,
}
SERVICE = {
    "type": "object",
    "properties": {
        "build": {"type": "string"},
        "image": {"type": "string"},
        "command": {"type": ["string", "array"], "items": {"type": "string"}},
        "restart": {"enum": ["no", "always", "on-failure", "unless-stopped"]},
        "stop_grace_period": DURATION,
        "depends_on": DEPENDS_ON,
        "environment": {
            "type": "object",
            "patternProperties": {".+": {"type": ["string", "number", "boolean", "null"]}},
            "additionalProperties": False,
        },
        "ports": TEXTS,
        "volumes": TEXTS,
        "healthcheck": HEALTHCHECK,
    },
    "additionalProperties": False,
}
COMPOSE = {
    "type": "object",
    "properties": {
        "services": {
            "type": "object",
            "patternProperties": {r"^[a-zA-Z0-9._-]+$": SERVICE},
            "additionalProperties": False,
        },
        "volumes": {
            "type": "object",
            "patternProperties": {r"^[a-zA-Z0-9._-]+$": {"type": "null"}},
            "additionalProperties": False,
        },
    },
    "patternProperties": {"^x-": {}},
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file as Compose reads it without any variable but the required ones."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", FILE.read_text())
    loaded: dict[str, Any] = yaml.safe_load(re.sub(r"\$\{\w+:\?[^}]*\}", "given", text))
    return loaded


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


def command(service: dict[str, Any]) -> list[str]:
    return shlex.split(service["command"])


def test_the_form_is_that_of_the_specification(compose: dict[str, Any]) -> None:
    jsonschema.validate(compose, COMPOSE)


def test_an_unknown_key_would_be_seen(compose: dict[str, Any]) -> None:
    broken = {**compose, "services": {"api": {**compose["services"]["api"], "restrat": "always"}}}
    with pytest.raises(jsonschema.ValidationError, match="restrat"):
        jsonschema.validate(broken, COMPOSE)


def test_services_and_volumes_that_are_named_exist(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert set(service.get("depends_on", {})) <= set(compose["services"])
        assert {volume.split(":")[0] for volume in service.get("volumes", [])} <= set(compose["volumes"])


def test_the_processes_run_the_commands_of_kennel_up(services: dict[str, dict[str, Any]]) -> None:
    settings = Settings(pool="threads", threads=8, task_events=True)
    assert command(services["api"]) == ["python", *api_arguments("0.0.0.0", 8000)]
    workers = worker_arguments(settings.pool, settings.threads, "kennel-1@%h")
    assert command(services["worker"]) == ["python", *workers]
    assert [word.lower() for word in command(services["flower"])] == [
        word.lower() for word in ("python", *flower_arguments("0.0.0.0", 5555, settings.task_events))
    ]
    assert services["worker"]["environment"]["CELERY_CUSTOM_WORKER_POOL"] == POOL_CLASS


@pytest.mark.parametrize("module", ["uvicorn", "celery", "flower", "api.main", "workers.app", "workers.pool"])
def test_what_the_commands_run_can_be_imported(module: str) -> None:
    assert importlib.util.find_spec(module) is not None


def test_every_variable_is_a_setting(services: dict[str, dict[str, Any]]) -> None:
    kennel = {f"KENNEL_{name.upper()}" for name in Settings.model_fields}
    known = kennel | {"CELERY_CUSTOM_WORKER_POOL"}
    for service in services.values():
        names = set(service.get("environment", {}))
        assert {
            name for name in names - known if name.removeprefix("FLOWER_").lower() not in default_options
        } == set()


def test_the_defaults_are_accepted_by_the_settings(
    services: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in services["api"]["environment"].items():
        monkeypatch.setenv(name, str(value).lower() if isinstance(value, bool) else value)
    settings = Settings()
    assert settings.redis_url == "redis://redis:6379/0"
    assert settings.data_dir == Path("/data")


@pytest.mark.parametrize("variable", ["KENNEL_API_KEY", "KENNEL_FLOWER_PASSWORD"])
def test_a_secret_has_no_default(variable: str) -> None:
    uses = re.findall(r"\$\{" + variable + r"([^}]*)\}", FILE.read_text())
    assert uses
    assert all(use.startswith(":?") for use in uses)


def test_nothing_is_reachable_from_outside_and_redis_not_even_from_the_host(
    services: dict[str, dict[str, Any]],
) -> None:
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert "ports" not in services["redis"]
    assert services["flower"]["environment"]["FLOWER_BASIC_AUTH"].startswith(f"{FLOWER_USER}:")


def test_redis_keeps_what_it_accepted(services: dict[str, dict[str, Any]]) -> None:
    words = command(services["redis"])
    assert words[words.index("--appendonly") + 1] == "yes"
    assert words[words.index("--maxmemory-policy") + 1] == "noeviction"
    assert services["redis"]["volumes"] == ["redis:/data"]


def test_workers_scale_and_share_the_documents(services: dict[str, dict[str, Any]]) -> None:
    assert not {"container_name", "ports"} & set(services["worker"])
    assert services["worker"]["volumes"] == services["api"]["volumes"]


def test_the_image_holds_every_package_and_runs_without_rights() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^USER (?!root)", dockerfile, re.MULTILINE)
    sent = {
        line.lstrip("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    for package in ("api", "workers", "shared", "ops", "pyproject.toml", "constraints.txt", "README.md"):
        assert package in sent
        assert (ROOT / package).exists()
