"""The secrets of one installation, made at random where it starts: `secrets.env` in the var folder, mode 0600.

Settings read the file; a key that is set in the environment or in `.env` comes first. `python -m config.keys` makes it
where nothing else does (docker-compose.yml).
"""

import base64
import json
import os
import secrets
import sys
from pathlib import Path

DEMO_PEOPLE = ("sanne", "femke", "joris", "admin")
# Read aloud and typed without doubt: no 0/o, 1/l/i.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


def write_private(file: Path, text: str) -> None:
    """Replaces a file at once, readable by this user alone."""
    draft = file.with_name(f"{file.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    draft.replace(file)


def ensure_secrets(var: Path) -> Path:
    """Makes `secrets.env` unless it is there: SECRET_KEY and the Fernet key that encrypts backends' credentials."""
    var.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = var / "secrets.env"
    if not file.is_file():
        key = base64.urlsafe_b64encode(os.urandom(32)).decode()
        write_private(file, f"SECRET_KEY='{secrets.token_urlsafe(50)}'\nPHASELINE_ENCRYPTION_KEYS='{key}'\n")
    return file


def ensure_demo_passwords(var: Path) -> dict[str, str]:
    """The demo accounts' passwords by user name, from `demo-sign-ins.json`; made at random at the first time."""
    file = var / "demo-sign-ins.json"
    if file.is_file():
        kept: dict[str, str] = json.loads(file.read_text())
        return kept
    made = {name: _password() for name in DEMO_PEOPLE}
    write_private(file, json.dumps(made, indent=2) + "\n")
    return made


def _password() -> str:
    """Three groups of five letters or digits: 74 bits."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(5)) for _ in range(3))


if __name__ == "__main__":
    ensure_secrets(Path(os.environ.get("PHASELINE_VAR", "var")))
    sys.exit(0)
