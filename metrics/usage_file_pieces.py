"""A file of usage as it is kept until it counts, and its rejected rows for as long as it can be taken back."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import transaction

from metrics.format import Unreadable
from metrics.ledger import REVERSIBLE_FOR
from metrics.models import Receipt, UsageFile, UsageFilePiece

State = UsageFile.State
Kind = UsageFilePiece.Kind
_PIECE_BYTES = 1024 * 1024


def keep(one: UsageFile, path: Path) -> None:
    """Put the file into the database, in pieces."""
    with path.open("rb") as file:
        number = 0
        while piece := file.read(_PIECE_BYTES):
            UsageFilePiece.objects.create(file=one, kind=Kind.FILE, number=number, content=piece)
            number += 1


@contextmanager
def kept(one: UsageFile) -> Iterator[Path]:
    """Yield the file as a temporary one. Raises Unreadable where it was dropped."""
    with tempfile.NamedTemporaryFile(prefix="phaseline-usage-") as file:
        pieces = UsageFilePiece.objects.filter(file=one, kind=Kind.FILE)
        size = 0
        for number in pieces.values_list("number", flat=True):
            size += file.write(bytes(pieces.values_list("content", flat=True).get(number=number)))
        if size != one.size:
            raise Unreadable(400, "file_gone", "The uploaded file is no longer here. Choose it again.")
        file.flush()
        yield Path(file.name)


def keep_rejected(one: UsageFile, number: int, rows: Sequence[Sequence[Any]]) -> None:
    """Keep rejected rows of the step that begins at row `number`: [line, column, why, cells]."""
    UsageFilePiece.objects.create(
        file=one, kind=Kind.REJECTED, number=number, content=gzip.compress(json.dumps(rows).encode())
    )


def rejected_rows(one: UsageFile) -> Iterator[list[Any]]:
    """Every rejected row: its cells, then line, column and why."""
    pieces = UsageFilePiece.objects.filter(file=one, kind=Kind.REJECTED)
    width = len(one.columns)
    for number in list(pieces.values_list("number", flat=True)):
        content = pieces.filter(number=number).values_list("content", flat=True).first()
        for line, column, why, cells in json.loads(gzip.decompress(bytes(content or gzip.compress(b"[]")))):
            yield [*(cells or [None] * width), line, column, why]


def drop(one: UsageFile, *kinds: UsageFilePiece.Kind) -> None:
    """Forget its pieces of these kinds."""
    UsageFilePiece.objects.filter(file=one, kind__in=kinds).delete()


@transaction.atomic
def after_reversal(receipt: Receipt) -> None:
    """Where it was the last receipt of a file that counted, the file is taken back: it may be sent again."""
    for one in UsageFile.objects.select_for_update().filter(
        receipts__contains=[receipt.pk], state__in=[State.DONE, State.TAKING_BACK]
    ):
        if not Receipt.objects.filter(pk__in=one.receipts, is_void=False).exclude(pk=receipt.pk).exists():
            one.state = State.TAKEN_BACK
            one.save(update_fields=["state", "touched_at"])


def drop_old(now: datetime) -> None:
    """Forget rejected rows of files that can no longer be taken back."""
    UsageFilePiece.objects.filter(kind=Kind.REJECTED, file__touched_at__lt=now - REVERSIBLE_FOR).delete()
