"""Which worker of a run with `-n N --dist loadfile` gets which file of tests.

What lies in tests/flows mostly waits: for servers to start, for clients to give up. One worker takes those files, one
after the other, while the others keep the processor busy with the rest; who has none left takes of the other's. Left to
themselves the files with the fewest tests come last, which are those: then every worker would wait at once.
"""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

WAITING = "tests/flows/"


class Packing(LoadFileScheduling):
    """Hands out files whole, those with the most tests first; those that wait to the first worker."""

    def _assign_work_unit(self, node: Any) -> None:
        takes_waiting = node is self.nodes[0]
        wanted = (file for file in self.workqueue if file.startswith(WAITING) == takes_waiting)
        file = next(wanted, None)
        if file is not None:
            self.workqueue.move_to_end(file, last=False)
        super()._assign_work_unit(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Packing | None:
    return Packing(config, log) if config.getvalue("dist") == "loadfile" else None
