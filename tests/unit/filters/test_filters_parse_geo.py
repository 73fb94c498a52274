"""The values of the geographic operators: both spellings of a point, templates, and every refusal."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import InvalidInput
from shared.filters import Condition, check_unrendered, parse_filter, substitute_dynamic
from shared.filters.parse_geo import MAX_POLYGON_POINTS
from shared.templates import Scope, render_filters

SQUARE = [[0, 0], [10, 0], [10, 10], [0, 10]]


def tree(operator: str, value: Any) -> dict[str, Any]:
    return {"field": "a", "operator": operator, "value": value}


def read(operator: str, value: Any) -> Any:
    condition = parse_filter(tree(operator, value))
    assert isinstance(condition, Condition)
    return condition.value


def test_both_spellings_of_a_point_are_one() -> None:
    for center in ({"lat": 52, "lon": 13.4}, [13.4, 52]):
        assert read("geo_radius", {"center": center, "radius": 5}) == {"center": [13.4, 52.0], "radius": 5.0}
    corners = {"top_left": {"lat": 1, "lon": 170}, "bottom_right": [-170, 1]}
    assert read("geo_bounding_box", corners) == {"top_left": [170.0, 1.0], "bottom_right": [-170.0, 1.0]}


@pytest.mark.parametrize(
    "value",
    [
        {"exterior": SQUARE},
        {"exterior": SQUARE, "interiors": None},
        {"exterior": {"points": SQUARE}, "interiors": []},
        {"exterior": {"points": [{"lat": lat, "lon": lon} for lon, lat in SQUARE]}},
        {"exterior": [*SQUARE, [0, 0]]},
    ],
)
def test_all_spellings_of_a_ring_are_one(value: Any) -> None:
    assert read("geo_polygon", value) == {"exterior": SQUARE, "interiors": []}


def test_what_was_read_reads_the_same_again() -> None:
    value = read("geo_polygon", {"exterior": {"points": SQUARE}, "interiors": [{"points": SQUARE}, SQUARE]})
    assert value == {"exterior": SQUARE, "interiors": [SQUARE, SQUARE]}
    assert read("geo_polygon", value) == value


POINT = {"lat": 1, "lon": 2}
AT_POLE = [[0, 80], [120, 80], [-120, 80]]
SPIRAL = [[-170, 0], [-60, 0], [60, 0], [170, 0], [-60, 0], [60, 0], [-60, 1], [-170, 1], [60, 1], [-60, 1]]

# operator, value, the place below "value", what the message says
REFUSED: dict[str, tuple[str, Any, list[str | int], str]] = {
    "no object": ("geo_radius", 5, [], "geo_radius takes an object with center, radius"),
    "no center": ("geo_radius", {"radius": 1}, [], "geo_radius has no 'center'"),
    "unit": ("geo_radius", {"center": POINT, "radius": 1, "unit": "km"}, ["unit"], "it has center, radius"),
    "radius 0": ("geo_radius", {"center": POINT, "radius": 0}, ["radius"], "metres above 0"),
    "radius text": ("geo_radius", {"center": POINT, "radius": "5km"}, ["radius"], "metres above 0"),
    "radius true": ("geo_radius", {"center": POINT, "radius": True}, ["radius"], "metres above 0"),
    "radius nan": ("geo_radius", {"center": POINT, "radius": float("nan")}, ["radius"], "metres above 0"),
    "radius inf": ("geo_radius", {"center": POINT, "radius": float("inf")}, ["radius"], "metres above 0"),
    "radius huge": ("geo_radius", {"center": POINT, "radius": 10**400}, ["radius"], "metres above 0"),
    "radius template": ("geo_radius", {"center": POINT, "radius": "{{x}}"}, ["radius"], "metres above 0"),
    "lng": (
        "geo_radius",
        {"center": {"lat": 1, "lng": 2}, "radius": 1},
        ["center", "lng"],
        "unknown key of a point; it has lat, lon",
    ),
    "point without lon": ("geo_radius", {"center": {"lat": 1}, "radius": 1}, ["center"], "has no 'lon'"),
    "point of three": ("geo_radius", {"center": [1, 2, 3], "radius": 1}, ["center"], "[lon, lat]"),
    "point of text": ("geo_radius", {"center": "1,2", "radius": 1}, ["center"], "[lon, lat]"),
    "lat": ("geo_radius", {"center": {"lat": 91, "lon": 0}, "radius": 1}, ["center", "lat"], "-90 to 90"),
    "lat first": ("geo_radius", {"center": [52, 113], "radius": 1}, ["center", 1], "longitude comes first"),
    "lon": ("geo_radius", {"center": [-180.5, 0], "radius": 1}, ["center", 0], "-180 to 180"),
    "lon nan": ("geo_radius", {"center": [float("nan"), 0], "radius": 1}, ["center", 0], "-180 to 180"),
    "lon text": ("geo_radius", {"center": ["1", 0], "radius": 1}, ["center", 0], "is a number"),
    "lon true": ("geo_radius", {"center": [True, 0], "radius": 1}, ["center", 0], "is a number"),
    "lon huge": ("geo_radius", {"center": [10**400, 0], "radius": 1}, ["center", 0], "-180 to 180"),
    "box upside down": (
        "geo_bounding_box",
        {"top_left": [0, 1], "bottom_right": [1, 2]},
        ["top_left"],
        "south of bottom_right",
    ),
    "half a box": ("geo_bounding_box", {"top_left": [0, 1]}, [], "has no 'bottom_right'"),
    "no exterior": ("geo_polygon", {"interiors": []}, [], "has no 'exterior'"),
    "bare ring": ("geo_polygon", SQUARE, [], "takes an object with exterior, interiors"),
    "exterior number": ("geo_polygon", {"exterior": 1}, ["exterior"], "list of points"),
    "exterior key": ("geo_polygon", {"exterior": {"ring": SQUARE}}, ["exterior", "ring"], "it has points"),
    "two points": ("geo_polygon", {"exterior": SQUARE[:2]}, ["exterior"], "at least 3 points"),
    "two points, closed": (
        "geo_polygon",
        {"exterior": {"points": [[0, 0], [1, 1], [0, 0]]}},
        ["exterior", "points"],
        "at least 3 points",
    ),
    "bad point": ("geo_polygon", {"exterior": [*SQUARE, [0, 99]]}, ["exterior", 4, 1], "-90 to 90"),
    "interiors object": (
        "geo_polygon",
        {"exterior": SQUARE, "interiors": {"points": SQUARE}},
        ["interiors"],
        "list of rings",
    ),
    "empty hole": (
        "geo_polygon",
        {"exterior": SQUARE, "interiors": [SQUARE, {"points": []}]},
        ["interiors", 1, "points"],
        "at least 3 points",
    ),
    "round a pole": ("geo_polygon", {"exterior": AT_POLE}, ["exterior"], "once round the earth"),
    "both signs": (
        "geo_polygon",
        {"exterior": SQUARE, "interiors": [[[179, 0], [180, 0], [-180, 1], [-179, 1]]]},
        ["interiors", 0],
        "with one sign",
    ),
    "more than a turn": ("geo_polygon", {"exterior": SPIRAL}, ["exterior"], "twice"),
    "too many points": (
        "geo_polygon",
        {"exterior": SQUARE, "interiors": [SQUARE * (MAX_POLYGON_POINTS // 4)]},
        ["interiors", 0],
        "over 10000 points in all",
    ),
}


@pytest.mark.parametrize(("operator", "value", "place", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_a_wrong_value_is_refused_at_its_place(
    operator: str, value: Any, place: list[str | int], message: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_filter({"AND": [tree(operator, value)]})
    [error] = refused.value.errors
    assert error["loc"] == ["filters", "AND", 0, "value", *place]
    assert message in error["msg"]


@pytest.mark.parametrize("name", [name for name in REFUSED if name != "radius template"])
def test_a_wrong_value_is_refused_before_rendering_too(name: str) -> None:
    operator, value, _, message = REFUSED[name]
    with pytest.raises(InvalidInput) as refused:
        check_unrendered(tree(operator, value))
    assert message in refused.value.errors[0]["msg"]


def test_a_polygon_of_the_most_points_is_read() -> None:
    ring = SQUARE * (MAX_POLYGON_POINTS // 4)
    assert len(read("geo_polygon", {"exterior": ring})["exterior"]) == MAX_POLYGON_POINTS


DYNAMIC = {"type": "dynamic", "field": "inputs.x"}
UNRENDERED: list[tuple[str, Any]] = [
    ("geo_radius", "{{INPUT.area}}"),
    ("geo_radius", DYNAMIC),
    ("geo_radius", {"center": "{{INPUT.here}}", "radius": DYNAMIC}),
    ("geo_radius", {"center": ["{{INPUT.lon}}", 5], "radius": 1}),
    ("geo_radius", {"center": {"lat": DYNAMIC, "lon": "{{INPUT.lon}}"}, "radius": "{{INPUT.km * 1000}}"}),
    ("geo_bounding_box", {"top_left": [0, "{{INPUT.north}}"], "bottom_right": [1, 5]}),
    ("geo_polygon", {"exterior": "{{INPUT.ring}}", "interiors": "{{INPUT.holes}}"}),
    ("geo_polygon", {"exterior": {"points": DYNAMIC}, "interiors": ["{{INPUT.hole}}"]}),
    ("geo_polygon", {"exterior": ["{{INPUT.a}}", [0, "{{INPUT.b}}"]]}),
]


@pytest.mark.parametrize(("operator", "value"), UNRENDERED)
def test_templates_may_stand_anywhere_in_a_value(operator: str, value: Any) -> None:
    check_unrendered(tree(operator, value))
    with pytest.raises(InvalidInput):
        parse_filter(tree(operator, value))


@pytest.mark.parametrize(
    ("operator", "value", "message"),
    [
        ("geo_radius", {"center": "{{INPUT.here}}", "radius": -1}, "metres above 0"),
        ("geo_radius", {"center": ["{{INPUT.lon}}", 95], "radius": 1}, "-90 to 90"),
        ("geo_radius", {"center": "{{INPUT.here}}", "radius": 1, "unit": "{{INPUT.unit}}"}, "unknown key"),
        ("geo_bounding_box", {"top_left": "{{INPUT.here}}"}, "has no 'bottom_right'"),
        ("geo_polygon", {"exterior": ["{{INPUT.here}}", [0, 0], [0]]}, "[lon, lat]"),
    ],
)
def test_what_stands_beside_a_template_is_judged(operator: str, value: Any, message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_unrendered(tree(operator, value))
    assert message in refused.value.errors[0]["msg"]


def rendered(value: Any, **inputs: Any) -> tuple[Any, list[str]]:
    substituted, missing = substitute_dynamic(tree("geo_radius", value), inputs)
    filled, dropped = render_filters(substituted, Scope(inputs=inputs))
    return parse_filter(filled), missing + dropped


NEAR_ME = {"center": {"lat": "{{INPUT.lat}}", "lon": "{{INPUT.lon}}"}, "radius": "{{INPUT.km * 1000}}"}
NEAR_IT = {
    "center": {"type": "dynamic", "field": "inputs.place.at"},
    "radius": {"type": "dynamic", "field": "inputs.m"},
}


@pytest.mark.parametrize(
    ("value", "inputs"),
    [
        (NEAR_ME, {"lat": 52.5, "lon": 13, "km": 2}),
        (NEAR_IT, {"place": {"at": [13, 52.5]}, "m": 2000}),
    ],
)
def test_inputs_fill_an_area(value: Any, inputs: dict[str, Any]) -> None:
    expected = Condition("a", "geo_radius", {"center": [13.0, 52.5], "radius": 2000.0})
    assert rendered(value, **inputs) == (expected, [])


@pytest.mark.parametrize(("value", "inputs"), [(NEAR_ME, {"lat": 1, "km": 2}), (NEAR_IT, {"m": 1})])
def test_an_area_without_one_of_its_inputs_is_dropped_and_named(value: Any, inputs: dict[str, Any]) -> None:
    assert rendered(value, **inputs) == (None, ["a"])


def test_an_input_that_fits_no_area_is_refused_where_it_stands() -> None:
    with pytest.raises(InvalidInput) as refused:
        rendered(NEAR_ME, lat="52.5", lon=13, km=2)
    assert refused.value.errors[0]["loc"] == ["filters", "value", "center", "lat"]
