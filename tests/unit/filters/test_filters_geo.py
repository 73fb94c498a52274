"""What the geographic operators mean, and the laws of their areas."""

from __future__ import annotations

import math
from typing import Any

import pytest
from geo_strategies import points
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.filters import compile_predicate, compile_record_predicate, parse_filter
from shared.filters.geo import Area, Box, Point, compile_area
from shared.filters.geo.circle import EARTH_RADIUS_M, Circle, distance_m
from shared.models.document import Document

LAWS = settings(max_examples=200, deadline=None)

BERLIN, POTSDAM, SUVA = Point(13.4050, 52.5200), Point(13.0645, 52.3906), Point(178.4419, -18.1416)

GERMANY = {"top_left": {"lat": 55.1, "lon": 5.9}, "bottom_right": {"lat": 47.3, "lon": 15.0}}
FIJI = {"top_left": [177, -12], "bottom_right": [-178, -21]}
AROUND_BERLIN = {"center": BERLIN._asdict(), "radius": 30_000}
SQUARE = {"exterior": [[0, 0], [10, 0], [10, 10], [0, 10]]}
DONUT = {**SQUARE, "interiors": [{"points": [[4, 4], [6, 4], [6, 6], [4, 6]]}]}
ACROSS = {"exterior": {"points": [[170, -10], [-170, -10], [-170, 10], [170, 10]]}}
WEST_END = {"exterior": [[-180, 0], [-170, 0], [-170, 10], [-180, 10]]}
HALF = {"exterior": [[0, 0], [180, 0], [180, 10], [0, 10]]}
ANTARCTICA = {"exterior": [[-180, -70], [-60, -65], [60, -70], [180, -70], [180, -90], [-180, -90]]}
WORLD = {"exterior": [[-180, -90], [180, -90], [180, 90], [-180, 90]]}

# operator, value, [lon, lat] of points inside, and outside
PLACES: list[tuple[str, Any, list[list[float]], list[list[float]]]] = [
    ("geo_radius", AROUND_BERLIN, [[*BERLIN], [*POTSDAM]], [[*SUVA], [13.4, 52.8]]),
    ("geo_radius", {"center": [180, 0], "radius": 112_000}, [[-179, 0], [179, 0], [-180, 1]], [[-178, 0]]),
    ("geo_radius", {"center": [0, 89], "radius": 250_000}, [[180, 89], [90, 90]], [[180, 88]]),
    ("geo_bounding_box", GERMANY, [[*BERLIN], [5.9, 55.1], [15, 47.3]], [[2.3, 48.9], [10, 55.2]]),
    ("geo_bounding_box", FIJI, [[*SUVA], [-179, -15], [180, -15], [-180, -15]], [[176, -15], [0, -15]]),
    ("geo_bounding_box", {"top_left": [170, 1], "bottom_right": [180, 0]}, [[-180, 1]], [[-179, 1]]),
    ("geo_bounding_box", {"top_left": [-180, 1], "bottom_right": [0, 0]}, [[180, 0]], [[179, 0]]),
    ("geo_bounding_box", {"top_left": [-180, 90], "bottom_right": [180, -90]}, [[0, 0], [180, -90]], []),
    ("geo_polygon", SQUARE, [[5, 5], [0, 0], [10, 5], [3, 10]], [[-1, 5], [5, 11], [11, 10], [-5, 0]]),
    ("geo_polygon", DONUT, [[1, 1], [4, 5], [6, 6]], [[5, 5], [11, 5]]),
    ("geo_polygon", ACROSS, [[175, 0], [-175, 0], [180, 0], [-180, 10], [-170, 5]], [[0, 0], [-169, 0]]),
    ("geo_polygon", WEST_END, [[-175, 5], [180, 5], [-180, 5]], [[175, 5], [-169, 5]]),
    ("geo_polygon", HALF, [[90, 5], [180, 5], [-180, 5]], [[-90, 5]]),
    ("geo_polygon", ANTARCTICA, [[0, -80], [180, -75], [-180, -90], [-60, -65]], [[0, -60], [-60, -64]]),
    ("geo_polygon", WORLD, [[0, 0], [-180, 3], [180, 90]], []),
]


def accepts(operator: str, value: Any, stored: Any) -> bool:
    condition = parse_filter({"field": "a", "operator": operator, "value": value})
    assert condition is not None
    return compile_record_predicate(condition)({"a": stored})


@pytest.mark.parametrize(("operator", "value", "inside", "outside"), PLACES)
def test_an_area_holds_its_points_and_edges_however_they_are_spelled(
    operator: str, value: Any, inside: list[list[float]], outside: list[list[float]]
) -> None:
    for lon, lat in inside:
        assert accepts(operator, value, [lon, lat]), (lon, lat)
        assert accepts(operator, value, {"lat": lat, "lon": lon, "name": "x"}), (lon, lat)
        assert accepts(operator, value, [*outside, [lon, lat], "x"]), (lon, lat)
    for lon, lat in outside:
        assert not accepts(operator, value, [lon, lat]), (lon, lat)
    assert not accepts(operator, value, [*outside, []])


