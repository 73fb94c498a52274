"""The Jinja environment: data access only, and a meter on everything whose cost depends on values.

program.py rewrites each template so that its loops, literals, comparisons, joins and calls pass through
the filters named in brackets below; a template cannot write such a name itself. What is left over costs
the same at every run and is priced by the size of the loop body around it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jinja2 import ChainableUndefined, Undefined, pass_context
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from shared.templates import functions
from shared.templates.limits import INTEGER_MAX, Meter, Refused

_LOOP_ATTRIBUTES = frozenset(("first", "index", "index0", "last", "length", "revindex", "revindex0"))
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}
FILTER_NAMES = frozenset((*functions.FILTERS, *functions.ENVIRONMENT_FILTERS, *functions.CONTEXT_FILTERS))


class MeteredContext(Context):
    """The variables of one rendering and the meter they are charged to."""

    meter: Meter


class Environment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox with everything removed that the contract does not name."""

    context_class = MeteredContext
    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))

    def __init__(self) -> None:
        super().__init__(
            undefined=ChainableUndefined,
            keep_trailing_newline=True,
            optimized=False,  # folding constants would run operators while compiling, without a meter
            finalize=_printed,
        )
        self.globals.clear()
        self.filters = _filters(self)
        self.tests = {name: _metered_test(self.tests[name]) for name in functions.TESTS}

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, LoopContext) and attribute in _LOOP_ATTRIBUTES:
            return getattr(obj, attribute)
        return lookup(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        return lookup(obj, argument)

    def call_filter(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """What `map` calls by name: never a filter in brackets, which would give it a hand on the meter."""
        if name not in FILTER_NAMES:
            raise Refused(f"unknown filter {name!r:.80} in map")
        return super().call_filter(name, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        assert isinstance(context, MeteredContext)
        context.meter.call()
        if operator == "+" and type(left) is type(right) and isinstance(left, str | list):
            context.meter.made((left, right))
            return left + right
        left, right = _operand(left), _operand(right)
        if operator == "**":
            return _power(left, right)
        return functions.number(_ARITHMETIC[operator](left, right))


def lookup(obj: Any, key: Any) -> Any:
    """`obj.key` or `obj[key]`: an entry of a mapping, a place of a list or text, never a Python attribute."""
    try:
        if isinstance(obj, Mapping) or (isinstance(obj, list | tuple | str) and isinstance(key, int)):
            return obj[key]
    except (LookupError, TypeError):
        pass
    return obj if isinstance(obj, Undefined) else ChainableUndefined(f"{key!r:.80} is not set")


def _operand(value: Any) -> int | float:
    if isinstance(value, str):
        raise Refused("texts are joined with ~ (or +); other operators take numbers")
    if isinstance(value, Undefined):
        raise Refused(f"{value._undefined_hint}; give it, or write |default(…) after it")
    return functions.number(value)


def _power(base: int | float, exponent: int | float) -> int | float:
    """base ** exponent; the size of the result is known before an integer of millions of digits is made."""
    if isinstance(base, int) and exponent > 0 and abs(float(base) ** exponent) > INTEGER_MAX:
        raise Refused("a number is out of range (integers have 64 bits)")
    return functions.number(base**exponent)


@pass_context
def _printed(context: MeteredContext, value: Any) -> str:
    if value is None or isinstance(value, Undefined):
        context.meter.met_absent = True
    context.meter.call()
    context.meter.made(value)
    return functions.text(value)


@pass_context
def _loop(context: MeteredContext, value: Any, body_steps: int) -> list[Any]:
    """The items of a `for`; each is charged for one run of the body."""
    items = functions.as_list(value)
    context.meter.charge(1 + len(items) * body_steps)
    return items


@pass_context
def _read(context: MeteredContext, value: Any) -> Any:
    context.meter.read(value)
    return value


@pass_context
def _made(context: MeteredContext, value: Any) -> Any:
    return context.meter.made(value)


@pass_context
def _concat(context: MeteredContext, *parts: Any) -> str:
    context.meter.made(parts)
    return "".join(map(functions.text, parts))


def _filters(environment: Environment) -> dict[str, Callable[..., Any]]:
    table: dict[str, Callable[..., Any]] = {
        "(loop)": _loop,
        "(read)": _read,
        "(made)": _made,
        "(concat)": _concat,
    }
    for name, function in functions.FUNCTIONS.items():
        table[f"{name}()"] = _metered_function(function)
    for name, function in functions.FILTERS.items():
        table[name] = _metered_filter(name, function)
    for name, function in functions.ENVIRONMENT_FILTERS.items():
        table[name] = _metered_filter(name, function, first=environment, per_item=True)
    for name, function in functions.CONTEXT_FILTERS.items():
        table[name] = _metered_filter(name, function, per_item=True)
    return table


def _metered_function(function: Callable[..., Any]) -> Callable[..., Any]:
    @pass_context
    def call(context: MeteredContext, _: None, *args: Any, **kwargs: Any) -> Any:
        _charge(context.meter, args, kwargs)
        return context.meter.made(function(*args, **kwargs))

    return call


def _metered_filter(
    name: str, function: Callable[..., Any], *, first: Any = None, per_item: bool = False
) -> Callable[..., Any]:
    """`first`: what Jinja's own filter takes before the value; the context when there is nothing else."""

    @pass_context
    def call(context: MeteredContext, value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, Undefined) and name not in functions.ACCEPT_ABSENT:
            return value
        _charge(context.meter, (value, *args), kwargs)
        if not per_item:
            return context.meter.made(function(value, *args, **kwargs))
        items = functions.as_list(value)
        context.meter.charge(
            len(items)
            * sum(len(argument) for argument in (*args, *kwargs.values()) if isinstance(argument, str))
        )
        result = function(first or context, items, *args, **kwargs)
        return context.meter.made(list(result) if isinstance(result, Iterator) else result)

    return call


def _metered_test(function: Any) -> Callable[..., bool]:
    @pass_context
    def call(context: MeteredContext, value: Any, *args: Any) -> bool:
        _charge(context.meter, (value, *args), {})
        return bool(function(value, *args))

    return call


def _charge(meter: Meter, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    meter.call()
    for argument in (*args, *kwargs.values()):
        meter.read(argument)
