"""Which of linked sources counts, model by model (measures.md, 'Counted once'). Pure arithmetic over plain values.

Of the sources that see the same request the gateway counts (of two the one in front), else the server, else the
application; of equals what is pulled before what is pushed. A source is taken over where a better one names its model,
from the first day of that. Sources call models as they like: what a better source reports under a name that nobody
behind it has, may be any model of theirs that it does not name, so that these are taken over, too. A model that no
better source can have seen counts where it was seen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from metrics.usage import MeasuredAt

RANK = {MeasuredAt.GATEWAY: 0, MeasuredAt.SERVER: 1, MeasuredAt.APPLICATION: 2}

# A place's own series, or what is pushed through it, by where that was measured.
_VoiceKey = tuple[int, bool, str]


@dataclass(frozen=True, slots=True)
class Place:
    """A backend, and the gateway in front of it since a local day (None: always)."""

    behind: int | None = None
    behind_from_on: date | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """One series at a place: its own, or a push that passes through it.

    `model`: its name as sources can be compared by. `first_on`: its first local day with figures, None where it has
    none. `speaks`: whether it can take the place of others. `is_step`: a step of an agent, which only its sender sees.
    """

    key: int
    place: int
    measured_at: str
    is_own: bool
    model: str
    first_on: date | None
    speaks: bool = True
    is_step: bool = False

    @property
    def voice(self) -> _VoiceKey:
        return self.place, self.is_own, str(self.measured_at)


@dataclass(slots=True)
class _Voice:
    """What a source reports: model -> first day. `other_since`: first day of models that nobody behind it names."""

    place: int
    rank: int
    is_own: bool
    models: dict[str, date] = field(default_factory=dict)
    other_since: date | None = None


def uncounted_from(streams: Iterable[Stream], places: Mapping[int, Place]) -> dict[int, date | None]:
    """Return of each stream the first local day on which another one counts for it, None where it counts itself."""
    streams = list(streams)
    fronts = {place.behind for place in places.values()} - {None}
    chains = {place: chain(place, places) for place in places}
    voices = _voices(streams, fronts)
    named: dict[_VoiceKey, set[str]] = defaultdict(set)
    hides: dict[int, list[tuple[_VoiceKey, date | None, bool]]] = defaultdict(list)
    for stream in streams:
        if stream.is_step:
            continue
        for key, voice in voices.items():
            link = _link(voice, stream, key, chains, fronts)
            if link is not None:
                hides[stream.key].append((key, *link))
                if not link[1]:
                    named[key].add(stream.model)
    for key, voice in voices.items():
        others = [first for model, first in voice.models.items() if model not in named[key]]
        voice.other_since = min(others, default=None)
    return {stream.key: _first_hidden(stream, hides[stream.key], voices) for stream in streams}


def _voices(streams: Sequence[Stream], fronts: set[int | None]) -> dict[_VoiceKey, _Voice]:
    voices: dict[_VoiceKey, _Voice] = {}
    for stream in streams:
        if stream.first_on is None or not stream.speaks or stream.is_step:
            continue
        voice = voices.get(stream.voice)
        if voice is None:
            voice = voices[stream.voice] = _Voice(stream.place, _rank(stream, fronts), stream.is_own)
        known = voice.models.get(stream.model)
        voice.models[stream.model] = stream.first_on if known is None else min(known, stream.first_on)
    return voices


def _rank(stream: Stream, fronts: set[int | None]) -> int:
    """What others stand behind is a gateway, whatever it says of itself."""
    if stream.is_own and stream.place in fronts:
        return RANK[MeasuredAt.GATEWAY]
    return RANK[MeasuredAt(stream.measured_at)]


def _link(
    voice: _Voice,
    stream: Stream,
    key: _VoiceKey,
    chains: Mapping[int, list[tuple[int, date | None]]],
    fronts: set[int | None],
) -> tuple[date | None, bool] | None:
    """Since when the voice sees the stream's traffic before it, and whether only the models that it names.

    None where it does not, or where the stream is the better source.
    """
    if key == stream.voice:
        return None
    rank = _rank(stream, fronts)
    for height, (place, since) in enumerate(chains[stream.place]):
        if place == voice.place:
            # The further in front, the better; at one place what is its own before what passes.
            is_better = (voice.rank, -height, not voice.is_own) < (rank, 0, not stream.is_own)
            return (since, False) if is_better else None
    for place, since in chains[voice.place][1:]:
        if place == stream.place:
            # A server sees a part of what passes its gateway: the models that it names.
            return (since, True) if voice.rank < rank else None
    return None


def _first_hidden(
    stream: Stream, hides: Sequence[tuple[_VoiceKey, date | None, bool]], voices: Mapping[_VoiceKey, _Voice]
) -> date | None:
    days = []
    for key, since, is_by_name in hides:
        voice = voices[key]
        first = voice.models.get(stream.model)
        if first is None and not is_by_name:
            first = voice.other_since
        if first is not None:
            # Not before the better source has figures: else nobody would count.
            days.append(first if since is None else max(first, since))
    return min(days, default=None)


def chain(place: int, places: Mapping[int, Place]) -> list[tuple[int, date | None]]:
    """The place and the gateways in front of it, the nearest first, each with the day since which it is."""
    found: list[tuple[int, date | None]] = [(place, None)]
    since: date | None = None
    while (here := places.get(place)) is not None and here.behind is not None and here.behind in places:
        if any(one == here.behind for one, _ in found):
            break
        since = max(filter(None, (since, here.behind_from_on)), default=None)
        place = here.behind
        found.append((place, since))
    return found


def model_name(model: str) -> str:
    """Return a model's name as sources can be compared by: without its folder and a file's ending, lower-case."""
    name = model.replace("\\", "/").rsplit("/", 1)[-1].lower()
    return name.removesuffix(".gguf").removesuffix(".safetensors")
