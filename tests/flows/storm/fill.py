"""`python -m tests.flows.storm.fill`: migrates an empty database, makes who pushes, prints tokens by way as JSON."""

from __future__ import annotations

import json
import os

import django


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.core.management import call_command

    from accounts.models import Membership, Role, User, Workload
    from accounts.tokens import make_token

    call_command("migrate", "--noinput", "--verbosity=0")
    owner = User.objects.create_user(username="alice", email="alice@example.org")
    tokens = {}
    for slug in ("body", "key", "ids", "otlp"):
        workload = Workload.objects.create(slug=slug, name=slug)
        Membership.objects.create(user=owner, workload=workload, role=Role.MANAGER)
        signal = {"signal": "metrics"} if slug == "otlp" else {}
        tokens[slug] = make_token(name=slug, owner=owner, scopes=["push"], workload=workload, **signal)[1]
    print(json.dumps(tokens))


if __name__ == "__main__":
    main()
