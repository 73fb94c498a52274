"""Definitions against the catalogue: what is accepted, and errors that name stage, field and way out."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from shared.errors import InvalidInput
from shared.plan import Catalogue, CatalogueEntry, ignored_keys, validate_stages


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TextQuery(Strict):
    input_mode: Literal["text"]
    value: str = Field(min_length=1)


class VectorQuery(Strict):
    input_mode: Literal["vector"]
    value: list[float]


class Search(Strict):
    feature_uri: str
    query: Annotated[TextQuery | VectorQuery, Field(discriminator="input_mode")]
    top_k: int = Field(100, ge=1, le=5000)


class FeatureSearch(Strict):
    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"fusion": {"const": "learned"}}},
            "then": {"required": ["learning_config"]},
        }
    )
    searches: list[Search] = Field(default_factory=list, max_length=10)
    final_top_k: int = Field(25, ge=1, le=5000)
    fusion: Literal["rrf", "dbsf", "learned"] = "rrf"
    learning_config: dict[str, Any] | None = None
    hard_timeout_ms: int | None = Field(None, ge=1)
    note: str | None = None
    mixed: int | list[str] | None = None
    placeholder: int = Field(-1, ge=0)
    document_template: str = Field(
        "{{COLLECTION_ID}}", json_schema_extra={"x-template-names": ["INDEX"]}, max_length=40
    )
    when: dict[str, Any] | None = Field(None, json_schema_extra={"x-filter": True})


class AttributeFilter(Strict):
    field: str = "status"
    operator: str = "eq"
    value: Any = None
    conditions: dict[str, Any] | None = Field(
        None, json_schema_extra={"x-filter": True, "x-filter-simple": ["field", "operator", "value"]}
    )


def entry(stage_id: str, category: str, model: type[BaseModel], *aliases: str) -> CatalogueEntry:
    return CatalogueEntry.model_validate(
        {
            "stage_id": stage_id,
            "category": category,
            "description": stage_id,
            "parameter_schema": model.model_json_schema(),
            "aliases": aliases,
        }
    )


CATALOGUE = Catalogue(
    [
        entry("feature_search", "filter", FeatureSearch, "feature_filter"),
        entry("sort_attribute", "sort", Strict),
    ]
)


def stage(parameters: Any = None, *, stage_id: str = "feature_search", **over: Any) -> dict[str, Any]:
    config = {"stage_id": stage_id, "parameters": parameters or {}, **over.pop("config", {})}
    return {"stage_name": "find", "config": config, **over}


def search(**over: Any) -> dict[str, Any]:
    return {"feature_uri": "u", "query": {"input_mode": "text", "value": "{{INPUT.query}}"}, **over}


def errors(*stages: Any) -> dict[str, str]:
    """Place below the first stage's parameters (or else the whole place) -> message."""
    with pytest.raises(InvalidInput) as caught:
        validate_stages(list(stages), CATALOGUE)
    places = (".".join(map(str, error["loc"])) for error in caught.value.errors)
    return {
        place.removeprefix("stages.0.config.parameters."): error["msg"]
        for place, error in zip(places, caught.value.errors, strict=True)
    }


def accepted(parameters: dict[str, Any]) -> dict[str, Any]:
    return dict(validate_stages([stage(parameters)], CATALOGUE)[0].parameters)


def test_a_definition_in_the_form_of_answers() -> None:
    pre_filters = {"field": "year", "operator": "gte", "value": "{{INPUT.year}}"}
    given = stage(
        {"searches": [search(top_k="{{ INPUT.top_k }}")]},
        stage_id="feature_filter",
        config={"pre_filters": pre_filters},
        on_error="skip",
        description="d",
        batch_size=None,
    )
    [definition] = validate_stages([given], CATALOGUE)
    assert definition.as_wire() == {
        "stage_name": "find",
        "stage_type": "filter",
        "config": {
            "stage_id": "feature_search",
            "parameters": given["config"]["parameters"],
            "pre_filters": pre_filters,
        },
        "parameters": given["config"]["parameters"],
        "on_error": "skip",
        "description": "d",
        "output_alias": None,
    }
    assert validate_stages([definition.as_wire()], CATALOGUE) == [definition]


