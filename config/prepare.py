"""What `bin/up` does with Django: static files, migrations, demo data, the first roadmap and its token.

One process for several commands, because loading Django takes longer than most of them. Prints one JSON object a line:
`{"step", "seconds"}` as each step ends, `{"begin"}` before it, and last `{"result"}`; with `--words` it prints, for the
log of a container, what a person does next.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import django

from config.keys import ensure_demo_passwords, write_private
from config.next_steps import next_steps

# The printed curl keeps its time and its id, so that it counts once however often it is sent; ids are kept 35 days.
SAME_CURL_FOR = timedelta(days=30)
FIRST_OWNER = "setup"


# With --words: for a person who reads a container's log, not for config.up.
_IN_WORDS = "--words" in sys.argv


def _tell(**line: Any) -> None:
    if _IN_WORDS:
        if "step" in line:
            sys.stdout.write(f"{line['step']}: {line['seconds']} s\n")
            sys.stdout.flush()
        return
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


@contextmanager
def _step(name: str) -> Iterator[None]:
    _tell(begin=name)
    began = time.monotonic()
    yield
    _tell(step=name, seconds=round(time.monotonic() - began, 2))


def _call(name: str, *arguments: str) -> str:
    """Runs a management command and returns what it printed."""
    from django.core.management import call_command

    out = StringIO()
    call_command(name, *arguments, stdout=out)
    return out.getvalue()


def prepare_static() -> None:
    """Builds the chart bundle and collects the static files."""
    with _step("Chart bundle"):
        _call("build_charts")
    with _step("Static files"):
        _call("collectstatic", "--noinput", "--verbosity=0")


def prepare_data(*, var: Path, demo: str) -> dict[str, Any]:
    """Migrates and fills; `demo` is 'yes', 'no' or 'first': only where nobody real has an account, not even the owner
    of the printed token, who is made after the demo: a start that was killed in between does it again.

    Returns what `bin/up` prints: demo_present, slug, token, sent_at, setup_link.
    """
    from accounts import demo as demo_state
    from accounts.models import OrganisationRole, User

    with _step("Migrations"):
        _call("migrate", "--noinput", "--verbosity=0")
    with _step("Exchange rates"):
        _call("load_rates", "--years=3")
    if demo == "yes" or (demo == "first" and not User.objects.filter(is_demo=False).exists()):
        with _step("Demo data"):
            _call("seed_demo")
    with _step("First roadmap"):
        _ensure_owner()
        slug = _call("first_roadmap", f"--owner={FIRST_OWNER}").split()[-1]
        token, sent_at = _first_token(slug, file=var / "first-token.json")
    result = {"demo_present": demo_state.is_present(), "slug": slug, "token": token, "sent_at": sent_at}
    if not User.objects.filter(organisation_role=OrganisationRole.ADMIN, is_active=True).exists():
        result["setup_link"] = _call("setup_link").split()[-1]
    return result


def _first_token(slug: str, *, file: Path) -> tuple[str, str]:
    """The token and time of the printed curl, kept in `file`; new ones where they no longer serve.

    No token ('') where people took the set-up account off the first roadmap: an example must not keep a start from
    ending well.
    """
    from django.core.management import CommandError

    from accounts.tokens import find_token

    now = datetime.now(UTC).replace(microsecond=0)
    kept = json.loads(file.read_text()) if file.is_file() else {}
    token, sent_at = kept.get("token", ""), kept.get("sent_at", "")
    if not token or find_token(token) is None:
        arguments = ["--name=First push", f"--owner={FIRST_OWNER}", "--scope=push", f"--roadmap={slug}"]
        try:
            token = _call("create_token", *arguments).split()[-1]
        except CommandError:
            token = ""
    if not sent_at or now - datetime.fromisoformat(sent_at) > SAME_CURL_FOR:
        sent_at = now.isoformat()
    write_private(file, json.dumps({"token": token, "sent_at": sent_at}))
    return token, sent_at


def _ensure_owner() -> None:
    """The account that owns the first roadmap and its token: nobody can sign in with it, and it outlives the demo."""
    from accounts.models import User

    owner, is_new = User.objects.get_or_create(username=FIRST_OWNER, defaults={"first_name": "Set-up"})
    if is_new:
        owner.set_unusable_password()
        owner.save(update_fields=["password"])


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["static", "data"])
    parser.add_argument("--words", action="store_true")
    parser.add_argument("--demo", choices=["yes", "no", "first"], default="no")
    options = parser.parse_args(argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    with _step("Application"):
        django.setup()
    from django.conf import settings

    passwords = ensure_demo_passwords(settings.VAR_DIR)
    if options.what == "static":
        prepare_static()
    else:
        result = prepare_data(var=settings.VAR_DIR, demo=options.demo)
        if options.words:
            file = settings.VAR_DIR / "demo-sign-ins.json"
            lines = next_steps(
                result, url=settings.BASE_URL, passwords=passwords, passwords_file=file, manage="python manage.py"
            )
            sys.stdout.write("\n".join(["", *lines, ""]))
        else:
            _tell(result=result)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
