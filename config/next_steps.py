"""What a start ends with: where to go, how to sign in, a first push to paste, a first backend, how to stop."""

import json
from collections.abc import Mapping
from typing import Any

DEMO_ROLES = {"admin": "admin", "sanne": "manager", "joris": "contributor", "femke": "executive"}


def next_steps(
    found: Mapping[str, Any],
    *,
    url: str,
    passwords: Mapping[str, str],
    passwords_file: object,
    manage: str,
) -> list[str]:
    """Lines of text. `found` is what `config.prepare` tells; `manage` how manage.py is called in this set-up."""
    lines = []
    if found["demo_present"]:
        lines += ["Sign in to the demo as"]
        lines += [f"  {name:<6} {passwords[name]}   {role}" for name, role in DEMO_ROLES.items() if name in passwords]
        lines += [f"  (made on this machine, kept in {passwords_file}; remove the demo: {url}/settings/demo/)", ""]
    if found.get("setup_link"):
        lines += [f"Make the first admin, within the hour ({manage} setup_link makes another link):"]
        lines += [f"  {found['setup_link']}", ""]
    if found["token"]:
        lines += ["Send a first figure to 'My first roadmap' (paste it; sent twice, it counts once):"]
        lines += [f"  {line}" for line in first_push(url, found["token"], found["sent_at"])]
        lines += [f"  and see it at {url}/roadmaps/{found['slug']}/dashboard/", ""]
    else:
        lines += [f"Send a figure:   {url}/send/"]
    return [*lines, f"Add a backend:   {url}/backends/new/"]


def first_push(url: str, token: str, sent_at: str) -> list[str]:
    """The lines of a curl that pushes one request; its time and id stay, so that it counts once."""
    record = {
        "id": "first-push",
        "timestamp": sent_at,
        "provider": "openai",
        "model": "gpt-4o-mini",
        "input_tokens": 1200,
        "output_tokens": 350,
        "duration_ms": 1840,
    }
    return [
        f"curl -sS {url}/api/v1/usage \\",
        f"  -H 'Authorization: Bearer {token}' \\",
        "  -H 'Content-Type: application/json' \\",
        f"  -d '{json.dumps({'records': [record]})}'",
    ]
