"""The table of kinds x cases: `python -m tests.contracts.table` says what is declared, `bin/test` what was run.

As a pytest plugin it prints, after a run that had cases of the conformance suite in it, how each of them ended.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

METRICS_TESTS = Path(__file__).parents[1] / "metrics"
OUTCOMES = {"passed": "ok", "failed": "FAILED", "skipped": "-"}


def suites(base: type) -> dict[str, type]:
    """The class that each kind of connector is tested with: by kind, the subclasses of `base` in tests/metrics."""
    for path in sorted(METRICS_TESTS.rglob("test_*.py")):
        if "Suite)" in path.read_text():
            import_module(".".join(("tests.metrics", *path.relative_to(METRICS_TESTS).with_suffix("").parts)))
    found: dict[str, type] = {}
    for one in _subclasses(base):
        if one.__module__.startswith("tests.metrics.") and one.__name__.startswith("Test"):
            found.setdefault(one.kind, one)
    return found


def _subclasses(base: type) -> Iterator[type]:
    for one in base.__subclasses__():
        yield one
        yield from _subclasses(one)


def drawn(cells: Mapping[tuple[str, str], str], notes: Mapping[tuple[str, str], str]) -> list[str]:
    """Lines of a table: a row a case, a column a kind; below it what is left out and why."""
    kinds = list(dict.fromkeys(kind for kind, _ in cells))
    cases = list(dict.fromkeys(case for _, case in cells))
    widths = {kind: max(len(kind), 6) for kind in kinds}
    first = max(map(len, cases), default=4)
    lines = [f"{'case':{first}}  " + "  ".join(f"{kind:{widths[kind]}}" for kind in kinds)]
    lines += [
        f"{case:{first}}  " + "  ".join(f"{cells.get((kind, case), ''):{widths[kind]}}" for kind in kinds)
        for case in cases
    ]
    told: dict[tuple[str, str], list[str]] = {}
    for (kind, case), reason in notes.items():
        told.setdefault((kind, reason), []).append(case)
    lines += [f"- {kind}, {', '.join(cases)}: {reason}" for (kind, reason), cases in told.items()]
    count = sum(1 for cell in cells.values() if cell in ("ok", "run"))
    lines.append(f"{len(kinds)} kinds x {len(cases)} cases: {count} run, {len(notes)} left out with a reason.")
    return lines


def declared() -> tuple[dict[tuple[str, str], str], dict[tuple[str, str], str]]:
    """(kind, case) -> 'run' or '-', and the reasons, for every registered connector."""
    from metrics.connectors import REGISTRY
    from tests.contracts.cases import CASES
    from tests.contracts.connector_suite import ConnectorSuite

    classes = suites(ConnectorSuite)
    cells, notes = {}, {}
    for case, (styles, _) in CASES.items():
        for connector in REGISTRY:
            suite: Any = classes.get(connector.kind)
            if suite is None:
                cells[connector.kind, case] = "MISSING"
            elif suite.style in styles:
                reason = suite.not_applicable.get(case)
                cells[connector.kind, case] = "-" if reason else "run"
                if reason:
                    notes[connector.kind, case] = reason
            else:
                cells[connector.kind, case] = ""
    return cells, notes


def pytest_terminal_summary(terminalreporter: Any) -> None:
    cells, notes = {}, {}
    for outcome, shown in OUTCOMES.items():
        for report in terminalreporter.stats.get(outcome, []):
            place = dict(getattr(report, "user_properties", ())).get("conformance")
            if place is None:
                continue
            kind, case = place.split("|")
            cells[kind, case] = shown
            if outcome == "skipped" and isinstance(report.longrepr, tuple):
                notes[kind, case] = report.longrepr[2].removeprefix("Skipped: ")
    if cells:
        from tests.contracts.cases import CASES

        order = list(CASES)
        ordered = dict(sorted(cells.items(), key=lambda item: (order.index(item[0][1]), item[0][0])))
        terminalreporter.section("conformance: kinds x cases")
        for line in drawn(ordered, notes):
            terminalreporter.line(line)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ.setdefault("SECRET_KEY", "only to draw a table, fifty letters of no meaning at all")
    import django

    django.setup()
    print("\n".join(drawn(*declared())))
    sys.exit(0)
