"""Random points and areas on a coarse grid, so that points meet edges, poles and the antimeridian."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from shared.errors import InvalidInput
from shared.filters.ast import Condition
from shared.filters.geo import Point
from shared.filters.geo.circle import distance_m
from shared.filters.parse_geo import parse_area


def _angles(limit: int, *grid: float) -> st.SearchStrategy[float]:
    """Grid angles of either sign, their nearest neighbours, and any others."""
    on_grid = st.sampled_from([sign * angle for angle in (0.0, *grid, limit) for sign in (-1, 1)])
    nearby = st.builds(math.nextafter, on_grid, st.sampled_from([-limit, limit]))
    return on_grid | nearby | st.integers(-limit, limit) | st.floats(-limit, limit)


points = st.builds(Point, _angles(180, 1, 90, 91, 179, 179.5), _angles(90, 1, 30, 89.5))
spelled_points: st.SearchStrategy[Any] = points.map(lambda p: {"lat": p.lat, "lon": p.lon}) | points.map(list)

no_points: st.SearchStrategy[Any] = st.sampled_from(
    [
        {"lat": 1},
        {"lat": "1", "lon": 1},
        {"lat": True, "lon": False},
        {"lat": None, "lon": 1},
        {"lat": 91, "lon": 0},
        {"lat": 0, "lon": -180.00001},
        {"lat": 0, "lon": 2**63},
        {"lat": [1], "lon": 1},
        {"point": {"lat": 1, "lon": 1}},
        [],
        [1],
        [True, 1],
        [1, "1"],
        [0, 91],
        [1, 1, 1],
        [None, 1],
        "1,1",
        1,
        None,
    ]
)
_places = spelled_points | spelled_points | no_points
stored_values: st.SearchStrategy[Any] = st.one_of(
    _places, st.lists(_places, max_size=3), st.lists(st.lists(_places, max_size=2), max_size=2)
)


@st.composite
def _circles(draw: st.DrawFn) -> dict[str, Any]:
    """Of any size, or with a grid point exactly on the edge."""
    center = draw(points)
    to_a_point = distance_m(center, draw(points))
    radius = draw(
        st.sampled_from([to_a_point, math.nextafter(to_a_point, 0), 1e-9, 2e7, 2.1e7])
        | st.floats(0, 2.1e7, exclude_min=True)
    )
    return {"center": draw(st.sampled_from([center._asdict(), list(center)])), "radius": radius}


@st.composite
def _boxes(draw: st.DrawFn) -> dict[str, Any]:
    one, other = draw(points), draw(points)
    south, north = sorted([one.lat, other.lat])
    return {"top_left": [one.lon, north], "bottom_right": {"lat": south, "lon": other.lon}}


_world = [[-180, -90], [180, -90], [180, 90], [-180, 90]]
_antarctica = [[-180, -60], [-90, -80], [0, -60], [90, -70], [180, -60], [180, -90], [-180, -90]]
_near = st.lists(st.tuples(st.integers(170, 190), st.integers(-5, 5)), min_size=3, max_size=70).map(
    lambda ring: [[lon if lon <= 180 else lon - 360, lat] for lon, lat in ring]
)
_rings: st.SearchStrategy[Any] = st.one_of(
    st.lists(spelled_points, min_size=3, max_size=6), st.sampled_from([_world, _antarctica]), _near
)
_polygons = st.fixed_dictionaries(
    {"exterior": _rings | st.fixed_dictionaries({"points": _rings})},
    optional={"interiors": st.none() | st.lists(_rings, max_size=2)},
)


def _conditions(operator: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, Any]]:
    """(operator, value as the parser gives it), without the values that it refuses."""

    def read(value: Any) -> dict[str, Any] | None:
        try:
            return parse_area(operator, value, (), unrendered=False)
        except InvalidInput:
            return None

    return st.tuples(st.just(operator), values.map(read).filter(lambda value: value is not None))


circles = _conditions("geo_radius", _circles())
boxes = _conditions("geo_bounding_box", _boxes())
polygons = _conditions("geo_polygon", _polygons)
areas = circles | boxes | polygons

# Documents that hold places in every way a path can reach them.
geo_payloads = st.fixed_dictionaries(
    {},
    optional={
        "a": stored_values,
        "b": st.fixed_dictionaries({"c": stored_values}),
        "d": st.lists(st.fixed_dictionaries({"c": stored_values}), max_size=2),
        "e": st.fixed_dictionaries({"d": st.lists(st.fixed_dictionaries({"c": stored_values}), max_size=2)}),
    },
)
geo_conditions = st.builds(
    lambda path, area: Condition(path, *area),
    st.sampled_from(["a", "payload.a", "a.1", "b", "b.c", "b.c.0", "d.c", "d.0.c", "e.d.c"]),
    areas,
)
