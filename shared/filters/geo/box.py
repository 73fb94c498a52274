"""Boxes of latitude and longitude: the areas that an engine can compare without calling Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from shared.filters.geo.point import MAX_LON, Point

Span: TypeAlias = tuple[float, float]  # longitudes from west to east, both within -180 to 180

TURN = 360.0  # degrees


@dataclass(frozen=True, slots=True)
class Box:
    """The points between two latitudes whose longitude is in one of the spans; edges belong to it."""

    south: float
    north: float
    spans: tuple[Span, ...]

    @classmethod
    def between(cls, south: float, north: float, west: float, east: float) -> Box:
        """The box from `west` eastward to `east`: across the antimeridian where `west` > `east`."""
        return cls(south, north, _spans(west, east))

    @classmethod
    def unwound(cls, south: float, north: float, west: float, east: float) -> Box:
        """The box from `west` to `east` >= `west`, of which both may lie beyond 180 or -180."""
        if east - west >= TURN:
            return cls(south, north, ((-MAX_LON, MAX_LON),))
        return cls(south, north, _spans(_wound(west), _wound(east)))

    @property
    def bounds(self) -> Box:
        return self

    def holds(self, point: Point) -> bool:
        return self.south <= point.lat <= self.north and any(
            west <= point.lon <= east for west, east in self.spans
        )


def _spans(west: float, east: float) -> tuple[Span, ...]:
    if (west, east) == (-MAX_LON, MAX_LON):
        return ((west, east),)
    # -180 and 180 are one meridian: a box that ends there holds the points written either way.
    west = MAX_LON if west == -MAX_LON else west
    east = -MAX_LON if east == MAX_LON else east
    return ((west, east),) if west <= east else ((west, MAX_LON), (-MAX_LON, east))


def _wound(lon: float) -> float:
    """The same longitude within -180 to 180."""
    return (lon + MAX_LON) % TURN - MAX_LON
