"""The sums among what a source states; a Prometheus also says which hours it keeps nothing of."""

from __future__ import annotations

from collections.abc import Iterable

from metrics.connector import Stated
from metrics.usage import UsageCell


def cells_of(stated: Iterable[Stated]) -> list[UsageCell]:
    return [one for one in stated if isinstance(one, UsageCell)]
