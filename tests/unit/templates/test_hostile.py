"""Templates written to break out, to fill the memory or to run for ever: each ends at once with a reason."""

import tracemalloc

import pytest

from shared.errors import InvalidInput
from shared.templates import Scope, render
from shared.templates.limits import STEPS_MAX, Meter, Refused

BIG = "x" * 1_000_000
SCOPE = Scope(
    inputs={"big": BIG, "secret": "hunter2", "list": [1, 2], "deep": [[["hunter2"]]]},
    document={},
)
TOO_MUCH_WORK = "too much work"
TOO_LARGE = "more than 1,000,000 bytes"
TOO_DEEP = "nested too deeply"
OUT_OF_RANGE = "out of range"

BREAKING_OUT = [
    ("{{ cycler.__init__.__globals__ }}", "unknown name 'cycler'"),
    ("{{ self }}", "unknown name 'self'"),
    ("{{ loop }}", "unknown name 'loop'"),
    ("{{ lipsum() }}", "only these can be called"),
    ("{{ namespace(a=1) }}", "only these can be called"),
    ("{{ '{0.__class__}'.format(1) }}", "only these can be called"),
    ("{{ INPUT.list.append(1) }}", "only these can be called"),
    ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "only these can be called"),
    ("{{ (max)(1, 2).x() }}", "only these can be called"),
    ("{{ max }}", "max is a function"),
    ("{{ max(*INPUT.list) }}", "unpacking"),
    ("{{ INPUT|attr('keys') }}", "unknown filter 'attr'"),
    ("{{ ['x']|map('attr', 'y')|list }}", "unknown filter 'attr' in map"),
    ("{{ ['x']|map('(loop)', -(10**9)) }}", "unknown filter '(loop)' in map"),
    ("{{ ['x']|select('odd')|list }}", "No test named 'odd'"),
    ("{{ ['x']|select(INPUT.big[:9000])|list }}", "No test named 'xxx"),
    ("{{ INPUT[INPUT.big] + 1 }}", "xxx is not set"),
    ("{{ INPUT.big|format(1) }}", "unknown filter 'format'"),
    ("{{ 3 is divisibleby 2 }}", "unknown test 'divisibleby'"),
    ("{% for i in [1] %}{{ loop }}{% endfor %}", "LoopContext cannot be used"),
    ("{% for i in [1] %}{{ loop.__class__ ~ loop._iterator }}{{ loop.cycle(1) }}{% endfor %}", "only these"),
    ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "Macro is not allowed"),
    ("{% include 'x' %}", "Include is not allowed"),
    ("{% import 'os' as os %}", "Import is not allowed"),
    ("{% extends 'x' %}", "Extends is not allowed"),
    ("{% block b %}{% endblock %}", "Block is not allowed"),
    ("{% set x %}y{% endset %}", "AssignBlock is not allowed"),
    ("{% for i in INPUT.list recursive %}{{ loop(i) }}{% endfor %}", "recursive for is not allowed"),
    ("{% set INPUT = 1 %}", "'INPUT' is taken"),
    ("{% for doc in INPUT.list %}{% endfor %}", "'doc' is taken"),
    ("{% set _x = 1 %}", "'_x' is taken"),
]

NUMBERS = [
    ("{{ 9**9**9 }}", OUT_OF_RANGE),
    ("{{ 2**62 * 4 }}", OUT_OF_RANGE),
    ("{{ (-1)**0.5 }}", OUT_OF_RANGE),
    ("{{ 1e308 * 10 }}", OUT_OF_RANGE),
    ("{{ 1e999 }}", OUT_OF_RANGE),
    ("{{ 99999999999999999999 }}", OUT_OF_RANGE),
    ("{{ 'nan'|float + 'inf'|float }}", OUT_OF_RANGE),
    ("{{ 1" + "0" * 5000 + " }}", "cannot be used"),
    ("{{ 1.5|round(10**9) }}", "precision"),
    ("{{ 1 / 0 }}", "divides by zero"),
    ("{{ time_ago(days=10**12) }}", "1970"),
    ("{{ '%999999999d' % 1 }}", "joined with ~"),
    ("{{ 'a' * 10**9 }}", "joined with ~"),
    ("{{ [1] * 10**9 }}", "a number was expected"),
]

GROWTH = [
    ("{{ range(10**9)|list }}", "at most 100,000"),
    ("{{ 'x'|center(10**9) }}", "unknown filter 'center'"),
    ("{{ 'x'|indent(10**9) }}", "unknown filter 'indent'"),
    ("{{ INPUT.big|replace('x', 'yyyyyyyyyy') }}", TOO_LARGE),
    ("{{ INPUT.big|replace('', 'yyyyyyyyyy') }}", TOO_LARGE),
    ("{{ range(100000)|join(INPUT.big) }}", TOO_LARGE),
    ("{{ INPUT.big ~ INPUT.big }}", TOO_LARGE),
    ("{{ INPUT.big + INPUT.big }}", TOO_LARGE),
    ("{{ INPUT.big }}{{ INPUT.big }}", TOO_LARGE),
    ("{{ [INPUT.big, INPUT.big] }}", TOO_LARGE),
    ("{{ ['', '']|map('default', INPUT.big, true) }}", "more than"),
    ("{{ INPUT.big.split('x') }}", "at most 100,000"),
    ("{{ INPUT.big|slugify }}", "at most 10,000"),
    ("{% set a = 'xxxxxxxxxx' %}" + "{% set a = a ~ a %}" * 40, TOO_LARGE),
    ("{% set a = 'xxxxxxxxxx' %}" + "{% set a = a|replace('x', 'xxxxxxxxxx') %}" * 40, TOO_LARGE),
    ("{% set a = [1] %}" + "{% set a = [a, a, a, a, a, a, a, a, a, a] %}" * 12, "more than"),
    ("{% set a = [1] %}" + "{% set a = a + a %}" * 40, "more than"),
    ("{% set a = [1] %}" + "{% set a = {'a': a, 'b': a, 'c': a} %}" * 30, "more than"),
    ("{% for a in range(100) %}{{ INPUT.big }}{% endfor %}", TOO_LARGE),
]

