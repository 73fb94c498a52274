"""Circles on the earth, which is taken for a sphere."""

from __future__ import annotations

from dataclasses import dataclass
from math import asin, cos, degrees, radians, sin, sqrt

from shared.filters.geo.box import TURN, Box
from shared.filters.geo.point import MAX_LAT, Point

# Mean radius R1 of the reference ellipsoid GRS 80, rounded to 0.1 m (H. Moritz, "Geodetic Reference System
# 1980", Journal of Geodesy 74, 2000).
EARTH_RADIUS_M = 6_371_008.8

# Added to the reach of the bounds, in degrees (about 1 m): the error of a distance stays below 0.1 m, which
# it comes near on the far side of the earth only.
_MARGIN = 1e-5


@dataclass(frozen=True, slots=True)
class Circle:
    """The points at most `radius_m` metres from the centre, along a great circle."""

    center: Point
    radius_m: float

    @property
    def bounds(self) -> Box:
        """A box that surely holds the circle.

        Longitudes: J. P. Matuschek, "Finding Points Within a Distance of a Latitude/Longitude Using Bounding
        Coordinates", section 3.3.
        """
        lon, lat = self.center
        reach = degrees(self.radius_m / EARTH_RADIUS_M) + _MARGIN
        south, north = lat - reach, lat + reach
        if south <= -MAX_LAT or north >= MAX_LAT:  # a pole is inside, and with it every longitude
            return Box.unwound(max(south, -MAX_LAT), min(north, MAX_LAT), 0.0, TURN)
        width = degrees(asin(sin(radians(reach)) / cos(radians(lat))))
        return Box.unwound(south, north, lon - width, lon + width)

    def holds(self, point: Point) -> bool:
        return distance_m(self.center, point) <= self.radius_m


def distance_m(a: Point, b: Point) -> float:
    """The great-circle distance by the haversine formula (R. W. Sinnott, Sky and Telescope 68, 1984)."""
    lat_a, lat_b = radians(a.lat), radians(b.lat)
    haversine = sin((lat_b - lat_a) / 2) ** 2 + cos(lat_a) * cos(lat_b) * sin(radians(b.lon - a.lon) / 2) ** 2
    return 2 * EARTH_RADIUS_M * asin(min(1.0, sqrt(haversine)))  # rounding may lead past 1
