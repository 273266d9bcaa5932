"""The ways in which records can be written, by content type: explicit tables, not import magic."""

from collections.abc import Callable

from metrics.format import Batch, Limits
from metrics.formats import litellm_callback, usage_json

Decoder = Callable[[bytes, Limits], Batch]

DECODERS: dict[str, Decoder] = {
    "application/json": usage_json.decode_document,
    "application/x-ndjson": usage_json.decode_lines,
}
# A LiteLLM proxy says application/json whatever it sends, so that it has an address of its own.
LITELLM_DECODERS: dict[str, Decoder] = {
    "application/json": litellm_callback.decode,
    "application/x-ndjson": litellm_callback.decode,
}
