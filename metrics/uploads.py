"""Uploaded billing files, kept in pieces in the database until they are imported: every worker can reach them there."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from metrics.importer import Unreadable
from metrics.models import BillingImport, ImportChunk

_PIECE = 1024 * 1024


class TooLarge(Unreadable):
    """More than IMPORT_MAX_MIB."""

    status = 413


@contextmanager
def received(pieces: Iterable[bytes], *, most: int | None = None, hint: str = "") -> Iterator[tuple[Path, bytes, int]]:
    """Yield what is sent as a temporary file, with its SHA-256 and size.

    Raises Unreadable, with the hint, where it is more than `most` bytes: else IMPORT_MAX_MIB.
    """
    most = settings.IMPORT_MAX_BYTES if most is None else most
    digest = hashlib.sha256()
    size = 0
    with tempfile.NamedTemporaryFile(prefix="phaseline-import-") as file:
        for piece in pieces:
            size += len(piece)
            if size > most:
                raise TooLarge("too_large", hint or too_large())
            digest.update(piece)
            file.write(piece)
        file.flush()
        yield Path(file.name), digest.digest(), size


def too_large() -> str:
    """What to do with a file that is over the limit."""
    limit = settings.IMPORT_MAX_BYTES // 1024 / 1024
    return (
        f"The file is larger than {limit:,.0f} MiB. Pack it with gzip, export fewer days, or let an operator raise "
        "IMPORT_MAX_MIB."
    )


def keep(one: BillingImport, path: Path) -> None:
    """Put a file into the database, in pieces."""
    with path.open("rb") as file:
        number = 0
        while piece := file.read(_PIECE):
            ImportChunk.objects.create(billing_import=one, number=number, content=piece)
            number += 1


@contextmanager
def file_of(one: BillingImport) -> Iterator[Path]:
    """Yield the uploaded file as a temporary one. Raises Unreadable where it was dropped."""
    with tempfile.NamedTemporaryFile(prefix="phaseline-import-") as file:
        size = 0
        for number in ImportChunk.objects.filter(billing_import=one).values_list("number", flat=True):
            content = ImportChunk.objects.values_list("content", flat=True).get(billing_import=one, number=number)
            size += file.write(bytes(content))
        if size != one.size:
            raise Unreadable("file_gone", "The uploaded file is no longer here. Choose it again.")
        file.flush()
        yield Path(file.name)


def drop(one: BillingImport) -> None:
    """Forget the uploaded file."""
    ImportChunk.objects.filter(billing_import=one).delete()
