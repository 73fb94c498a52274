"""From source text to something that can run: parse, allow, rewrite for the meter, compile, cache."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

from jinja2 import Template, TemplateError, TemplateSyntaxError, Undefined, UndefinedError, nodes
from jinja2.visitor import NodeTransformer

from shared.errors import InvalidInput
from shared.templates import functions
from shared.templates.environment import FILTER_NAMES, Environment, MeteredContext, lookup
from shared.templates.limits import (
    NESTING_MAX,
    NODES_MAX,
    SOURCE_MAX_BYTES,
    TAGS_MAX,
    VALUE_MAX_BYTES,
    Meter,
    Refused,
    utf8_length,
)
from shared.templates.scope import NAMESPACES, Scope

_CACHED_PROGRAMS = 1_024
_SHOWN_CHARACTERS = 80
_REASON_MAX_CHARACTERS = 600  # room for a list of all filters
_RESULT = "result"
_ALLOWED = frozenset((
    nodes.Add, nodes.And, nodes.Assign, nodes.Call, nodes.Compare, nodes.Concat, nodes.CondExpr,
    nodes.Const, nodes.Dict, nodes.Div, nodes.Filter, nodes.FloorDiv, nodes.For, nodes.Getattr,
    nodes.Getitem, nodes.If, nodes.Keyword, nodes.List, nodes.Mod, nodes.Mul, nodes.Name, nodes.Neg,
    nodes.Not, nodes.Operand, nodes.Or, nodes.Output, nodes.Pair, nodes.Pos, nodes.Pow, nodes.Slice,
    nodes.Sub, nodes.Template, nodes.TemplateData, nodes.Test, nodes.Tuple,
))  # fmt: skip

# All that a template's own code can raise; anything else is a defect of Kennel and is not hidden.
_RUN_ERRORS = (
    TemplateError,
    ArithmeticError,
    LookupError,
    MemoryError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
)

_environment = Environment()


def has_template(text: str) -> bool:
    """Whether `text` is a template at all: it holds `{{` or `{%`. Single braces are literal."""
    return "{{" in text or "{%" in text


def is_expression(text: str) -> bool:
    """Whether `text` is exactly one `{{ … }}`, whose value keeps its type. False for a broken one."""
    if not (text.startswith("{{") and text.endswith("}}")):
        return False
    try:
        return load(text, ()).is_expression
    except InvalidInput:
        return False


def check(
    text: str, *, loc: Sequence[str | int], names: Collection[str] = (), refuse: Collection[str] = ()
) -> None:
    """Check the syntax and names of a template without running it.

    Args:
        names: bare names that the stage adds for this text.
        refuse: namespaces that may not be used here.

    Raises:
        InvalidInput: at `loc`, with the reason.
    """
    program = load(text, loc)
    unknown = sorted(program.names - NAMESPACES.keys() - set(names))
    refused = sorted(program.names & set(refuse))
    if unknown:
        raise template_error(
            text, _unknown_name(unknown[0], {*NAMESPACES.values(), *names} - set(refuse)), loc
        )
    if refused:
        raise template_error(text, f"{refused[0]} is not supported yet", loc)


def load(text: str, loc: Sequence[str | int]) -> Program:
    """The program of a template, from the cache if possible. Raises InvalidInput at `loc`."""
    try:
        return _program(text)
    except (TemplateError, RecursionError, ValueError) as error:
        raise template_error(text, _reason(error), loc) from None


@lru_cache(maxsize=_CACHED_PROGRAMS)
def _program(text: str) -> Program:
    if utf8_length(text) > SOURCE_MAX_BYTES:
        raise Refused(f"it is longer than {SOURCE_MAX_BYTES:,} bytes")
    if text.count("{{") + text.count("{%") > TAGS_MAX:  # parsing would be slow
        raise Refused(f"it has more than {TAGS_MAX:,} tags")
    tree = _environment.parse(text)
    _check_tree(tree)
    return Program(text, tree)


class Program:
    """One checked template. Compiled at its first run, as most are only ever checked."""

    def __init__(self, text: str, tree: nodes.Template) -> None:
        self.text = text
        rewriter = _Rewriter({name.name for name in tree.find_all(nodes.Name) if name.ctx != "load"})
        tree = rewriter.visit(tree)
        expression = _only_expression(tree)
        self.is_expression = expression is not None
        self.names = frozenset(rewriter.names)
        self.references = frozenset(_references(tree))
        # The commonest template by far is a bare path, which needs no Jinja to run.
        self._path = _path(expression) if expression is not None else None
        self._tree = tree

    @cached_property
    def _compiled(self) -> Template:
        tree = self._tree
        expression = _only_expression(tree)
        if expression is not None:
            tree = nodes.Template(
                [nodes.Assign(nodes.Name(_RESULT, "store"), expression, lineno=1)], lineno=1
            )
        return _environment.from_string(tree)

    def run(self, scope: Scope, meter: Meter, loc: Sequence[str | int]) -> Any:
        """The value of an expression (Undefined when absent), else text. Raises InvalidInput at `loc`."""
        try:
            missing = self.names - scope.variables.keys()
            if missing:
                raise Refused(_unknown_name(min(missing), scope.variables.keys()))
            return self._value(scope, meter)
        except _RUN_ERRORS as error:
            raise template_error(self.text, _reason(error), loc) from None

    def _value(self, scope: Scope, meter: Meter) -> Any:
        if self._path is not None:
            value: Any = scope.variables[self._path[0]]
            for key in self._path[1:]:
                value = lookup(value, key)
            return value
        context = self._compiled.new_context(scope.variables, shared=True)
        assert isinstance(context, MeteredContext)
        context.meter = meter
        pieces = self._compiled.root_render_func(context)
        if not self.is_expression:
            return _joined(pieces)
        for _ in pieces:
            pass
        return _plain(meter.made(context.vars[_RESULT]))


def template_error(text: str, reason: str, loc: Sequence[str | int]) -> InvalidInput:
    """The error of a template: its source shortened, and a reason that holds none of its data."""
    shown = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
    return InvalidInput.at(
        loc,
        f"the template {shown!r} cannot be used: {reason:.{_REASON_MAX_CHARACTERS}}",
        type_="template_error",
    )


def _joined(pieces: Iterator[str]) -> str:
    parts, size = [], 0
    for piece in pieces:
        size += utf8_length(piece)
        if size > VALUE_MAX_BYTES:
            raise Refused(f"it prints more than {VALUE_MAX_BYTES:,} bytes")
        parts.append(piece)
    return "".join(parts)


def _plain(value: Any) -> Any:
    """JSON-like: tuples become lists, what is absent inside becomes null."""
    if isinstance(value, Mapping):
        return {key: None if isinstance(item, Undefined) else _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [None if isinstance(item, Undefined) else _plain(item) for item in value]
    return value


def _reason(error: Exception) -> str:
    """Why it failed, in a sentence without values of the data."""
    reason = "a function was given a value it cannot work with"
    match error:
        case TemplateSyntaxError():
            reason = f"line {error.lineno}: {error.message}"
        case UndefinedError():
            reason = f"{error.message}; give it, or write |default(…) after it"
        case TemplateError():
            reason = error.message or "it is not allowed"
        case RecursionError() | SyntaxError() | MemoryError():
            reason = "it is nested too deeply"
        case ZeroDivisionError():
            reason = "it divides by zero"
        case TypeError():  # these messages name types, not values
            reason = f"an operation does not fit its values ({error})".replace("<lambda>()", "the filter")
    return reason


def _unknown_name(name: str, known: Collection[str]) -> str:
    if name in NAMESPACES.values():
        return f"{name} is not available here (available: {', '.join(sorted(known))})"
    return f"unknown name {name!r}; known: {', '.join(sorted(known))}"


def _only_expression(tree: nodes.Template) -> nodes.Expr | None:
    if len(tree.body) == 1 and isinstance(tree.body[0], nodes.Output) and len(tree.body[0].nodes) == 1:
        only = tree.body[0].nodes[0]
        return None if isinstance(only, nodes.TemplateData) else only
    return None


def _path(node: nodes.Node) -> tuple[Any, ...] | None:
    """("INPUT", "tags", 0) for INPUT.tags[0]; None for anything but constant steps from a known name."""
    keys: list[Any] = []
    while not isinstance(node, nodes.Name):
        if isinstance(node, nodes.Getattr):
            keys.append(node.attr)
        elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
            keys.append(node.arg.value)
        else:
            return None
        node = node.node
    return (node.name, *reversed(keys))


def _check_tree(tree: nodes.Template) -> None:
    """Refuse a template by the kind, number and depth of its nodes, before anything recurses into it."""
    pending: list[tuple[nodes.Node, int]] = [(tree, 0)]
    count = 0
    while pending:
        node, depth = pending.pop()
        count += 1
        if type(node) not in _ALLOWED:
            raise Refused(
                f"{type(node).__name__} is not allowed (line {node.lineno}); use expressions, if, for and set"
            )
        if count > NODES_MAX:
            raise Refused(f"it has more than {NODES_MAX:,} parts")
        if depth > NESTING_MAX:
            raise Refused("it is nested too deeply")
        pending.extend((child, depth + 1) for child in node.iter_child_nodes())


class _Rewriter(NodeTransformer):
    """Gives names their canonical spelling, refuses unknown functions, and routes work through the meter."""

    def __init__(self, local_names: set[str]) -> None:
        self.local_names = local_names
        self.names: set[str] = set()
        self._visited = 0
        self._loops = 0
        for name in local_names:
            if (
                name.startswith("_")
                or name == "loop"
                or name.upper() in NAMESPACES
                or name in functions.FUNCTIONS
            ):
                raise Refused(f"{name!r} is taken; choose another name for a variable")

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> Any:
        self._visited += 1
        return super().visit(node, *args, **kwargs)

    def visit_Name(self, node: nodes.Name) -> nodes.Node:
        if node.ctx != "load" or node.name in self.local_names or (node.name == "loop" and self._loops):
            return node
        if node.name in functions.FUNCTIONS:
            raise Refused(f"{node.name} is a function: write {node.name}(…)")
        node.name = NAMESPACES.get(node.name.upper(), node.name)
        self.names.add(node.name)
        return node

    def visit_For(self, node: nodes.For) -> nodes.Node:
        if node.recursive:
            raise Refused("a recursive for is not allowed")
        items = self.visit(node.iter)
        node.iter = nodes.Const(None)
        before = self._visited
        self._loops += 1
        self.generic_visit(node)
        self._loops -= 1
        node.iter = _metered(items, "(loop)", [nodes.Const(self._visited - before)])
        return node

    def visit_Call(self, node: nodes.Call) -> nodes.Node:
        """A function, or a method that stands for a filter, becomes that filter."""
        _refuse_unpacking(node)
        called = node.node
        if isinstance(called, nodes.Name) and called.name in functions.FUNCTIONS:
            node.node = nodes.Const(None)
            name = f"{called.name}()"
        elif isinstance(called, nodes.Getattr) and called.attr in functions.METHODS:
            node.node = called.node
            name = functions.METHODS[called.attr]
        else:
            known = sorted(f"{name}()" for name in functions.FUNCTIONS)
            raise Refused(
                f"only these can be called: {', '.join(known)}; use filters for the rest, as in x|length"
            )
        self.generic_visit(node)
        return _metered(node.node, name, node.args, node.kwargs)

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:
        _refuse_unpacking(node)
        _refuse_unknown("filter", node.name, FILTER_NAMES)
        return self.generic_visit(node)

    def visit_Test(self, node: nodes.Test) -> nodes.Node:
        _refuse_unpacking(node)
        _refuse_unknown("test", node.name, functions.TESTS)
        return self.generic_visit(node)

    def visit_Const(self, node: nodes.Const) -> nodes.Node:
        if isinstance(node.value, int | float):
            functions.number(node.value)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _metered(node.nodes[0], "(concat)", node.nodes[1:])

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        self.generic_visit(node)
        node.expr = _metered(node.expr, "(read)")
        for operand in node.ops:
            operand.expr = _metered(operand.expr, "(read)")
        return node

    def visit_List(self, node: nodes.List) -> nodes.Node:
        return _metered(self.generic_visit(node), "(made)")

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:
        return _metered(self.generic_visit(node), "(made)")

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        self.generic_visit(node)
        return _metered(node, "(made)") if node.ctx == "load" else node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            node.node = _metered(node.node, "(read)")
        return node


def _metered(
    node: Any, name: str, args: Sequence[nodes.Expr] = (), kwargs: Sequence[nodes.Keyword] = ()
) -> nodes.Filter:
    return nodes.Filter(node, name, list(args), list(kwargs), None, None, lineno=node.lineno)


def _refuse_unpacking(node: nodes.Call | nodes.Filter | nodes.Test) -> None:
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        raise Refused("unpacking with * and ** is not allowed in a call")


def _refuse_unknown(kind: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise Refused(f"unknown {kind} {name!r}; {hint}known: {', '.join(sorted(known))}")


def _references(tree: nodes.Template) -> Iterator[tuple[str, str]]:
    """The longest constant path from each use of a namespace; empty where the whole namespace is used."""
    pending: list[nodes.Node] = [tree]
    while pending:
        node = pending.pop()
        path = _path(node) if isinstance(node, nodes.Name | nodes.Getattr | nodes.Getitem) else None
        if path is None:
            pending.extend(node.iter_child_nodes())
        elif path[0] in NAMESPACES:
            yield path[0], ".".join(map(str, path[1:]))
