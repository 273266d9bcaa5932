"""The ways in which records can be written, by content type: an explicit table, not import magic."""

from collections.abc import Callable

from metrics.format import Batch, Limits
from metrics.formats import usage_json

DECODERS: dict[str, Callable[[bytes, Limits], Batch]] = {
    "application/json": usage_json.decode_document,
    "application/x-ndjson": usage_json.decode_lines,
}
