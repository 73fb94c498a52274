"""Which models the settings give, under which names; which settings do not go together."""

from __future__ import annotations

import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.embeddings.models import BUILT_IN, default_model, embedding_models
from shared.embeddings.naming import feature_name
from shared.filters.words import words
from shared.settings import Settings
from shared.stop_words import ENGLISH

ENDPOINT = {
    "embeddings_url": "https://api.example.com/v1",
    "embeddings_model": "intfloat/multilingual-e5-large",
    "embeddings_dimensions": 1024,
}


def test_without_settings_the_built_in_model_is_all_there_is() -> None:
    assert embedding_models(Settings()) == {"wordllama_l2_supercat_v1": BUILT_IN}
    assert default_model(Settings()) is BUILT_IN
    assert BUILT_IN.feature_uri == "mixpeek://text_extractor@v1/wordllama_l2_supercat_v1"
    assert BUILT_IN.dimensions == 256


def test_the_model_of_an_endpoint_comes_first() -> None:
    settings = Settings(**ENDPOINT)
    assert list(embedding_models(settings)) == ["intfloat_multilingual_e5_large", BUILT_IN.name]
    model = default_model(settings)
    assert (model.name, model.dimensions) == ("intfloat_multilingual_e5_large", 1024)
    assert model.feature_uri == "mixpeek://text_extractor@v1/intfloat_multilingual_e5_large"
    assert (
        model.description == "intfloat/multilingual-e5-large, computed by the configured embeddings endpoint"
    )


def test_a_name_of_its_own_wins() -> None:
    assert list(embedding_models(Settings(**ENDPOINT, embeddings_name="E5_v2"))) == ["E5_v2", BUILT_IN.name]


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("text-embedding-3-small", "text_embedding_3_small"),
        ("Org/A.b--C:latest", "org_a_b_c_latest"),
        ("模型", ""),
    ],
)
def test_a_name_is_derived_from_the_model(model: str, name: str) -> None:
    assert feature_name(model) == name


@given(st.text())
def test_a_derived_name_is_a_word_and_derives_to_itself(model: str) -> None:
    name = feature_name(model)
    assert all(char.isascii() and (char.isalnum() or char == "_") for char in name)
    assert feature_name(name) == name


@pytest.mark.parametrize(
    ("given_", "problem"),
    [
        ({"embeddings_model": ""}, "needs KENNEL_EMBEDDINGS_MODEL"),
        (
            {"embeddings_dimensions": 0},
            "needs KENNEL_EMBEDDINGS_DIMENSIONS, .* intfloat/multilingual-e5-large has",
        ),
        ({"embeddings_model": "模型"}, "'模型' cannot be named '': set KENNEL_EMBEDDINGS_NAME to letters"),
        ({"embeddings_name": BUILT_IN.name}, f"cannot be named '{BUILT_IN.name}'"),
        ({"embeddings_url": "api.example.com"}, "KENNEL_EMBEDDINGS_URL is no http:// or https:// URL"),
        ({"embeddings_url": "ftp://api.example.com"}, "is no http:// or https:// URL"),
        ({"embeddings_url": "https://me:pw@example.com"}, "put them into KENNEL_EMBEDDINGS_API_KEY"),
        ({"embeddings_url": "https://example.com/?a=b"}, r"leave out what begins with \? or #"),
        (
            {"embeddings_api_key": "two\nlines"},
            "KENNEL_EMBEDDINGS_API_KEY holds characters that no HTTP header",
        ),
        (
            {"embeddings_api_key": "schlüssel"},
            "KENNEL_EMBEDDINGS_API_KEY holds characters that no HTTP header",
        ),
        ({"embeddings_name": "a-b"}, "embeddings_name"),
        ({"embeddings_url": ""}, "KENNEL_EMBEDDINGS_MODEL has no effect without KENNEL_EMBEDDINGS_URL"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(given_: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Settings(**{**ENDPOINT, **given_})


@pytest.mark.parametrize(
    "setting",
    [
        {"embeddings_api_key": "sk-1"},
        {"embeddings_name": "x"},
        {"embeddings_dimensions": 3},
        {"embeddings_query_prefix": "query: "},
        {"embeddings_batch": 3},
    ],
)
def test_a_setting_of_the_endpoint_without_one_is_refused(setting: dict[str, Any]) -> None:
    variable = f"KENNEL_{next(iter(setting)).upper()}"
    with pytest.raises(ValidationError, match=f"{variable} has no effect without KENNEL_EMBEDDINGS_URL"):
        Settings(**setting)


def test_a_traceback_of_bad_settings_shows_no_secret() -> None:
    secrets = {"api_key": "sk_first_secret", "embeddings_api_key": "sk-second-secret"}
    with pytest.raises(ValidationError) as refused:
        Settings(**{**ENDPOINT, **secrets, "embeddings_dimensions": 0})
    shown = "".join(traceback.format_exception_only(refused.value))
    assert "KENNEL_EMBEDDINGS_DIMENSIONS" in shown
    assert not [secret for secret in secrets.values() if secret[:8] in shown]


def test_every_stop_word_is_one_word_as_texts_give_it() -> None:
    assert all(words(word) == [word] for word in ENGLISH)
    assert {"the", "of", "s", "t"} <= ENGLISH
