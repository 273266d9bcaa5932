"""What spend is told apart by: members of dimensions, categories, and totals that their parts add up to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy, ngettext

from metrics.money import rounded_parts

CENT = Decimal("0.01")
Number = int | Decimal
# The members that are ours, by id and name, as pages write them.
_OURS: Mapping[tuple[str, str], Promise] = {
    ("~unallocated", "Unallocated"): gettext_lazy("Unallocated"),
    ("~outside", "Outside any phase"): gettext_lazy("Outside any phase"),
    ("~entered", "Entered by hand"): gettext_lazy("Entered by hand"),
    ("~idle", "Idle capacity"): gettext_lazy("Idle capacity"),
    ("~other", "Other charges"): gettext_lazy("Other charges"),
    ("~none", "No business unit"): gettext_lazy("No business unit"),
    ("~none", "No programme"): gettext_lazy("No programme"),
    ("~none", "No team label"): gettext_lazy("No team label"),
    ("~none", "No model"): gettext_lazy("No model"),
    ("~not_priced", "Not priced"): gettext_lazy("Not priced"),
    ("usage", "Usage"): gettext_lazy("Usage"),
    ("idle", "Idle capacity"): gettext_lazy("Idle capacity"),
    ("other_charges", "Other charges"): gettext_lazy("Other charges"),
    ("billed", "Billed"): gettext_lazy("Billed"),
    ("estimated", "Estimated"): gettext_lazy("Estimated"),
    ("entered", "Entered by hand"): gettext_lazy("Entered by hand"),
    ("poc", "PoC"): gettext_lazy("PoC"),
    ("scale_up", "Scale-up"): gettext_lazy("Scale-up"),
    ("optimise", "Optimise"): gettext_lazy("Optimise"),
    ("credit", "Credits"): gettext_lazy("Credits"),
    ("adjustment", "Adjustments and refunds"): gettext_lazy("Adjustments and refunds"),
    ("tax", "Tax"): gettext_lazy("Tax"),
    ("purchase", "Purchases"): gettext_lazy("Purchases"),
    ("~all", "All"): gettext_lazy("All"),
}


class Member(NamedTuple):
    """One value of a dimension. `rank` sorts what is special (unallocated, idle, ...) to the end; its id has a '~'."""

    rank: int
    sort: str
    id: str
    name: str

    @property
    def is_special(self) -> bool:
        return self.id.startswith("~")

    @property
    def title(self) -> str:
        """The name as a page writes it: what is ours in the reader's language, what people named as they did."""
        return str(_OURS.get((self.id, self.name), self.name))

    @property
    def value(self) -> str | None:
        """The id as an API tells it: null for what is special."""
        return None if self.is_special else self.id


@lru_cache(maxsize=4096)
def member(key: str, name: str = "", *, rank: int = 0, sort: str = "") -> Member:
    """A member by its id and name; sorted by name unless told otherwise."""
    return Member(rank, sort or (name or key).lower(), key, name or key)


UNALLOCATED = member("~unallocated", "Unallocated", rank=9)
OUTSIDE = member("~outside", "Outside any phase", rank=5)
ENTERED = member("~entered", "Entered by hand", rank=6)
IDLE = member("~idle", "Idle capacity", rank=7)
OTHER_CHARGES = member("~other", "Other charges", rank=8)
NO_UNIT = member("~none", "No business unit", rank=4)
NO_PROGRAMME = member("~none", "No programme", rank=4)
NO_TEAM = member("~none", "No team label", rank=4)
NO_MODEL = member("~none", "No model", rank=4)
NOT_PRICED = member("~not_priced", "Not priced", rank=9)

USAGE = member("usage", "Usage", rank=0)
IDLE_CATEGORY = member("idle", "Idle capacity", rank=1)
OTHER_CATEGORY = member("other_charges", "Other charges", rank=2)
BILLED = member("billed", "Billed", rank=0)
ESTIMATED = member("estimated", "Estimated", rank=1)
ENTERED_BASIS = member("entered", "Entered by hand", rank=2)
PHASES = {
    "poc": member("poc", "PoC", rank=0),
    "scale_up": member("scale_up", "Scale-up", rank=1),
    "optimise": member("optimise", "Optimise", rank=2),
}
# FOCUS charge categories, shown apart from use.
CHARGES = {
    "Credit": member("credit", "Credits", rank=3),
    "Adjustment": member("adjustment", "Adjustments and refunds", rank=3),
    "Tax": member("tax", "Tax", rank=3),
    "Purchase": member("purchase", "Purchases", rank=3),
}


def category_of(kind: str, charge_category: str | None) -> Member:
    """The category of money that a series carries."""
    if kind == "idle":
        return IDLE_CATEGORY
    if kind != "other_charges":
        return USAGE
    if charge_category in (None, "", "Usage"):
        return OTHER_CATEGORY
    known = CHARGES.get(str(charge_category))
    return known or member(str(charge_category).lower(), str(charge_category), rank=3)


