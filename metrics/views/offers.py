"""'What do you have?': what can be added, under the six answers that a person gives. A connector says which is its."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from accounts.demo import is_present
from metrics.connector import Group
from metrics.connectors import REGISTRY
from metrics.words import N_

EXAMPLE = "example"
EXAMPLE_NAME = N_("Example server")

# Offered first, so that somebody without a server of their own sees how it works.
TO_TRY = (N_("Just to try it"), N_("It is here as long as the demo is."))

# (answer, what it means to somebody who has never added a backend)
WORDS: dict[Group, tuple[str, str]] = {
    Group.GATEWAY: (N_("A gateway"), N_("All calls to models go through it, so it knows team, key and model of each.")),
    Group.SERVER: (N_("A GPU server"), N_("Models that run on machines of your own, owned or rented.")),
    Group.PROMETHEUS: (
        N_("Prometheus"),
        N_("Your monitoring already collects what the servers say, with its history."),
    ),
    Group.PROVIDER: (N_("A provider's admin key"), N_("Models behind an API, billed by the provider or the cloud.")),
    Group.FILE: (N_("A billing file"), N_("The provider or finance sends a file.")),
    Group.NONE: (N_("None of these"), N_("Nothing can be asked from here: the application says what it did.")),
}


@dataclass(frozen=True, slots=True)
class Offer:
    """One thing that can be added. `shows`: of cost, tokens, requests, errors, latency. `act`: the button's word."""

    group: Group
    title: str
    summary: str
    needs: str
    who_gives: str
    shows: tuple[str, ...]
    url: str
    act: str = N_("Add")
    is_example: bool = False
    is_main: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """One of the six answers, or what is there to try, with what can be added there."""

    title: str
    text: str
    offers: list[Offer]


def answers(request: HttpRequest) -> list[Answer]:
    """What is there to try, then the answers that anything can be added under, in their order."""
    found = offers(request)
    by_group = {group: [one for one in found if one.group is group and not one.is_example] for group in Group}
    examples = [one for one in found if one.is_example]
    return [
        *([Answer(*TO_TRY, examples)] if examples else []),
        *(Answer(*WORDS[group], by_group[group]) for group in Group if by_group[group]),
    ]


def offers(request: HttpRequest) -> list[Offer]:
    """What can be added: the connectors in the registry's order, the example server while the demo is here, pushing."""
    found = [
        Offer(
            group=one.group,
            title=one.title,
            summary=one.summary,
            needs=one.needs,
            who_gives=one.who_gives,
            shows=one.shows,
            url=reverse("backend_new", args=[one.kind]),
        )
        for one in REGISTRY
    ]
    if settings.EXAMPLE_SERVER_URL and is_present(request):
        found.insert(0, _example())
    found.append(
        Offer(
            group=Group.SERVER,
            title=N_("A GPU server that cannot be asked"),
            summary=N_(
                "Edge, air-gapped or behind a firewall: its usage is pushed, also days late; its hours cost what "
                "its rate card says."
            ),
            needs=N_("What it costs by the hour, or its purchase; a token for whoever sends."),
            who_gives=N_("Whoever runs the server, and whoever paid for it."),
            shows=("cost", "tokens", "requests", "errors", "latency", "energy"),
            url=reverse("backend_new_pushed"),
        )
    )
    found.append(
        Offer(
            group=Group.FILE,
            title=N_("A billing file"),
            summary=N_("FOCUS from a cloud, a gateway or finance (CSV, Parquet), or any CSV with days and amounts."),
            needs=N_("The file. Nothing counts before you have seen what is in it."),
            who_gives=N_("Whoever sees the invoices: finance, or the cloud's billing console."),
            shows=("cost", "tokens", "requests"),
            url=reverse("import_new"),
            act=N_("Import"),
        )
    )
    found.append(
        Offer(
            group=Group.NONE,
            title=N_("Your application"),
            summary=N_("It sends its usage over REST, with a few lines of code."),
            needs=N_("A token, and a few lines in the application."),
            who_gives=N_("You make it under Send data."),
            shows=("cost", "tokens", "requests", "errors", "latency"),
            url=reverse("send_data"),
            act=N_("Send data"),
        )
    )
    return found


def _example() -> Offer:
    return Offer(
        group=Group.SERVER,
        title=EXAMPLE_NAME,
        summary=N_("A small program on this machine that speaks vLLM's /metrics. Its figures are invented."),
        needs=N_("Nothing: it is running already."),
        who_gives=N_("Nobody has to."),
        shows=("tokens", "requests", "errors", "latency"),
        url=f"{reverse('backend_new', args=['metrics_endpoint'])}?{EXAMPLE}=1",
        is_example=True,
        is_main=True,
    )
