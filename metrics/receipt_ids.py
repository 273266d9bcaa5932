"""A receipt in a statement: by its id, or as the one that this transaction has just saved, its id unread."""

from __future__ import annotations

from metrics.models import Receipt

_JUST_SAVED = "currval('metrics_receipt_id_seq'::regclass)"


def receipt_ref(receipt: Receipt) -> str:
    """The SQL for its id; `receipt_params` has what it takes."""
    return "%s::bigint" if receipt.pk is not None else _JUST_SAVED


def receipt_params(receipt: Receipt) -> list[int]:
    """The parameters of `receipt_ref`."""
    return [receipt.pk] if receipt.pk is not None else []
