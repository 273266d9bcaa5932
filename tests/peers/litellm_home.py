"""The home of a real LiteLLM proxy: an environment of its own below var/peers, made once and renewed with its pins.

Usage: python -m tests.peers.litellm_home. See tests/peers/litellm/README.md.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(__file__).resolve().parent / "litellm"
HOME = ROOT / "var" / "peers" / "litellm"
STAMP = HOME / "made-of"
PYTHON = HOME / "environment" / "bin" / "python"
ENGINE = HOME / "engine"
PINS = ("requirements.txt", "package.json", "package-lock.json")


def missing() -> str:
    """What this machine lacks, as a sentence; empty where nothing is missing."""
    lacking = [program for program in ("node", "npm") if shutil.which(program) is None]
    return f"{' and '.join(lacking)} is not installed (Debian's packages nodejs and npm)" if lacking else ""


def is_made() -> bool:
    return STAMP.exists() and STAMP.read_text() == _digest()


def make() -> None:
    """Make it unless it is there. Two runs wait for one another."""
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_made():
            return
        STAMP.unlink(missing_ok=True)
        npm = _begin_npm()
        _make_python()
        if npm.wait() != 0:
            raise RuntimeError("npm could not install Prisma's packages")
        _make_client()
        STAMP.write_text(_digest())


def site_packages() -> Path:
    return next((HOME / "environment" / "lib").glob("python*/site-packages"))


def environment() -> dict[str, str]:
    """What the proxy and Prisma's command line need to find one another, and to call nobody."""
    return {
        **{name: value for name, value in os.environ.items() if name in ("HOME", "LANG", "TMPDIR", "TZ")},
        "PATH": f"{PYTHON.parent}{os.pathsep}{os.environ['PATH']}",
        "NODE_PATH": str(HOME / "node_modules"),
        "PRISMA_QUERY_ENGINE_BINARY": str(ENGINE),
        "PRISMA_SCHEMA_ENGINE_BINARY": str(ENGINE),
        "PRISMA_QUERY_ENGINE_LIBRARY": str(ENGINE),
        "PRISMA_CLI_QUERY_ENGINE_TYPE": "binary",
        "PRISMA_HIDE_UPDATE_MESSAGE": "1",
        "CHECKPOINT_DISABLE": "1",
    }


def _digest() -> str:
    # The place too: an environment does not survive being moved.
    told = b"".join((SOURCE / name).read_bytes() for name in PINS) + str(HOME).encode() + sys.version.encode()
    return hashlib.sha256(told).hexdigest()


def _begin_npm() -> subprocess.Popen[bytes]:
    for name in PINS[1:]:
        shutil.copy(SOURCE / name, HOME / name)
    # Without scripts: they would download engines.
    return subprocess.Popen(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], cwd=HOME)


def _make_python() -> None:
    folder = HOME / "environment"
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    # Exactly what is listed: what LiteLLM names beside it is for vendors that no test calls.
    install = [
        str(PYTHON),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-compile",
        "--disable-pip-version-check",
    ]
    subprocess.run([*install, "-r", str(SOURCE / "requirements.txt")], check=True)


def _make_client() -> None:
    ENGINE.write_text(
        "#!/bin/sh\n"
        '[ "$1" = --version ] && { echo "query-engine 393aa359c9ad4a4bb28630fb5613f9c281cde053"; exit 0; }\n'
        f'exec node {SOURCE / "engine.js"} "$@"\n'
    )
    ENGINE.chmod(0o755)
    schema = (site_packages() / "litellm" / "proxy" / "schema.prisma").read_text()
    # Engines for other platforms would be downloaded.
    kept = [line for line in schema.splitlines() if not line.strip().startswith("binaryTargets")]
    (HOME / "schema.prisma").write_text("\n".join(kept) + "\n")
    subprocess.run(
        ["node", str(HOME / "node_modules" / "prisma" / "build" / "index.js"), "generate", "--schema", "schema.prisma"],
        cwd=HOME,
        env=environment(),
        check=True,
        stdout=subprocess.DEVNULL,
    )


def main() -> int:
    lacking = missing()
    if lacking:
        print(f"The tests with a real LiteLLM proxy will be left out: {lacking}.")
        return 0
    make()
    return 0


if __name__ == "__main__":
    sys.exit(main())