@dataclass(slots=True)
class Cell:
    """Money of one combination (None: no money is known), and beside it what has no price."""

    amount: Decimal | None = None
    tokens: Number = 0
    requests: Number = 0

    def add(self, amount: Decimal | None, tokens: Number = 0, requests: Number = 0) -> None:
        """Add to it."""
        if amount is not None:
            self.amount = amount if self.amount is None else self.amount + amount
        self.tokens += tokens
        self.requests += requests

    @property
    def is_not_priced(self) -> bool:
        return bool(self.tokens or self.requests)


Key = tuple[Member, ...]


@dataclass(slots=True)
class Parts:
    """Spend by its parts. `total` is the sum of every line; the others say what is in it."""

    total: Cell = field(default_factory=Cell)
    usage: Cell = field(default_factory=Cell)
    unallocated: Cell = field(default_factory=Cell)
    entered: Cell = field(default_factory=Cell)
    by_category: dict[Member, Cell] = field(default_factory=dict)
    by_basis: dict[Member, Cell] = field(default_factory=dict)
    # Over hours in which both are known.
    billed_beside: Decimal = Decimal(0)
    estimated_beside: Decimal = Decimal(0)
    has_both: bool = False

    @property
    def gap(self) -> Decimal | None:
        """Billed minus estimated, over the hours that have both; None where none has."""
        return self.billed_beside - self.estimated_beside if self.has_both else None

    @property
    def gap_ratio(self) -> Decimal | None:
        return self.billed_beside / self.estimated_beside - 1 if self.has_both and self.estimated_beside else None

    @property
    def unallocated_share(self) -> Decimal | None:
        """The share of usage spend that belongs to no workload."""
        if not self.usage.amount:
            return None
        return (self.unallocated.amount or Decimal(0)) / self.usage.amount


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of two dimensions whose cells, to the cent, add up to its rows, its columns and its total."""

    rows: Sequence[Member]
    columns: Sequence[Member]
    cells: Mapping[tuple[Member, Member], Decimal]
    row_totals: Mapping[Member, Decimal]
    column_totals: Mapping[Member, Decimal]
    total: Decimal | None


ALL = member("~all", "All")


def grid_of(cells: Mapping[Key, Cell]) -> Grid:
    """The grid of cells keyed by one or two members; with one, its only column is `ALL`.

    The total is rounded, its rows are parts of it, their cells parts of the rows: largest remainder first.
    """
    amounts: dict[Member, dict[Member, Decimal]] = {}
    for key, cell in cells.items():
        into = amounts.setdefault(key[0], {})
        if cell.amount is not None:
            column = key[1] if len(key) > 1 else ALL
            into[column] = into.get(column, Decimal(0)) + cell.amount
    rows = sorted(amounts)
    columns = sorted({key[1] if len(key) > 1 else ALL for key in cells})
    known = [row for row in rows if amounts[row]]
    totals = rounded_parts([sum(amounts[row].values(), Decimal(0)) for row in known])
    row_totals = dict(zip(known, totals, strict=True))
    found: dict[tuple[Member, Member], Decimal] = {}
    column_totals: dict[Member, Decimal] = {}
    for row in known:
        held = sorted(amounts[row])
        parts = rounded_parts([amounts[row][column] for column in held], total=row_totals[row])
        for column, part in zip(held, parts, strict=True):
            found[row, column] = part
            column_totals[column] = column_totals.get(column, Decimal(0)) + part
    return Grid(rows, columns, found, row_totals, column_totals, sum(totals, Decimal(0)) if totals else None)


def folded(cells: Mapping[Key, Cell], place: int, keep: int) -> tuple[dict[Key, Cell], int]:
    """The cells with the smallest members of the dimension at `place` put together as one, and how many these are.

    What is special (unallocated, idle, entered by hand) and months are never put together with others.
    """
    sizes: dict[Member, Decimal] = {}
    for key, cell in cells.items():
        sizes[key[place]] = sizes.get(key[place], Decimal(0)) + abs(cell.amount or Decimal(0))
    plain = sorted((one for one in sizes if not one.is_special), key=lambda one: (-sizes[one], one))
    if len(plain) <= keep:
        return dict(cells), 0
    rest = set(plain[keep - 1 :])
    text = ngettext("%(count)s other", "%(count)s others", len(rest)) % {"count": len(rest)}
    together = member("~rest", text, rank=3)
    found: dict[Key, Cell] = {}
    for key, cell in cells.items():
        placed = (*key[:place], together, *key[place + 1 :]) if key[place] in rest else key
        found.setdefault(placed, Cell()).add(cell.amount, cell.tokens, cell.requests)
    return found, len(rest)


def totals_of(cells: Iterable[Cell]) -> Cell:
    """All cells in one."""
    found = Cell()
    for cell in cells:
        found.add(cell.amount, cell.tokens, cell.requests)
    return found
