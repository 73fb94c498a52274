"""What templates mean: types, namespaces, absent values, functions and filters."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import InvalidInput
from shared.templates import Scope, check, has_template, is_expression, references, render, render_filters

SCOPE = Scope(
    inputs={
        "query": "red shoes",
        "top_k": 5,
        "tags": ["a", "b"],
        "none": None,
        "o": {"items": [1], "n": {"k": 2}},
    },
    document={"title": "Où est-il ?", "price": 9.5},
    context={"budget_remaining": 3},
    stage={"search": {"count": 7}},
    names={"INDEX": 1},
)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("{{INPUT.query}}", "red shoes"),
        ("{{ inputs.top_k }}", 5),
        ("{{ input['tags'] }}", ["a", "b"]),
        ("{{Input.tags[-1]}}", "b"),
        ("{{ doc.price }}", 9.5),
        ("{{CONTEXT.budget_remaining}}", 3),
        ("{{stage.search.count}}", 7),
        ("{{INDEX}}", 1),
        ("{{INPUT.none}}", None),
        ("{{INPUT.top_k + 1}}", 6),
        ("{{ INPUT.top_k > 3 }}", True),
        ("{{ INPUT.tags[0:1] }}", ["a"]),
        ("{{ [INPUT.top_k, (1, 2)] }}", [5, [1, 2]]),
        ("{{ {'k': INPUT.nope} }}", {"k": None}),
        ("{{ 'big' if INPUT.top_k > 3 else 'small' }}", "big"),
        ("{{ INPUT.o.items }}", [1]),  # a field, where plain Jinja would find the method of a dict
        ("{{ INPUT.o.n.items() }}", [["k", 2]]),
    ],
)
def test_one_whole_expression_keeps_its_type(source: str, value: object) -> None:
    rendered = render(source, SCOPE)
    assert (rendered, type(rendered)) == (value, type(value))


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("about {{INPUT.query}}", "about red shoes"),
        ("{{INPUT.top_k}}{{INPUT.top_k}}", "55"),
        ("[{{INPUT.none}}{{INPUT.nope.deeper}}]", "[]"),
        ("{ single } braces {{INPUT.top_k}} %}", "{ single } braces 5 %}"),
        ("{{INDEX}} {{DOC.price}}\n\n", "1 9.5\n\n"),
        ("{% if INPUT.top_k > 9 %}many{% else %}few{% endif %}", "few"),
        (
            "{% for t in INPUT.tags %}{{ loop.index }}{{ t }}{% if not loop.last %},{% endif %}{% endfor %}",
            "1a,2b",
        ),
        ("{% for t in INPUT.tags if t != 'a' %}{{ t }}{% endfor %}", "b"),
        ("{% set n = INPUT.top_k * 2 %}{{ n }}", "10"),
        ("{{ 'a' ~ 1 ~ INPUT.none }}!", "a1!"),
        ("{# a note #}{{ INPUT.top_k }}!", "5!"),
        ("{% raw %}{{ INPUT.query }}{% endraw %}", "{{ INPUT.query }}"),
    ],
)
def test_anything_else_renders_to_text(source: str, text: str) -> None:
    assert render(source, SCOPE) == text


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("{{ max(1, INPUT.top_k) }}", 5),
        ("{{ min([4, 2]) }}", 2),
        ("{{ abs(-2) }}", 2),
        ("{{ round(2.567, 1) }}", 2.6),
        ("{{ round(2.5) }}", 2),
        ("{{ 2.1|round(0, 'ceil') }}", 3),
        ("{{ ceil(2.1) }}", 3),
        ("{{ floor(2.9) }}", 2),
        ("{{ range(3) }}", [0, 1, 2]),
        ("{{ INPUT.tags|first }}{{ INPUT.tags|last }}", "ab"),
        ("{{ INPUT.tags|join('-') }}", "a-b"),
        ("{{ INPUT.tags|length }}", 2),
        ("{{ INPUT.tags|map('upper')|list }}", ["A", "B"]),
        ("{{ [{'k': 1}, {'k': 2}]|map(attribute='k')|sum }}", 3),
        ("{{ [{'k': 1}, {'k': 2}]|selectattr('k', 'gt', 1)|list }}", [{"k": 2}]),
        ("{{ [3, 1, 2]|sort(reverse=true) }}", [3, 2, 1]),
        ("{{ ['b', 'a', 'b']|unique }}", ["b", "a"]),
        ("{{ {'a': [1, none]}|tojson }}", '{"a":[1,null]}'),
        ("{{ DOC.title|slugify }}", "ou-est-il"),
        ("{{ 'No'|bool }}", False),
        ("{{ INPUT.tags|bool }}", True),
        ("{{ '12'|int + 1 }}", 13),
        ("{{ 'x'|int(7) }}", 7),
        ("{{ '1.5'|float }}", 1.5),
        ("{{ INPUT.query.upper().split() }}", ["RED", "SHOES"]),
        ("{{ INPUT.query|replace('red', 'blue')|title }}", "Blue Shoes"),
        ("{{ INPUT.query|truncate(6) }}", "red…"),
        ("{{ INPUT.query|truncate(2, '...') }}", ".."),
        ("{{ INPUT.nope|default('d') }}", "d"),
        ("{{ INPUT.nope|length }}", 0),
        ("{{ INPUT.nope is defined }}", False),
        ("{{ 'a b/c'|urlencode }}", "a%20b%2Fc"),
    ],
)
def test_functions_and_filters(source: str, value: object) -> None:
    assert render(source, SCOPE) == value


def test_time_functions_give_iso_times_in_utc() -> None:
    before = datetime.now(UTC) - timedelta(minutes=5, seconds=1)
    ago = datetime.fromisoformat(render("{{ time_ago(minutes=5) }}", SCOPE))
    now = datetime.fromisoformat(render("{{ utc_now() }}", SCOPE))
    assert before < ago < now
    assert timedelta(minutes=4) < now - ago < timedelta(minutes=6)


def test_an_absent_expression_leaves_its_place_out() -> None:
    tree = {
        "top_k": "{{INPUT.nope}}",
        "none": "{{INPUT.none}}",
        "list": ["{{INPUT.nope|int}}", "{{INPUT.top_k}}"],
    }
    assert render(tree, SCOPE) == {"none": None, "list": [5]}
    assert render("{{INPUT.nope}}", SCOPE) is None


def test_rendering_leaves_its_argument_alone() -> None:
    tree = {"a": [{"b": "{{INPUT.top_k}}"}], "c": 1}
    assert render(tree, SCOPE) == {"a": [{"b": 5}], "c": 1}
    assert tree == {"a": [{"b": "{{INPUT.top_k}}"}], "c": 1}


def test_deferred_namespaces_stay_templates() -> None:
    tree = {"now": "{{INPUT.top_k}}", "later": "{{DOC.title}} {{INPUT.top_k}}"}
    assert render(tree, SCOPE, defer={"DOC"}) == {"now": 5, "later": "{{DOC.title}} {{INPUT.top_k}}"}


def test_a_namespace_that_is_not_available_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"top_k: .*DOC is not available here \(available: INPUT\)"):
        render("{{DOC.title}}", Scope(inputs={}), loc=("top_k",))
    with pytest.raises(InvalidInput, match="SECRET is not available here"):
        render("{{secrets.key}}", SCOPE)
    assert render("{{secret.key}}", Scope(secrets={"key": "s"})) == "s"


def test_references_name_the_data_a_tree_uses() -> None:
    tree = {
        "a": "{{INPUT.query|upper}} {{ inputs.o['n'].k }}",
        "b": ["{% for t in INPUT.tags %}{{ t.name }}{{ DOC[t] }}{% endfor %}"],
        "c": {"type": "dynamic", "field": "inputs.user.id"},
        "d": "no template",
    }
    assert references(tree) == {
        ("INPUT", "query"),
        ("INPUT", "o.n.k"),
        ("INPUT", "tags"),
        ("DOC", ""),
        ("INPUT", "user.id"),
    }


@pytest.mark.parametrize(
    ("text", "template", "expression"),
    [
        ("plain { } text", False, False),
        ("{{INPUT.a}}", True, True),
        ("{{ INPUT.a }} ", True, False),
        ("{{INPUT.a}}{{INPUT.b}}", True, False),
        ("{% if 1 %}{% endif %}", True, False),
        ("{{ broken", True, False),
        ("{{ broken( }}", True, False),
    ],
)
def test_what_counts_as_template_and_expression(text: str, template: bool, expression: bool) -> None:
    assert (has_template(text), is_expression(text)) == (template, expression)


def test_check_finds_errors_without_running() -> None:
    check("{{INPUT.a / 0}} {{DOCUMENTS}}", loc=("p",), names=("DOCUMENTS",))
    with pytest.raises(
        InvalidInput, match=r"unknown name 'DOCUMENTS'; known: CONTEXT, DOC, INPUT, SECRET, STAGE"
    ):
        check("{{DOCUMENTS}}", loc=("p",))
    with pytest.raises(InvalidInput, match="SECRET is not supported yet"):
        check("{{SECRET.a}}", loc=("p",), refuse=("SECRET",))
    with pytest.raises(InvalidInput, match="did you mean 'length'"):
        check("{{INPUT.a|lenght}}", loc=("p",))


def test_filters_lose_conditions_without_a_value() -> None:
    tree = {
        "AND": [
            {"field": "year", "operator": "gte", "value": "{{INPUT.year}}"},
            {"field": "k", "operator": "lt", "value": "{{INPUT.top_k}}"},
            {"OR": [{"field": "name", "value": "x-{{INPUT.nope}}"}]},
            {"field": "kind", "operator": "in", "value": ["{{INPUT.nope}}", "b"]},
        ],
        "lang": "{{INPUT.none}}",
        "brand": "{{INPUT.brand|default('acme')}}",
    }
    rendered, dropped = render_filters(tree, SCOPE)
    assert rendered == {
        "AND": [{}, {"field": "k", "operator": "lt", "value": 5}, {"OR": [{}]}, {}],
        "brand": "acme",
    }
    assert dropped == ["year", "name", "kind", "lang"]


def test_filters_without_templates_are_unchanged() -> None:
    tree = {"NOT": [{"field": "a", "operator": "is_null", "value": True}], "b": None, "case_sensitive": False}
    assert render_filters(tree, SCOPE) == (tree, [])
