"""Words of metrics on pages: {% load metric_words %}."""

from collections.abc import Iterable

from django import template
from django.utils.translation import gettext

from metrics import spoken as sentences
from metrics.connectors.presets.gpu import WORDS
from metrics.models import LookAlike, Series
from metrics.usage import MeasuredAt
from web import wording

register = template.Library()


@register.filter
def spoken(text: object) -> str:
    """{{ offer.summary|spoken }}: a sentence of a plain value in the reader's language."""
    return sentences.spoken(text)


@register.filter
def spoken_list(texts: Iterable[object]) -> str:
    """{{ offer.shows|spoken_list }}: 'cost, tokens', each word in the reader's language."""
    return ", ".join(sentences.spoken(text) for text in texts)


@register.filter
def spoken_measures(text: str) -> str:
    """{{ measures|spoken_measures }}: 'Latency, errors' of a preset's list, each in the reader's language."""
    first, *others = text.split(", ")
    known = first if first in WORDS.values() else first[:1].lower() + first[1:]
    return _begins(", ".join(sentences.spoken(word) for word in (known, *others)))


@register.filter
def measured_at(place: str) -> str:
    """{{ backend.measured_at|measured_at }}: 'the server', where it sees requests."""
    words = {
        MeasuredAt.APPLICATION: gettext("the application"),
        MeasuredAt.GATEWAY: gettext("the gateway"),
        MeasuredAt.SERVER: gettext("the server"),
    }
    return words[MeasuredAt(place)] if place in list(MeasuredAt) else place


@register.simple_tag
def same_traffic(pair: LookAlike) -> str:
    """{% same_traffic pair %}: asks whether two sources see the same traffic."""
    return gettext("%(first)s and %(second)s look like the same traffic. Link them?") % {
        "first": _begins(_source(pair.first)) if pair.first.is_pushed else pair.first.backend.name,
        "second": _source(pair.second),
    }


@register.simple_tag
def same_traffic_figures(pair: LookAlike) -> str:
    """{% same_traffic_figures pair %}: what the two sources said of one day."""
    return gettext("%(model)s on %(day)s: %(first)s, %(second)s.") % {
        "model": pair.model,
        "day": wording.day(pair.on),
        "first": _tokens(pair.first, pair.first_tokens),
        "second": _tokens(pair.second, pair.second_tokens),
    }


def _source(one: Series) -> str:
    name = one.backend.name
    if not one.is_pushed:
        return name
    if one.workload:
        return gettext("what is pushed for %(roadmap)s to %(backend)s") % {
            "roadmap": one.workload.name,
            "backend": name,
        }
    return gettext("what is pushed to %(backend)s") % {"backend": name}


def _tokens(one: Series, tokens: int) -> str:
    values = {"tokens": wording.count(tokens), "backend": one.backend.name}
    if one.is_pushed:
        return gettext("%(tokens)s tokens pushed at %(backend)s") % values
    return gettext("%(tokens)s tokens pulled at %(backend)s") % values


def _begins(text: str) -> str:
    return text[:1].upper() + text[1:]
