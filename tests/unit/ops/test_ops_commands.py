from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from ops.commands import environment, programs, worker_arguments
from shared.settings import Settings

API_KEY = "sk_0123456789abcdefghij"
PASSWORD = "flower-password"
REDIS_PASSWORD = "redis-password"
EMBEDDINGS_KEY = "sk-of-the-endpoint"


@pytest.fixture
def settings() -> Settings:
    return Settings(
        redis_url=f"redis://:{REDIS_PASSWORD}@127.0.0.1:7000/0",
        data_dir=Path("/data"),
        workers=2,
        api_key=SecretStr(API_KEY),
        task_events=False,
        execute_wait_s=1.5,
        embeddings_url="https://api.example.com/v1",
        embeddings_model="acme/tiny",
        embeddings_dimensions=3,
        embeddings_api_key=SecretStr(EMBEDDINGS_KEY),
        embeddings_query_prefix="query: ",
    )


def test_no_secret_is_on_any_command_line_or_in_a_repr(settings: Settings) -> None:
    shown = " ".join(repr(program) for program in programs(settings, API_KEY, PASSWORD))
    secrets = (API_KEY, PASSWORD, REDIS_PASSWORD, EMBEDDINGS_KEY)
    assert not [secret for secret in secrets if secret in shown]


def test_each_secret_is_given_to_those_who_need_it_only(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KENNEL_API_KEY", API_KEY)
    monkeypatch.setenv("KENNEL_EMBEDDINGS_API_KEY", EMBEDDINGS_KEY)
    started = programs(settings, API_KEY, PASSWORD)
    assert [program.name for program in started] == ["api", "worker-1", "worker-2", "flower"]
    assert [p.name for p in started if API_KEY in p.env.values()] == ["api"]
    assert [p.name for p in started if f"kennel:{PASSWORD}" in p.env.values()] == ["flower"]
    assert [p.name for p in started if EMBEDDINGS_KEY in p.env.values()] == ["worker-1", "worker-2"]


def test_children_read_exactly_the_settings_of_their_parent(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    without_secrets = {"api_key": None, "embeddings_api_key": SecretStr("")}
    assert Settings() == settings.model_copy(update=without_secrets)


def test_flower_is_told_whether_to_switch_task_events_on(settings: Settings) -> None:
    *_, flower = programs(settings, API_KEY, PASSWORD)
    assert "--enable_events=False" in flower.argv
    assert "--address=127.0.0.1" in flower.argv


def test_a_thread_pool_is_our_own_class_and_prefork_is_celerys() -> None:
    assert "--pool=custom" in worker_arguments("threads", 8, "kennel-1@%h")
    assert "--pool=prefork" in worker_arguments("prefork", 8, "kennel-1@%h")


def test_everything_runs_in_the_python_that_runs_kennel(settings: Settings) -> None:
    assert {program.argv[0] for program in programs(settings, API_KEY, PASSWORD)} == {sys.executable}
