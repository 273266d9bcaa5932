"""The secrets of one installation, made at random where it starts: `secrets.env` in the var folder, mode 0600.

Settings read the file; a key that is set in the environment or in `.env` comes first. `python -m config.keys` makes it
where nothing else does (docker-compose.yml).
"""

import argparse
import base64
import json
import os
import secrets
import sys
from collections.abc import Sequence
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


def ensure_database_password(var: Path, *, file: Path, host: str) -> None:
    """Makes the password of a database in a container of its own: in `file`, and as DATABASE_URL in `secrets.env`.

    The file is readable by all who see its volume, because PostgreSQL reads it as another user than this one.
    """
    if not file.is_file():
        write_private(file, secrets.token_urlsafe(32))
        file.chmod(0o444)
    password = file.read_text()
    secrets_file = ensure_secrets(var)
    kept = [line for line in secrets_file.read_text().splitlines() if not line.startswith("DATABASE_URL=")]
    kept.append(f"DATABASE_URL='postgres://phaseline:{password}@{host}:5432/phaseline'")
    write_private(secrets_file, "\n".join(kept) + "\n")


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m config.keys", description="Make the secrets that are not there yet."
    )
    parser.add_argument("--database-password", type=Path, metavar="FILE")
    parser.add_argument("--database-host", default="postgres")
    options = parser.parse_args(argv)
    var = Path(os.environ.get("PHASELINE_VAR", "var"))
    ensure_secrets(var)
    if options.database_password:
        ensure_database_password(var, file=options.database_password, host=options.database_host)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
