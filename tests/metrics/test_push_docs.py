"""docs/push.md names every field and every code that exists, and none that does not."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from metrics.connectors.presets.catalogue import PRESETS
from metrics.format import FIELDS
from metrics.formats.remote_write import NATIVE, meanings_of
from metrics.snippets import Addresses, snippets

ROOT = Path(__file__).parents[2]
SOURCES = (
    "format.py",
    "formats/usage_json.py",
    "push_places.py",
    "push_keys.py",
    "new_series.py",
    "fold.py",
    "labels.py",
    "record_costs.py",
    "api/usage.py",
    "api/intake.py",
    "formats/litellm_callback.py",
    "formats/usage_table.py",
    "usage_files.py",
    "../web/problems.py",
    "api/remote_write.py",
    "actions/remote_write.py",
    "formats/remote_write.py",
    "remote_write_wire.py",
    "remote_write_streams.py",
)
DOCS = (ROOT / "docs" / "push.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under this head row."""
    table = DOCS.split(heading, 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def codes(cells: list[str]) -> set[str]:
    return set(re.findall(r"`([a-z_]+)`", " ".join(cells)))


def test_every_field_is_documented_in_order():
    documented = [row[0].strip("`") for row in rows("| field | takes | |")]
    assert sorted(documented) == sorted(FIELDS)


def test_every_code_in_the_source_is_documented():
    source = "\n".join((ROOT / "metrics" / name).read_text() for name in SOURCES)
    documented = (
        codes([row[0] for row in rows("| code of a record | |")])
        | codes([row[0] for row in rows("| warning | |")])
        | codes([row[1] for row in rows("| status | code | |")])
        | codes([row[0] for row in rows("| code of a write | |")])
        | codes([row[0] for row in rows("| passed over | |")])
    )
    framework = {"not_authenticated", "authentication_failed", "permission_denied", "unsupported_media_type"}
    for code in documented - framework - {"all_rejected"}:
        assert f'"{code}"' in source, f"{code} is documented and not in the source"
    used = set(
        re.findall(
            r"(?:return |Rejection\(index, |\d{3}, |Violation\(|warn\(|: \(|append\(\(|code, detail = "
            r'|^[A-Z_]+ = \((?="[a-z_]+", f?"[A-Z]))"([a-z]+_[a-z_]+)"',
            source,
            re.MULTILINE,
        )
    )
    fields = set(FIELDS) | {"application_json"}
    assert {code for code in used if code not in fields} - documented == set()


def test_what_prometheus_is_told_to_keep_is_what_each_preset_reads():
    told = {row[0].strip("`"): row[1].replace("\\|", "|").strip("`") for row in _keeping()}
    assert set(told) == {preset.name for preset in PRESETS}
    for preset in PRESETS:
        keep = re.compile(told[preset.name])
        for name, meanings in meanings_of(preset).items():
            # What only says that a histogram is a native one is not asked for.
            if meanings[0].part != NATIVE:
                assert keep.fullmatch(name.decode()), (preset.name, name)
        assert not keep.fullmatch("node_cpu_seconds_total")
    addresses = Addresses(
        usage="", litellm="", otlp="", prometheus="https://phaseline.example.org/api/v1/prometheus/write"
    )
    printed = next(
        one.text for one in snippets(addresses, token="pl_...", at=datetime.now(UTC)) if one.slug == "prometheus"
    )
    assert f"regex: {told['vllm']}\n" in printed
    # The docs show what the page prints.
    assert "".join(f"    {line}\n" for line in printed.splitlines()) in DOCS


def _keeping() -> list[list[str]]:
    """The rows under `preset`; a bar in a cell is written with a backslash."""
    table = DOCS.split("| `preset` | `regex` | also in the address |", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table.splitlines()[2:]]