@pytest.mark.parametrize(
    ("given", "place", "words"),
    [
        ([], "stages", "a list of 1 to 50 stages is expected, 0 were given"),
        ([stage()] * 51, "stages", "51 were given"),
        ({}, "stages", "not {}"),
        (["x"], "stages.0", "an object"),
        ([{"type": "feature_search", "query": "x"}], "stages.0", "an object"),
        ([stage(stage_name="")], "stages.0.stage_name", "1 to 255 characters"),
        ([stage(), stage()], "stages.1.stage_name", "'find' is used twice"),
        ([stage(stage_type="sort")], "stages.0.stage_type", "\"sort\" is not 'filter'"),
        ([stage(stage_id="feature_serch")], "stages.0.config.stage_id", "did you mean 'feature_search'?"),
        ([stage(stage_id="zzz")], "stages.0.config.stage_id", "Allowed: feature_search, sort_attribute"),
        ([stage(on_error="stop")], "stages.0.on_error", "Allowed: error, skip"),
        ([stage(batch_size="5")], "stages.0.batch_size", "not supported yet"),
        ([stage(output_alias="a b")], "stages.0.output_alias", '"a b" is no alias'),
        ([stage(output_alias="namespace_id")], "stages.0.output_alias", "is no alias"),
        ([stage(output_alias="a"), stage(stage_name="b", output_alias="a")],
         "stages.1.output_alias", "'a' is used twice"),
        ([stage(description=1)], "stages.0.description", "not a text"),
        ([stage(config={"parameters": [1]})], "stages.0.config.parameters", "an object is expected"),
        ([stage(config={"post_filters": {"a": 1}})], "stages.0.config.post_filters", "not supported yet"),
        ([stage(config={"pre_filters": {"field": "a", "operator": "like", "value": "{{INPUT.x}}"}})],
         "stages.0.config.pre_filters.operator", "unknown operator 'like'"),
        ([stage(config={"pre_filters": {"AND": [{"a": "{{INPUT.x"}]}})],
         "stages.0.config.pre_filters.AND.0.a", "unexpected end of template"),
        ([stage({"note": "x" * 1_000_001})], "stages", "at most 1,000,000"),
    ],
)  # fmt: skip
def test_a_bad_stage_is_refused_at_its_place(given: Any, place: str, words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        validate_stages(given, CATALOGUE)
    assert ".".join(map(str, caught.value.errors[0]["loc"])) == place
    assert words in caught.value.errors[0]["msg"]


def test_all_errors_come_at_once_and_name_the_stage() -> None:
    found = errors(
        stage({"final_top_k": 0, "fusion": "rff", "hard_timeout_ms": 0}),
        stage(stage_id="nope", stage_name="other", on_error=3),
    )
    assert found == {
        "final_top_k": "0 is below the minimum of 1 (stage 'find')",
        "fusion": "\"rff\" is not allowed; did you mean 'rrf'? Allowed: rrf, dbsf, learned (stage 'find')",
        "hard_timeout_ms": "0 is below the minimum of 1 (stage 'find')",
        "stages.1.on_error": "3 is not allowed; Allowed: error, skip (stage 'other')",
        "stages.1.config.stage_id": '"nope" is not a known stage; Allowed: feature_search, sort_attribute '
        "(stage 'other')",
    }


def test_an_unknown_parameter_lists_the_known_ones_nearest_first() -> None:
    assert errors(stage({"final_topk": 3}))["final_topk"].startswith(
        "unknown parameter; did you mean 'final_top_k'? Allowed: final_top_k, document_template, fusion"
    )
    assert "Allowed: none" in errors(stage({"x": 1}, stage_id="sort_attribute"))["x"]


@pytest.mark.parametrize(
    ("query", "place", "words"),
    [
        ({"input_mode": "vector", "value": ["a"]}, "value.0", '"a" is not of type number'),
        ({"input_mode": "text", "value": ""}, "value", "at least 1 needed"),
        ({"input_mode": "text"}, "value", "this parameter is required"),
        ({"input_mode": "text", "value": "a", "top": 1}, "top", "unknown parameter"),
        ({"input_mode": "txt", "value": "a"}, "input_mode", "did you mean 'text'"),
        ({"value": "a"}, "input_mode", "is missing; Allowed: text, vector"),
        ({"input_mode": "{{INPUT.mode}}"}, "input_mode", "a template cannot choose it"),
    ],
)
def test_a_union_reports_the_branch_that_was_chosen(query: dict[str, Any], place: str, words: str) -> None:
    found = errors(stage({"searches": [search(query=query)]}))
    assert list(found) == [f"searches.0.query.{place}"]
    assert words in found[f"searches.0.query.{place}"]


def test_one_expression_stands_for_any_value() -> None:
    parameters = {
        "searches": [{**search(top_k="{{ INPUT.k }}"), "query": "{{INPUT.query}}"}],
        "final_top_k": "{{INPUT.k|default(3)}}",
        "fusion": "{{INPUT.fusion}}",
        "mixed": "{{INPUT.mixed}}",
        "learning_config": "{{INPUT.config}}",
        "note": "about {{INPUT.query}}",
        "document_template": "{{INDEX}} " + "{{INPUT.query}}" * 10,
    }
    assert accepted(parameters) == parameters
    assert accepted({"searches": "{{INPUT.searches}}"}) == {"searches": "{{INPUT.searches}}"}


@pytest.mark.parametrize(
    ("parameters", "place", "words"),
    [
        ({"final_top_k": "1{{INPUT.k}}"}, "final_top_k", "write exactly one {{…}}"),
        ({"final_top_k": "3"}, "final_top_k", '"3" is not of type integer'),
        ({"note": "{{INPUT.a"}, "note", "unexpected end of template"),
        ({"note": "{{FOO}}"}, "note", "unknown name 'FOO'; known: CONTEXT, DOC, INPUT, STAGE"),
        ({"note": "{{INDEX}}"}, "note", "unknown name 'INDEX'"),
        ({"note": "{{SECRET.a}}"}, "note", "SECRET is not supported yet"),
        ({"final_top_k": "{{INPUT.a|nope}}"}, "final_top_k", "unknown filter 'nope'"),
        ({"searches": [search(feature_uri="{% if %}")]}, "searches.0.feature_uri", "line 1"),
        ({"when": {"OR": [{"field": "a", "operator": "between"}]}}, "when.OR.0.operator", "unknown operator"),
        ({"mixed": "x"}, "mixed", '"x" is not of type integer or array or null'),
        (
            {"hard_timeout_ms": "{{INPUT.a}}s"},
            "hard_timeout_ms",
            "integer or null is expected; write exactly",
        ),
    ],
)
def test_broken_templates_and_values_are_one_error_each(parameters: Any, place: str, words: str) -> None:
    found = errors(stage(parameters))
    assert list(found) == [place]
    assert words in found[place]


def test_a_default_is_always_accepted_and_the_text_null_is_absent() -> None:
    defaults = {
        "placeholder": -1,
        "document_template": "{{COLLECTION_ID}}",
        "final_top_k": 25,
        "note": "null",
        "hard_timeout_ms": "null",
        "when": None,
    }
    assert accepted(defaults) == {
        "placeholder": -1,
        "document_template": "{{COLLECTION_ID}}",
        "final_top_k": 25,
        "when": None,
    }
    assert "placeholder" in errors(stage({"placeholder": -2}))
    assert "final_top_k" in errors(stage({"final_top_k": "null"}))


def test_rules_across_fields_are_reported_with_their_condition() -> None:
    assert errors(stage({"fusion": "learned"})) == {
        "learning_config": "this parameter is required when fusion is \"learned\" (stage 'find')"
    }
    assert accepted({"fusion": "learned", "learning_config": {}})
    assert accepted({"fusion": "{{INPUT.fusion}}"})


def test_errors_are_bounded() -> None:
    assert (
        len(
            errors(
                *[stage({f"p{i}": 1}, stage_name=str(i)) for i in range(50)],
            )
        )
        == 50
    )
    many = errors(stage({"searches": [search(top_k=0) for _ in range(200)]}))
    assert len(many) <= 50


def test_definitions_that_are_nested_too_deeply_are_refused() -> None:
    deep: Any = {}
    for _ in range(100):
        deep = {"a": deep}
    assert "nested deeper than 64 levels" in next(iter(errors(stage({"learning_config": deep})).values()))
    for _ in range(300):
        deep = {"a": deep}
    assert "nested too deeply" in errors(stage({"learning_config": deep}))["stages"]


def test_keys_that_mean_nothing_are_listed() -> None:
    stages = [stage(color="red", config={"params": {}}), stage()]
    assert ignored_keys(stages) == [("stages", 0, "color"), ("stages", 0, "config", "params")]


def test_the_catalogue_is_iterated_by_id_and_found_by_alias() -> None:
    assert list(CATALOGUE) == ["feature_search", "sort_attribute"]
    assert CATALOGUE["feature_filter"] is CATALOGUE["feature_search"]
    assert "feature_filter" in CATALOGUE
    assert CATALOGUE.get("nope") is None


FILTERS = Catalogue([entry("attribute_filter", "filter", AttributeFilter)])


@pytest.mark.parametrize(
    ("parameters", "place"),
    [
        ({"operator": "in", "value": 5}, "value"),
        ({"field": "a", "operator": "regex", "value": "("}, "value"),
        ({"operator": "like", "value": "x"}, "operator"),
        ({"field": "a", "operator": "geo_radius", "value": "here"}, "value"),
    ],
)
def test_the_simple_form_of_a_filter_is_checked_like_the_tree(parameters: dict[str, Any], place: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        validate_stages([stage(parameters, stage_id="attribute_filter")], FILTERS)
    assert [error["loc"] for error in refused.value.errors] == [["stages", 0, "config", "parameters", place]]


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"operator": "in", "value": "{{INPUT.kinds}}"},
        {"field": "a", "value": 1},
        {"operator": "geo_radius", "value": {"center": ["{{INPUT.lon}}", "{{INPUT.lat}}"], "radius": 5}},
    ],
)
def test_the_simple_form_may_hold_templates_and_defaults(parameters: dict[str, Any]) -> None:
    validate_stages([stage(parameters, stage_id="attribute_filter")], FILTERS)
