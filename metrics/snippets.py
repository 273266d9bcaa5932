"""What a team pastes to send its first record, filled in with this address and this token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

NO_TOKEN = "<make a token first>"  # noqa: S105 - stands where a token will


@dataclass(frozen=True, slots=True)
class Snippet:
    """One way of sending: a title, a sentence, and the text to paste."""

    slug: str
    title: str
    hint: str
    text: str


def snippets(*, address: str, token: str, at: datetime) -> list[Snippet]:
    """For curl, Python and Node. `at` is the time of the example record, aware UTC."""
    return [
        Snippet("curl", "curl", "Paste it into a terminal: one record arrives, timed now.", curl(address, token, at)),
        Snippet("python", "Python", "Needs nothing but Python's standard library.", _python(address, token)),
        Snippet("node", "Node", "Needs Node 18 or newer.", _node(address, token)),
    ]


def curl(address: str, token: str, at: datetime) -> str:
    """A command that sends one record of a request that ended at `at`."""
    record = (
        f'{{"timestamp": "{at:%Y-%m-%dT%H:%M:%SZ}", "provider": "openai", "model": "gpt-4o-mini", '
        '"input_tokens": 812, "output_tokens": 164, "duration_ms": 1840}'
    )
    return (
        f"curl -sS {address} \\\n"
        f"  -H 'Authorization: Bearer {token}' \\\n"
        "  -H 'Content-Type: application/json' \\\n"
        f"  -d '{{\"records\": [{record}]}}'"
    )


def _python(address: str, token: str) -> str:
    return f'''import json, urllib.request
from datetime import datetime, timezone

record = {{
    "timestamp": datetime.now(timezone.utc).isoformat(),
    "provider": "openai",
    "model": "gpt-4o-mini",
    "input_tokens": 812,
    "output_tokens": 164,
    "duration_ms": 1840,
}}
request = urllib.request.Request(
    "{address}",
    data=json.dumps({{"records": [record]}}).encode(),
    headers={{"Authorization": "Bearer {token}", "Content-Type": "application/json"}},
)
print(urllib.request.urlopen(request).read().decode())
'''


def _node(address: str, token: str) -> str:
    return f"""const record = {{
  timestamp: new Date().toISOString(),
  provider: "openai",
  model: "gpt-4o-mini",
  input_tokens: 812,
  output_tokens: 164,
  duration_ms: 1840,
}};
fetch("{address}", {{
  method: "POST",
  headers: {{ Authorization: "Bearer {token}", "Content-Type": "application/json" }},
  body: JSON.stringify({{ records: [record] }}),
}}).then(async (answer) => console.log(answer.status, await answer.text()));
"""
