"""docs/push.md names every field and every code that exists, and none that does not."""

from __future__ import annotations

import re
from pathlib import Path

from metrics.format import FIELDS

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
    )
    framework = {"not_authenticated", "authentication_failed", "permission_denied", "unsupported_media_type"}
    for code in documented - framework - {"all_rejected"}:
        assert f'"{code}"' in source, f"{code} is documented and not in the source"
    used = set(
        re.findall(
            r'(?:return |Rejection\(index, |\d{3}, |Violation\(|warn\(|: \(|append\(\()"([a-z]+_[a-z_]+)"', source
        )
    )
    fields = set(FIELDS) | {"application_json"}
    assert {code for code in used if code not in fields} - documented == set()
