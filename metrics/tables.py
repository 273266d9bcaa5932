"""Backends, series and receipts as files: the tables of their pages."""

from __future__ import annotations

from metrics.backends import SeriesRow, State
from metrics.freshness import Freshness
from metrics.models import AllocationRule, Backend, OwnPrice, Receipt
from web.file_tables import Field, FileTable, yes_no
from web.spreadsheets import amount_text

BackendLine = tuple[Backend, State, str, int, Freshness]

BACKENDS: FileTable[BackendLine] = FileTable(
    "Backends",
    (
        Field("backend", lambda line: line[0].slug),
        Field("name", lambda line: line[0].name),
        Field("kind", lambda line: line[2]),
        Field("provider", lambda line: line[0].provider),
        Field("hardware", lambda line: line[0].hardware),
        Field("state", lambda line: line[1].word),
        Field("problem", lambda line: line[1].text),
        Field("measured_at", lambda line: line[0].measured_at),
        Field("behind", lambda line: line[0].behind.slug if line[0].behind else ""),
        Field("series", lambda line: line[3], "count"),
        Field("data_until", lambda line: line[0].data_until, "moment"),
        Field("freshness", lambda line: line[4].text),
        Field("demo", lambda line: yes_no(line[0].is_demo)),
    ),
)


def series_table(currency: str) -> FileTable[SeriesRow]:
    """The series of a backend, their spend in this currency."""
    return FileTable(
        "Series",
        (
            Field("backend", lambda row: row.series.backend.slug),
            Field("kind", lambda row: row.series.kind),
            Field("provider", lambda row: row.series.provider),
            Field("model", lambda row: row.series.model),
            Field("operation", lambda row: row.series.operation),
            Field("service_tier", lambda row: row.series.service_tier),
            Field("labels", lambda row: "; ".join(f"{name}: {value}" for name, value in row.labels)),
            Field("measured_at", lambda row: row.series.measured_at),
            Field("is_pushed", lambda row: yes_no(row.series.is_pushed)),
            Field("not_counted_from", lambda row: row.series.uncounted_from_on, "day"),
            Field("requests", lambda row: row.requests, "count"),
            Field("tokens", lambda row: row.tokens, "count"),
            Field(f"spend_{currency}", lambda row: row.spend, "money"),
            Field("not_priced", lambda row: yes_no(row.is_not_priced)),
            Field("belongs_to", _belongs_to),
            Field("unallocated_share", lambda row: row.unallocated, "number"),
        ),
    )


def _belongs_to(row: SeriesRow) -> str:
    return "; ".join(f"{share.slug} {amount_text(share.ratio * 100)}%" for share in row.shares)


def _rejection(receipt: Receipt) -> str:
    """'3: no model (missing_model)', of the first record that was refused."""
    if not receipt.rejected:
        return ""
    first = receipt.rejected[0]
    return f"{first.get('index')}: {first.get('detail')} ({first.get('code')})"


RECEIPTS: FileTable[Receipt] = FileTable(
    "Receipts",
    (
        Field("receipt", lambda receipt: str(receipt.uuid)),
        Field("at", lambda receipt: receipt.created_at, "moment"),
        Field("kind", lambda receipt: receipt.kind),
        Field("token", lambda receipt: receipt.token.name if receipt.token else ""),
        Field("by", lambda receipt: receipt.user.display_name if receipt.user else ""),
        Field("roadmap", lambda receipt: receipt.workload.slug if receipt.workload else ""),
        Field("accepted", lambda receipt: receipt.accepted, "count"),
        Field("repeats", lambda receipt: receipt.duplicates, "count"),
        Field("not_priced", lambda receipt: receipt.not_priced, "count"),
        Field("rejected", lambda receipt: receipt.rejected_count, "count"),
        Field("first_rejection", _rejection),
        Field("warnings", lambda receipt: "; ".join(str(one.get("detail", "")) for one in receipt.warnings)),
        Field("reverses", lambda receipt: str(receipt.reverses.uuid) if receipt.reverses else ""),
        Field("taken_back", lambda receipt: yes_no(receipt.is_void and receipt.kind != "reversal")),
        Field("demo", lambda receipt: yes_no(receipt.is_demo)),
    ),
)

OWN_PRICES: FileTable[OwnPrice] = FileTable(
    "Own prices",
    (
        Field("backend", lambda price: price.backend.slug if price.backend else ""),
        Field("provider", lambda price: price.provider),
        Field("model", lambda price: price.model),
        Field("service_tier", lambda price: price.service_tier),
        Field("currency", lambda price: price.currency),
        Field("input_per_million", lambda price: price.input_per_million, "number"),
        Field("cached_input_per_million", lambda price: price.cached_input_per_million, "number"),
        Field("cache_write_input_per_million", lambda price: price.cache_write_input_per_million, "number"),
        Field("output_per_million", lambda price: price.output_per_million, "number"),
        Field("valid_from_on", lambda price: price.valid_from_on, "day"),
    ),
)

RULES: FileTable[AllocationRule] = FileTable(
    "Allocation rules",
    (
        Field("order", lambda rule: rule.position, "count"),
        Field("backend", lambda rule: rule.backend.slug if rule.backend else ""),
        Field("provider", lambda rule: rule.provider),
        Field("model", lambda rule: rule.model),
        Field("label", lambda rule: rule.label_name),
        Field("label_value", lambda rule: rule.label_value),
        Field("api_key", lambda rule: rule.api_key),
        Field("project", lambda rule: rule.project),
        Field("belongs_to", lambda rule: _shares_of(rule)),
        Field("valid_from_on", lambda rule: rule.valid_from_on, "day"),
        Field("note", lambda rule: rule.note),
    ),
)


def _shares_of(rule: AllocationRule) -> str:
    """As an allocation is written: 'claims 60%; kyc 40%'."""
    return "; ".join(f"{one.workload.slug} {amount_text(one.share_ratio * 100)}%" for one in rule.shares.all())
