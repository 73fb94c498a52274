"""Closed lines on the map of longitude and latitude, and on which side of them a point lies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import TypeAlias

from shared.filters.geo.box import TURN
from shared.filters.geo.point import MAX_LON, Point

Vertex: TypeAlias = tuple[float, float]  # longitude, which may lie beyond 180, and latitude

_RUN_EDGES = 64  # of a border of 10,000 points, a test then looks at some hundreds of edges and runs


class Side(IntEnum):
    OUTSIDE = -1
    EDGE = 0
    INSIDE = 1


@dataclass(frozen=True, slots=True)
class Run:
    """Some edges of a ring in a row, which most points can skip together."""

    vertices: tuple[Vertex, ...]
    west: float
    east: float
    south: float
    north: float

    @classmethod
    def along(cls, vertices: Sequence[Vertex]) -> Run:
        lons, lats = zip(*vertices, strict=True)
        return cls(tuple(vertices), min(lons), max(lons), min(lats), max(lats))

    def crossings(self, x: float, y: float) -> int | None:
        """How many edges a line from the point to the east crosses; None when the point is on an edge."""
        if x > self.east or y < self.south or y > self.north:
            return 0
        count = 0
        for (ax, ay), (bx, by) in pairwise(self.vertices):
            if not (ay <= y <= by or by <= y <= ay):
                continue
            cross = (bx - ax) * (y - ay) - (x - ax) * (by - ay)  # above 0 to the left of a -> b
            if cross == 0 and (ax <= x <= bx or bx <= x <= ax):
                return None
            # An edge holds its lower end only: a line through a vertex crosses one of its two edges, or both.
            if (ay > y) != (by > y) and (cross > 0) == (by > ay):
                count += 1
        return count


@dataclass(frozen=True, slots=True)
class Ring:
    """A closed line whose edges are straight on the map, as in GeoJSON (RFC 7946, section 3.1.1).

    An edge goes the shorter way round: where its longitudes differ by more than 180 it crosses the
    antimeridian. Only from -180 to 180 exactly it runs along the whole map.
    """

    runs: tuple[Run, ...]  # their longitudes run on beyond 180, from a westernmost one in -180 to 180

    @classmethod
    def through(cls, points: Sequence[Point]) -> Ring:
        """The ring through at least three points and back to the first.

        Raises:
            ValueError: it has no clear inside on the map; the text says why, and what to do.
        """
        turns = _turns(points)
        if turns[-1] != 0:
            raise ValueError(
                "the ring goes once round the earth: close one round a pole over it, at -180 and 180; write"
                " the antimeridian with one sign"
            )
        lons = [point.lon + TURN * turn for point, turn in zip(points, turns, strict=False)]
        if max(lons) - min(lons) > TURN:
            raise ValueError("the ring covers some longitudes twice; split it into several polygons")
        first = turns[lons.index(min(lons))]
        vertices = [
            (point.lon + TURN * (turn - first), point.lat)
            for point, turn in zip([*points, points[0]], turns, strict=True)
        ]
        starts = range(0, len(points), _RUN_EDGES)
        return cls(tuple(Run.along(vertices[start : start + _RUN_EDGES + 1]) for start in starts))

    def side(self, point: Point) -> Side:
        lon = -MAX_LON if point.lon == MAX_LON else point.lon
        return max(self._side(lon, point.lat), self._side(lon + TURN, point.lat))

    def _side(self, x: float, y: float) -> Side:
        """By the even-odd rule."""
        total = 0
        for run in self.runs:
            count = run.crossings(x, y)
            if count is None:
                return Side.EDGE
            total += count
        return Side.INSIDE if total % 2 else Side.OUTSIDE


def _turns(points: Sequence[Point]) -> list[int]:
    """How many times the line has crossed the antimeridian eastward, at each point and back at the first."""
    turns = [0]
    for here, there in pairwise([*points, points[0]]):
        eastward = there.lon - here.lon
        along_the_map = abs(here.lon) == abs(there.lon) == MAX_LON
        crosses = abs(eastward) > MAX_LON and not along_the_map
        turns.append(turns[-1] - int(math.copysign(1, eastward)) if crosses else turns[-1])
    return turns
