"""Reading the values of the geographic operators into one spelling.

Points become [lon, lat] and rings lists of points, whichever way they were written:

- geo_radius: {"center": point, "radius": metres}
- geo_bounding_box: {"top_left": point, "bottom_right": point}
- geo_polygon: {"exterior": ring, "interiors": [ring, …]}
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from shared.errors import InvalidInput
from shared.filters.geo import Point, Ring
from shared.filters.geo.point import MAX_LAT, MAX_LON
from shared.filters.unrendered import is_unrendered
from shared.filters.values import is_number

MAX_POLYGON_POINTS = 10_000
MIN_RING_POINTS = 3

Loc: TypeAlias = Sequence[str | int]
ReadPoint: TypeAlias = list[float]  # [lon, lat]


def parse_area(operator: str, value: Any, loc: Loc, *, unrendered: bool) -> dict[str, Any]:
    """The value of a geographic operator in the one spelling.

    Args:
        unrendered: leave unchecked what is still a template or dynamic; None stands in its place.

    Raises:
        InvalidInput: at the first place that is wrong.
    """
    reader = _Reader(unrendered)
    if operator == "geo_radius":
        return reader.circle(value, loc)
    if operator == "geo_bounding_box":
        return reader.box(value, loc)
    return reader.polygon(value, loc)


@dataclass(slots=True)
class _Reader:
    unrendered: bool
    points: int = field(default=0)

    def circle(self, value: Any, loc: Loc) -> dict[str, Any]:
        _check_keys(value, loc, "geo_radius", ("center", "radius"))
        return {
            "center": self._point(value["center"], [*loc, "center"]),
            "radius": self._radius_m(value["radius"], [*loc, "radius"]),
        }

    def box(self, value: Any, loc: Loc) -> dict[str, Any]:
        _check_keys(value, loc, "geo_bounding_box", ("top_left", "bottom_right"))
        top_left = self._point(value["top_left"], [*loc, "top_left"])
        bottom_right = self._point(value["bottom_right"], [*loc, "bottom_right"])
        if top_left and bottom_right and top_left[1] < bottom_right[1]:
            raise InvalidInput.at(
                [*loc, "top_left"], "lies south of bottom_right; exchange the latitudes", value=value
            )
        return {"top_left": top_left, "bottom_right": bottom_right}

    def polygon(self, value: Any, loc: Loc) -> dict[str, Any]:
        _check_keys(value, loc, "geo_polygon", ("exterior",), ("interiors",))
        exterior = self._ring(value["exterior"], [*loc, "exterior"])
        return {"exterior": exterior, "interiors": self._rings(value.get("interiors"), [*loc, "interiors"])}

    def _rings(self, values: Any, loc: Loc) -> list[list[ReadPoint] | None]:
        if values is None or self._is_unknown(values):
            return []
        if not isinstance(values, list):
            raise InvalidInput.at(loc, "the interiors are a list of rings", value=values)
        return [self._ring(value, [*loc, index]) for index, value in enumerate(values)]

    def _ring(self, value: Any, loc: Loc) -> list[ReadPoint] | None:
        """At least three points, without a copy of the first at the end; None while any is unknown."""
        if isinstance(value, Mapping) and not self._is_unknown(value):
            _check_keys(value, loc, "a ring", ("points",))
            value, loc = value["points"], [*loc, "points"]
        if self._is_unknown(value):
            return None
        if not isinstance(value, list):
            raise InvalidInput.at(loc, 'a ring is {"points": [point, …]} or a list of points', value=value)
        self._count(len(value), loc)
        read = [self._point(point, [*loc, index]) for index, point in enumerate(value)]
        points = [point for point in read if point is not None]
        return _checked_ring(points, loc) if len(points) == len(read) else None

    def _count(self, points: int, loc: Loc) -> None:
        self.points += points
        if self.points > MAX_POLYGON_POINTS:
            raise InvalidInput.at(
                loc, f"the polygon has over {MAX_POLYGON_POINTS} points in all its rings; simplify it"
            )

    def _point(self, value: Any, loc: Loc) -> ReadPoint | None:
        if self._is_unknown(value):
            return None
        if isinstance(value, list) and len(value) == 2:
            keys: tuple[str | int, str | int] = (0, 1)
        elif isinstance(value, Mapping):
            _check_keys(value, loc, "a point", ("lat", "lon"))
            keys = ("lon", "lat")
        else:
            raise InvalidInput.at(loc, 'a point is {"lat": …, "lon": …} or [lon, lat]', value=value)
        lon = self._angle(value[keys[0]], [*loc, keys[0]], "longitude", MAX_LON)
        lat = self._angle(value[keys[1]], [*loc, keys[1]], "latitude", MAX_LAT)
        return None if lon is None or lat is None else [lon, lat]

    def _angle(self, value: Any, loc: Loc, name: str, limit: float) -> float | None:
        if self._is_unknown(value):
            return None
        if not is_number(value) or not -limit <= value <= limit:
            raise InvalidInput.at(
                loc,
                f"the {name} is a number from {-limit:g} to {limit:g}; in a list the longitude comes first",
                value=value,
            )
        return float(value)

    def _radius_m(self, value: Any, loc: Loc) -> float | None:
        if self._is_unknown(value):
            return None
        if not is_number(value) or not 0 < value <= sys.float_info.max:
            raise InvalidInput.at(loc, "the radius is a number of metres above 0", value=value)
        return float(value)

    def _is_unknown(self, value: Any) -> bool:
        return self.unrendered and is_unrendered(value)


def _check_keys(
    value: Any, loc: Loc, what: str, required: Sequence[str], optional: Sequence[str] = ()
) -> None:
    known = [*required, *optional]
    if not isinstance(value, Mapping):
        raise InvalidInput.at(loc, f"{what} takes an object with {', '.join(known)}", value=value)
    for key in value:
        if key not in known:
            raise InvalidInput.at([*loc, key], f"unknown key of {what}; it has {', '.join(known)}")
    for key in required:
        if key not in value:
            raise InvalidInput.at(loc, f"{what} has no {key!r}; it has {', '.join(known)}", value=value)


def _checked_ring(points: list[ReadPoint], loc: Loc) -> list[ReadPoint]:
    if points and points[0] == points[-1]:
        points = points[:-1]
    if len(points) < MIN_RING_POINTS:
        raise InvalidInput.at(
            loc, f"a ring has at least {MIN_RING_POINTS} points (it is closed without repeating the first)"
        )
    try:
        Ring.through([Point(*point) for point in points])
    except ValueError as error:
        raise InvalidInput.at(loc, str(error)) from error
    return points