NO_POINTS: list[Any] = [
    None,
    5,
    "0,0",
    {},
    {"lat": 0},
    {"lat": "0", "lon": "0"},
    {"lat": True, "lon": True},
    {"lat": 90.1, "lon": 0},
    {"lat": 0, "lon": 180.1},
    {"type": "Point", "coordinates": [0, 0]},
    [],
    [0],
    [0, True],
    [0, 0, 0],
    [[[0, 0]]],
    [[0, 91]],
]


@pytest.mark.parametrize("stored", NO_POINTS)
def test_what_is_no_point_is_nowhere(stored: Any) -> None:
    assert not accepts("geo_polygon", WORLD, stored)
    assert not accepts("geo_radius", {"center": [0, 0], "radius": 1e9}, stored)


@pytest.mark.parametrize(
    ("path", "document", "holds"),
    [
        ("stops.at", {"stops": [{"at": [50, 50]}, {"at": [5, 5]}]}, True),
        ("stops.at", {"stops": [{"at": [[50, 50], [5, 5]]}, {}]}, True),
        ("stops.at", {"stops": [{"at": {"lat": 5, "lon": 5}}]}, True),
        ("stops.at", {"stops": [{"at": [50, 50]}, {"at": None}]}, False),
        ("days.stops.at", {"days": [{"stops": [{"at": [5, 5]}]}]}, True),
        ("stops.price", {"stops": [{"price": 5}, {"price": 5}]}, False),  # two numbers, of two objects
        ("track.1", {"track": [[50, 50], [5, 5]]}, True),
        ("track.0", {"track": [[50, 50], [5, 5]]}, False),
        ("track.1.0", {"track": [[50, 50], [5, 5]]}, False),
        ("geometry.coordinates", {"geometry": {"type": "Point", "coordinates": [5, 5]}}, True),
    ],
)
def test_paths_lead_to_points(path: str, document: dict[str, Any], holds: bool) -> None:
    condition = parse_filter({"field": path, "operator": "geo_polygon", "value": SQUARE})
    assert condition is not None
    assert compile_record_predicate(condition)(document) == holds


def test_an_attached_point_comes_before_the_stored_one() -> None:
    condition = parse_filter({"field": "at", "operator": "geo_polygon", "value": SQUARE})
    assert condition is not None
    accepted = compile_predicate(condition)
    stored_inside = Document("doc_1", "col_1", payload={"at": [5, 5]})
    stored_outside = Document("doc_2", "col_1", payload={"at": [50, 50]})
    assert (accepted(stored_inside), accepted(stored_outside)) == (True, False)
    assert not accepted(stored_inside.with_attached(at=[50, 50]))
    assert accepted(stored_outside.with_attached(at=[5, 5]))
    assert accepted(stored_inside.with_attached(at=None))


# --- circles ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "share_of_a_turn"),
    [
        (Point(0, 0), Point(0, 0), 0),
        (Point(0, 0), Point(0, 1), 1 / 360),
        (Point(7, 0), Point(6, 0), 1 / 360),
        (Point(-180, 30), Point(180, 30), 0),
        (Point(13, 0), Point(-100, 90), 1 / 4),
        (Point(0, 60), Point(180, 60), 1 / 6),  # over the pole, not along the parallel
        (Point(10, 20), Point(-170, -20), 1 / 2),
    ],
)
def test_a_distance_is_a_share_of_a_great_circle(a: Point, b: Point, share_of_a_turn: float) -> None:
    turn_m = 2 * math.pi * EARTH_RADIUS_M
    assert distance_m(a, b) == pytest.approx(share_of_a_turn * turn_m, rel=1e-12, abs=1e-8)


@LAWS
@given(a=points, b=points)
def test_the_haversine_formula_agrees_with_the_chord_through_the_earth(a: Point, b: Point) -> None:
    def on_unit_sphere(point: Point) -> tuple[float, float, float]:
        lon, lat = math.radians(point.lon), math.radians(point.lat)
        return math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)

    chord = math.dist(on_unit_sphere(a), on_unit_sphere(b))
    expected = 2 * EARTH_RADIUS_M * math.asin(min(1.0, chord / 2))
    assert distance_m(a, b) == pytest.approx(expected, abs=1.0)  # antipodes are known to 0.1 m only
    assert distance_m(a, b) == distance_m(b, a)


@LAWS
@given(center=points, point=points)
def test_a_circle_ends_at_its_radius(center: Point, point: Point) -> None:
    radius_m = distance_m(center, point)
    assert Circle(center, radius_m).holds(point)
    assert not Circle(center, math.nextafter(radius_m, -1)).holds(point)


@LAWS
@given(center=points, point=points)
@example(Point(0, 89.5), Point(180, 89.5))
@example(Point(180, 0), Point(-179, 0))
@example(Point(20, 60), Point(60, 70))
def test_the_bounds_of_a_circle_hold_all_its_points(center: Point, point: Point) -> None:
    assert Circle(center, distance_m(center, point)).bounds.holds(point)


