"""Points on the earth, as documents hold them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeGuard

from shared.filters.values import is_number

MAX_LON = 180.0
MAX_LAT = 90.0


class Point(NamedTuple):
    """Degrees, in the order of GeoJSON (RFC 7946, section 3.1.1)."""

    lon: float  # -180 to 180, which are the same meridian
    lat: float  # -90 to 90


def point_of(value: Any) -> Point | None:
    """The point written as {"lat": …, "lon": …} or [lon, lat]; None for any other value.

    Degrees out of range make no point; keys beside lat and lon do no harm.
    """
    if isinstance(value, dict):
        lon, lat = value.get("lon"), value.get("lat")
    elif isinstance(value, list) and len(value) == 2:
        lon, lat = value
    else:
        return None
    if _is_angle(lon, MAX_LON) and _is_angle(lat, MAX_LAT):
        return Point(lon, lat)
    return None


def points_of(value: Any) -> Iterable[Point]:
    """The point that a value is, or the points among the elements of a list.

    [lon, lat] is one point: its elements are numbers, those of a list of points are objects or lists.
    """
    point = point_of(value)
    if point is not None:
        return (point,)
    if not isinstance(value, list):
        return ()
    return (element for element in map(point_of, value) if element is not None)


def _is_angle(value: Any, limit: float) -> TypeGuard[float]:
    return is_number(value) and -limit <= value <= limit
