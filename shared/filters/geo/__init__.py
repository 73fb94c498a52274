"""Points and areas on the earth: the meaning of the geographic operators."""

from shared.filters.geo.area import Area, compile_area, touches
from shared.filters.geo.box import Box
from shared.filters.geo.point import Point
from shared.filters.geo.ring import Ring

__all__ = ["Area", "Box", "Point", "Ring", "compile_area", "touches"]