def test_the_bounds_of_a_circle_are_near_it() -> None:
    degree_m = math.pi * EARTH_RADIUS_M / 180
    bounds = Circle(Point(179.5, 60), degree_m).bounds
    [(west, _), (_, east)] = bounds.spans
    touching = math.degrees(math.asin(math.sin(math.radians(1)) / math.cos(math.radians(60))))
    assert (bounds.south, bounds.north) == pytest.approx((59, 61), abs=1e-4)
    assert (west, east) == pytest.approx((179.5 - touching, 179.5 + touching - 360), abs=1e-4)


# --- polygons --------------------------------------------------------------------------------------

_degrees = st.integers(-60, 60)
_rings = st.lists(st.tuples(_degrees, _degrees), min_size=3, max_size=8)
_points = st.tuples(_degrees, _degrees)


def polygon(ring: list[tuple[int, int]], *holes: list[tuple[int, int]]) -> Area:
    return compile_area("geo_polygon", {"exterior": ring, "interiors": holes})


def shifted(point: tuple[int, int], by: int) -> tuple[int, int]:
    return (point[0] + by + 180) % 360 - 180, point[1]


@LAWS
@given(ring=_rings, point=_points, shift=st.integers(-180, 180))
def test_a_polygon_means_the_same_all_round_the_earth(
    ring: list[tuple[int, int]], point: tuple[int, int], shift: int
) -> None:
    elsewhere = polygon([shifted(vertex, shift) for vertex in ring])
    assert elsewhere.holds(Point(*shifted(point, shift))) == polygon(ring).holds(Point(*point))


@LAWS
@given(ring=_rings, point=_points, first=st.integers(0, 7))
def test_a_ring_may_be_written_in_either_direction_from_any_vertex(
    ring: list[tuple[int, int]], point: tuple[int, int], first: int
) -> None:
    start = first % len(ring)
    turned = [*ring[start:], *ring[:start]]
    expected = polygon(ring).holds(Point(*point))
    assert polygon(turned).holds(Point(*point)) == expected
    assert polygon(turned[::-1]).holds(Point(*point)) == expected
    assert polygon([*turned, turned[0]]).holds(Point(*point)) == expected


@LAWS
@given(ring=_rings, edge=st.integers(0, 7))
def test_the_middle_of_an_edge_belongs_to_the_polygon_and_to_one_with_the_same_hole(
    ring: list[tuple[int, int]], edge: int
) -> None:
    (ax, ay), (bx, by) = ring[edge % len(ring)], ring[edge % len(ring) - 1]
    middle = Point((ax + bx) / 2, (ay + by) / 2)
    assert polygon(ring).holds(middle)
    assert polygon(ring, ring).holds(middle)


@LAWS
@given(
    west=st.integers(-180, 180),
    width=st.integers(1, 179),
    south=st.integers(-90, 0),
    north=st.integers(1, 90),
    point=points,
)
def test_a_rectangle_is_its_bounding_box(west: int, width: int, south: int, north: int, point: Point) -> None:
    east = west + width if west + width <= 180 else west + width - 360
    rectangle = polygon([(west, south), (east, south), (east, north), (west, north)])
    assert rectangle.holds(point) == Box.between(south, north, west, east).holds(point)


_near_fiji = st.builds(
    Point, st.floats(-180, -170, exclude_min=True) | st.floats(170, 180), st.floats(-20, -10)
)


@LAWS
@given(ring=st.lists(_near_fiji, min_size=3, max_size=8), point=_near_fiji)
@example([Point(170, 0), Point(-179.9, 0), Point(-179.9, 1)], Point(-180, 0))  # -179.9 + 360 - 360 < -179.9
@example([Point(179, 0), Point(-170.1, 0), Point(-170.1, 1)], Point(-180, 0))  # -170.1 + 360 - 360 > -170.1
@example([Point(math.nextafter(180, 0), 0), Point(-170, 0), Point(-170, 1)], Point(-180, 0))
@example([Point(180, 0), Point(math.nextafter(-180, 0), 0), Point(-179, 1)], Point(-180, 0))
def test_the_bounds_of_a_polygon_hold_all_its_points(ring: list[Point], point: Point) -> None:
    area = compile_area("geo_polygon", {"exterior": ring, "interiors": []})
    assert all(area.holds(vertex) and area.bounds.holds(vertex) for vertex in ring)
    assert area.bounds.holds(point) or not area.holds(point)


def test_a_border_of_ten_thousand_points_is_followed_exactly() -> None:
    def on_circle(number: int, radius: float) -> list[float]:
        angle = 2 * math.pi * number / 10_000
        return [30 + radius * math.cos(angle), radius * math.sin(angle)]

    area = compile_area(
        "geo_polygon", {"exterior": [on_circle(n, 40) for n in range(10_000)], "interiors": []}
    )
    assert all(area.holds(Point(*on_circle(n, 40 * 0.999999))) for n in range(0, 10_000, 7))
    assert all(area.holds(Point(*on_circle(n, 40))) for n in range(0, 10_000, 7))
    assert not any(area.holds(Point(*on_circle(n, 40 * 1.000001))) for n in range(0, 10_000, 7))
