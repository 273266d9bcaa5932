"""`python -m config.healthy web|worker|beat`: what a container's health check asks. Exit code 0 is healthy."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

# Celery beat writes its schedule down every 3 minutes.
BEAT_IS_LATE_AFTER = 600


def web() -> bool:
    """/readyz answers 200, asked under a name that ALLOWED_HOSTS has."""
    host = os.environ.get("ALLOWED_HOSTS", "localhost").split(",")[0].strip().lstrip(".*") or "localhost"
    port = os.environ.get("WEB_PORT", "8000")
    request = urllib.request.Request(f"http://127.0.0.1:{port}/readyz", headers={"Host": host})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def worker() -> bool:
    """The worker of this container answers a ping through the broker."""
    name = f"celery@{os.uname().nodename}"
    command = [sys.executable, "-m", "celery", "--app", "config", "inspect", "ping", "--destination", name]
    return subprocess.run([*command, "--timeout", "5"], capture_output=True, check=False, timeout=25).returncode == 0


def beat() -> bool:
    """The scheduler wrote its schedule down lately."""
    written = [file.stat().st_mtime for file in Path(os.environ.get("PHASELINE_VAR", "var")).glob("beat-schedule*")]
    return bool(written) and time.time() - max(written) < BEAT_IS_LATE_AFTER


if __name__ == "__main__":
    sys.exit(0 if {"web": web, "worker": worker, "beat": beat}[sys.argv[1]]() else 1)