WORK = [
    ("{% for a in range(10000) %}" * 3 + "{% endfor %}" * 3, TOO_MUCH_WORK),
    ("{% for a in range(10000) %}" * 3 + "{{ INPUT.nope }}" + "{% endfor %}" * 3, TOO_MUCH_WORK),
    (
        "{% for a in range(99999) %}" + "{% if INPUT.list[0] %}{% endif %}" * 20 + "{% endfor %}",
        TOO_MUCH_WORK,
    ),
    ("{% for a in range(9999) %}{% set b = INPUT.big|upper %}{% endfor %}", TOO_MUCH_WORK),
    ("{% for a in range(9999) %}{% if INPUT.big == INPUT.big %}{% endif %}{% endfor %}", TOO_MUCH_WORK),
    ("{% for a in range(9999) %}{% set b = INPUT.big[1:] %}{% endfor %}", TOO_MUCH_WORK),
    ("{% for a in range(9999) %}{% set b = INPUT.big is upper %}{% endfor %}", TOO_MUCH_WORK),
    ("{% for a in range(9999) %}{% set b = range(9999)|sort %}{% endfor %}", TOO_MUCH_WORK),
    ("{{ range(100000)|map('replace', 'a', 'b')|list }}", TOO_MUCH_WORK),
    ("{{ range(100000)|map(attribute='" + "a." * 40_000 + "a')|list }}", TOO_MUCH_WORK),
    ("{{ range(100000)|select('in', range(100000))|list }}", TOO_MUCH_WORK),
]

SOURCES = [
    ("{{ x" + "|upper" * 20_000 + " }}", "longer than 100,000 bytes"),
    ("{{a}}" * 3_000, "more than 2,000 tags"),
    ("{{ [" + "1," * 10_000 + "] }}", "more than 5,000 parts"),
    ("{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}", TOO_DEEP),
    ("{{ " + "-" * 20_000 + "1 }}", TOO_DEEP),
    ("{{ 1" + "+1" * 1_000 + " }}", TOO_DEEP),
    ("{{ INPUT" + ".a" * 2_000 + " }}", TOO_DEEP),
    ("{{ " + "[" * 500 + "]" * 500 + " }}", TOO_DEEP),
    ("{% for a in [1] %}" * 25 + "{% endfor %}" * 25, TOO_DEEP),
    ("{% if 1 %}" * 200 + "{% endif %}" * 200, TOO_DEEP),
    ("{{ INPUT.list", "line 1: unexpected"),
    ("{{ '\\ud800' }}", "cannot be used"),
    ("a{{ '\\ud800' }}", "cannot be used"),
]


@pytest.mark.parametrize(("source", "reason"), BREAKING_OUT + NUMBERS + GROWTH + WORK + SOURCES)
def test_a_hostile_template_ends_with_a_reason(source: str, reason: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        render({"p": source}, SCOPE, loc=("stages", 0))
    assert reason in caught.value.message
    assert caught.value.errors[0]["loc"] == ["stages", 0, "p"]
    assert len(caught.value.message) < 1_000


@pytest.mark.parametrize(
    "source", ["{{ ''.__class__ }}", "{{ INPUT.__class__.__mro__ }}", "{{ INPUT.list.append }}"]
)
def test_python_attributes_do_not_exist(source: str) -> None:
    assert render(source, SCOPE) is None


@pytest.mark.parametrize("source", [source for source, _ in GROWTH])
def test_memory_stays_small(source: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInput):
            render(source, SCOPE)
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "source",
    [
        "{{ INPUT.secret + 1 }}",
        "{{ INPUT.secret|int('x') }}",
        "{{ [INPUT.secret]|sum }}",
        "{{ INPUT.deep < 1 }}",
    ],
)
def test_errors_do_not_tell_values(source: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        render(source, SCOPE)
    assert "hunter2" not in str(caught.value.details)
    assert caught.value.__suppress_context__


def test_all_texts_of_a_tree_share_one_budget() -> None:
    half = "{% for a in range(100000) %}{% if a %}{% if a %}{% endif %}{% endif %}{% endfor %}"
    assert render([half], SCOPE) == [""]
    with pytest.raises(InvalidInput, match=TOO_MUCH_WORK):
        render([half, half, half], SCOPE)


def test_a_tree_that_is_too_deep_is_refused() -> None:
    tree: object = "{{INPUT.list}}"
    for _ in range(100):
        tree = [tree]
    with pytest.raises(InvalidInput, match="nested deeper than 64 levels"):
        render(tree, SCOPE)


def test_large_data_may_be_passed_on_and_cut() -> None:
    large = Scope(inputs={"text": "y" * 3_000_000, "vector": [0.5] * 200_000})
    assert render("{{INPUT.vector}}", large) is large.inputs["vector"]
    assert render("{{INPUT.text|truncate(9)}}", large) == "yyyyyyyy…"


def test_the_meter_counts_down() -> None:
    meter = Meter()
    meter.read(["a" * 160, {"k": 1}])
    assert STEPS_MAX - meter.steps_left == 3 + 11 + 3 + 1 + 1
    with pytest.raises(Refused):
        meter.charge(STEPS_MAX)
