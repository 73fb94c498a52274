"""Polygons on the map of longitude and latitude, with holes."""

from __future__ import annotations

from dataclasses import dataclass

from shared.filters.geo.box import Box
from shared.filters.geo.point import Point
from shared.filters.geo.ring import Ring, Side

_MARGIN = 1e-9  # degrees, far over what is lost when a turn is added to a longitude and taken off again


@dataclass(frozen=True, slots=True)
class Polygon:
    """The points inside the exterior or on it, but not inside a hole; the edge of a hole belongs to it."""

    exterior: Ring
    holes: tuple[Ring, ...]

    @property
    def bounds(self) -> Box:
        """A box that surely holds the exterior."""
        runs = self.exterior.runs
        return Box.unwound(
            min(run.south for run in runs),
            max(run.north for run in runs),
            min(run.west for run in runs) - _MARGIN,
            max(run.east for run in runs) + _MARGIN,
        )

    def holds(self, point: Point) -> bool:
        return self.exterior.side(point) != Side.OUTSIDE and all(
            hole.side(point) != Side.INSIDE for hole in self.holes
        )
