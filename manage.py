#!/usr/bin/env python
"""Django's command line for Phaseline."""

import os
import sys


def main(argv: list[str]) -> None:
    """Runs a command; the audit trail says which one a change came from."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line

    from accounts.origin import coming_from

    with coming_from(f"command {argv[1]}" if len(argv) > 1 else ""):
        execute_from_command_line(argv)


if __name__ == "__main__":
    main(sys.argv)
