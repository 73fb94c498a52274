"""What a geographic condition asks for, ready to be tested."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from shared.filters.geo.box import Box
from shared.filters.geo.circle import Circle
from shared.filters.geo.point import Point, points_of
from shared.filters.geo.polygon import Polygon
from shared.filters.geo.ring import Ring


class Area(Protocol):
    @property
    def bounds(self) -> Box:
        """A box that holds the whole area; of a Box, itself."""

    def holds(self, point: Point) -> bool: ...


def compile_area(operator: str, value: Mapping[str, Any]) -> Area:
    """The area of a geographic operator and its value, in the form to which parse_geo.py brings it."""
    if operator == "geo_radius":
        return Circle(Point(*value["center"]), value["radius"])
    if operator == "geo_bounding_box":
        (west, north), (east, south) = value["top_left"], value["bottom_right"]
        return Box.between(south, north, west, east)
    exterior, *holes = (_ring(points) for points in (value["exterior"], *value["interiors"]))
    return Polygon(exterior, tuple(holes))


def touches(area: Area, value: Any) -> bool:
    """The value is a point of the area, or a list with such a point."""
    return any(area.holds(point) for point in points_of(value))


def _ring(points: list[list[float]]) -> Ring:
    return Ring.through([Point(*point) for point in points])
