"""Formulas of KPIs over other KPIs: what one may say, what it names, and what it comes to. Pure.

A formula has numbers, the keys of KPIs of the same phase, + - * /, brackets, and min, max, abs. simpleeval works
it out, in decimals; everything else that it knows (attributes, indexes, texts, comparisons, powers) is taken away.
"""

from __future__ import annotations

import ast
import difflib
import keyword
import operator
import re
import warnings
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, DecimalException, DivisionByZero, InvalidOperation, localcontext
from itertools import product
from typing import Any

from simpleeval import SimpleEval

from metrics.errors import RuleViolation

MAX_CHARACTERS = 300
MAX_KEY = 60
MAX_DEPTH = 50
# 34 digits are IEEE 754's decimal128; a figure has at most 30.
_DIGITS = 34
# Each operand of which only an interval is known doubles the corners that are tried.
_MAX_INTERVALS = 6
_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_FUNCTIONS = {"min": min, "max": max, "abs": abs}
_NODES = (ast.Name, ast.UnaryOp, ast.BinOp, ast.Call, ast.Constant)
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TAKES = "A formula takes numbers, keys of KPIs, + - * /, brackets, min, max and abs."


class _Evaluator(SimpleEval):
    """simpleeval over decimals, with nothing but what a formula takes."""

    def __init__(self, names: Mapping[str, Decimal]) -> None:
        super().__init__(operators=_OPERATORS, functions=dict(_FUNCTIONS), names=dict(names))
        nodes: dict[Any, Any] = self.nodes  # type: ignore[has-type]
        self.nodes = {kind: handler for kind, handler in nodes.items() if kind in _NODES}

    @staticmethod
    def _eval_constant(node: ast.Constant) -> Decimal:
        # repr of a float is the shortest text that means it: 0.1 stays 0.1.
        return Decimal(repr(node.value))


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula that can be worked out. `names`: the keys it reads, `divisors`: those below a division bar."""

    text: str
    names: frozenset[str]
    divisors: frozenset[str]

    def value(self, values: Mapping[str, Decimal]) -> Decimal | None:
        """What it comes to; None where it divides by zero. Raises RuleViolation where it is out of all range."""
        with localcontext() as context:
            context.prec = _DIGITS
            try:
                found = _Evaluator(values).eval(self.text, _parsed(self.text))
            except (DivisionByZero, InvalidOperation):
                return None
            except DecimalException as error:
                raise RuleViolation("formula_too_large", "The formula's figures are too large.", "formula") from error
            return +Decimal(found)

    def bounds(self, low_high: Mapping[str, tuple[Decimal, Decimal]]) -> tuple[Decimal, Decimal] | None:
        """(lowest, highest) over the corners of what is known as intervals only; None where one cannot be said."""
        wide = [name for name in sorted(self.names) if low_high[name][0] != low_high[name][1]]
        if len(wide) > _MAX_INTERVALS:
            return None
        # Between its corners a quotient may pass through infinity.
        if any(low_high[name][0] <= 0 for name in wide if name in self.divisors):
            return None
        found = []
        for corner in product((0, 1), repeat=len(wide)):
            chosen = dict(zip(wide, corner, strict=True))
            value = self.value({name: low_high[name][chosen.get(name, 0)] for name in self.names})
            if value is None:
                return None
            found.append(value)
        return min(found), max(found)


def read_formula(text: str) -> Formula:
    """The formula of a text. Raises RuleViolation with what is wrong and where."""
    text = " ".join(text.split())
    if not text:
        raise RuleViolation("formula_empty", "Write a formula, such as hours_saved / requests * 1000.", "formula")
    if len(text) > MAX_CHARACTERS:
        raise RuleViolation("formula_long", f"A formula has at most {MAX_CHARACTERS} characters.", "formula")
    body = _parsed(text)
    names: set[str] = set()
    divisors: set[str] = set()
    _walk(body, names, divisors, below=False, depth=0)
    formula = Formula(text, frozenset(names), frozenset(divisors))
    if not names:
        raise RuleViolation("formula_names_none", "A formula names at least one KPI of the phase.", "formula")
    return formula


def _parsed(text: str) -> ast.expr:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        where = f" Near character {error.offset}." if error.offset else ""
        raise RuleViolation("formula_unreadable", f"The formula cannot be read.{where} {_TAKES}", "formula") from None
    except (ValueError, MemoryError, RecursionError):
        raise RuleViolation("formula_unreadable", f"The formula cannot be read. {_TAKES}", "formula") from None


def _walk(node: ast.AST, names: set[str], divisors: set[str], *, below: bool, depth: int) -> None:
    """Collects what a node names, and refuses what a formula does not take. `below`: a division bar is above it."""
    depth += 1
    if depth > MAX_DEPTH:
        raise RuleViolation(
            "formula_deep", "The formula is nested too deep. Make parts of it KPIs of their own.", "formula"
        )
    if isinstance(node, ast.Constant):
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise _not_taken(f"{node.value!r:.40}")
        if not Decimal(repr(node.value)).is_finite():
            raise RuleViolation("formula_too_large", "A number of the formula is too large.", "formula")
    elif isinstance(node, ast.Name):
        if node.id in _FUNCTIONS:
            raise RuleViolation("formula_unreadable", f"'{node.id}' needs brackets: {node.id}(a, b).", "formula")
        names.add(node.id)
        if below:
            divisors.add(node.id)
    elif isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
        _walk(node.operand, names, divisors, below=below, depth=depth)
    elif isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        _walk(node.left, names, divisors, below=below, depth=depth)
        divides = isinstance(node.op, ast.Div)
        inside: set[str] = set()
        _walk(node.right, inside, divisors, below=below or divides, depth=depth)
        if divides and not inside and _constant(node.right) == 0:
            raise RuleViolation("formula_divides_by_zero", "The formula divides by zero.", "formula")
        names |= inside
    elif isinstance(node, ast.Call):
        if not isinstance(node.func, ast.Name) or node.func.id not in _FUNCTIONS or node.keywords:
            raise _not_taken(f"'{ast.unparse(node)[:40]}'")
        wrong = len(node.args) != 1 if node.func.id == "abs" else len(node.args) < 2
        if wrong or any(isinstance(one, ast.Starred) for one in node.args):
            raise RuleViolation("formula_arguments", "abs takes one figure; min and max take two or more.", "formula")
        for one in node.args:
            _walk(one, names, divisors, below=below, depth=depth)
    else:
        raise _not_taken(f"'{ast.unparse(node)[:40]}'")


def _constant(node: ast.AST) -> Decimal | None:
    return Formula(ast.unparse(node), frozenset(), frozenset()).value({})


def _not_taken(what: str) -> RuleViolation:
    return RuleViolation("formula_not_taken", f"{what} has no place in a formula. {_TAKES}", "formula")


def check_formulas(formulas: Mapping[str, Formula], *, keys: Collection[str], no_divisors: Mapping[str, str]) -> None:
    """Refuses a formula that names what is not there, itself, or a ring; or divides by what is no sum.

    `formulas` by their own key; `keys`: of all KPIs of the phase; `no_divisors`: why a key is none, by key.
    """
    for own, formula in formulas.items():
        for name in sorted(formula.names):
            if name == own:
                raise RuleViolation("formula_names_itself", f"The formula of {own} names itself.", "formula")
            if name not in keys:
                near = difflib.get_close_matches(name, [key for key in keys if key != own], n=3)
                hint = (
                    f"Did you mean {' or '.join(near)}?"
                    if near
                    else f"There are: {', '.join(sorted(set(keys) - {own}))}."
                )
                raise RuleViolation("formula_unknown_key", f"This phase has no KPI '{name}'. {hint}", "formula")
        for name in sorted(formula.divisors):
            if name in no_divisors:
                raise RuleViolation("formula_divisor", f"The formula divides by {name}. {no_divisors[name]}", "formula")
    for own in formulas:
        if ring := _ring(own, formulas, (own,)):
            raise RuleViolation("formula_ring", f"The formulas go round: {' > '.join(ring)}.", "formula")


def _ring(key: str, formulas: Mapping[str, Formula], way: tuple[str, ...]) -> tuple[str, ...] | None:
    """The first way through the formulas from the way's last key that comes back to one of its keys."""
    for name in sorted(formulas[key].names):
        if name in way:
            return (*way[way.index(name) :], name)
        if name in formulas and (ring := _ring(name, formulas, (*way, name))):
            return ring
    return None


def users_of(key: str, formulas: Mapping[str, Formula]) -> list[str]:
    """The keys of the formulas that name this key."""
    return sorted(own for own, formula in formulas.items() if key in formula.names)


def renamed(text: str, names: Mapping[str, str]) -> str:
    """The formula with keys exchanged for others."""
    return _WORD.sub(lambda found: names.get(found[0], found[0]), text)


def key_from(name: str, taken: Iterable[str] = ()) -> str:
    """A key for a KPI of this name, 'cost_per_document', that no other one of its phase has."""
    words = re.sub(r"[^a-z0-9]+", "_", name.lower().encode("ascii", "ignore").decode()).strip("_")
    if not words or words[0].isdigit() or keyword.iskeyword(words) or words in _FUNCTIONS:
        words = f"kpi_{words}".rstrip("_")
    key = words[: MAX_KEY - 4].rstrip("_")
    held, number = set(taken), 2
    chosen = key
    while chosen in held:
        chosen, number = f"{key}_{number}", number + 1
    return chosen
