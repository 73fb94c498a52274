"""Templates in stage parameters and filters: `{{INPUT.query}}` becomes a value just before a stage runs.

Jinja2 parses and compiles; what a template may touch is data only, and every step it takes is counted
(limits.py), so that a hostile one ends with a clear error instead of hanging a worker. docs/templates.md
is the guide for people who write templates.
"""

from shared.templates.program import check, has_template, is_expression
from shared.templates.render import references, render, render_filters
from shared.templates.scope import NAMESPACES, Scope

__all__ = [
    "NAMESPACES",
    "Scope",
    "check",
    "has_template",
    "is_expression",
    "references",
    "render",
    "render_filters",
]
